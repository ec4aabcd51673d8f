// SPDX-License-Identifier: Apache-2.0
//
// AES-256-GCM by libipsec-mb, the fastest provider on x86-64 with AVX-512. Compiled only where the library was found.
#pragma once
#include <tideway/aead.h>

#include <memory>

namespace tideway::crypto {

// The best code this CPU has, AVX-512 included.
std::unique_ptr<Aead> make_ipsec_mb_aead(std::span<const std::byte, kAeadKeySize> key,
                                         std::span<const std::byte, kAeadIvSize> iv);

// AVX2 code at most: on some older parts AVX-512 lowers the clock of the whole core.
std::unique_ptr<Aead> make_ipsec_mb_avx2_aead(std::span<const std::byte, kAeadKeySize> key,
                                              std::span<const std::byte, kAeadIvSize> iv);

bool has_ipsec_mb();  // the CPU has AES and carry-less multiplication
bool has_ipsec_mb_avx2();
bool has_ipsec_mb_avx512();  // and both on 64-byte registers, where the library is at its best

}  // namespace tideway::crypto
