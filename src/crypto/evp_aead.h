// SPDX-License-Identifier: Apache-2.0
//
// AES-256-GCM by OpenSSL's EVP: the provider that is always there, and the second opinion of the tests.
#pragma once
#include <tideway/aead.h>

#include <memory>

namespace tideway::crypto {

// Expands the key for both directions at once, so that nothing is allocated when packets flow. An Aead may be made on
// one thread and used on another, by one at a time.
std::unique_ptr<Aead> make_evp_aead(std::span<const std::byte, kAeadKeySize> key,
                                    std::span<const std::byte, kAeadIvSize> iv);

}  // namespace tideway::crypto
