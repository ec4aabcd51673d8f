// SPDX-License-Identifier: Apache-2.0
//
// AES-256-GCM on x86-64 CPUs that have AES and carry-less multiplication on 32-byte registers (VAES, VPCLMULQDQ) but no
// AVX-512: AMD Zen 3, Intel parts with AVX-512 switched off. Here because no library in Debian 12 uses these
// instructions without AVX-512, and without them sealing is two thirds of a packet's cost.
#pragma once
#include <tideway/aead.h>

#include <memory>

namespace tideway::crypto {

// Not to be called unless has_vaes().
std::unique_ptr<Aead> make_vaes_aead(std::span<const std::byte, kAeadKeySize> key,
                                     std::span<const std::byte, kAeadIvSize> iv);

bool has_vaes();  // the CPU has what the code needs, and the kernel keeps its registers

}  // namespace tideway::crypto
