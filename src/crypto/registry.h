// SPDX-License-Identifier: Apache-2.0
//
// The AEAD providers of this build that work on this CPU. All of them give equal bytes; only the speed differs.
// Thread: any.
#pragma once
#include <tideway/aead.h>
#include <tideway/result.h>

#include <memory>
#include <string_view>

namespace tideway::crypto {

struct AeadProvider {
  std::string_view name;  // "ipsec_mb_avx512", "vaes", "ipsec_mb_avx2", "ipsec_mb" or "evp"
  std::unique_ptr<Aead> (*make)(std::span<const std::byte, kAeadKeySize> key,
                                std::span<const std::byte, kAeadIvSize> iv);
  bool (*is_usable)();
};

// Best first; never empty.
std::span<const AeadProvider> aead_providers();

// Errors: config_invalid, naming the ones there are.
Result<AeadProvider> aead_provider(std::string_view name);

// An Aead of the best provider.
std::unique_ptr<Aead> make_aead(std::span<const std::byte, kAeadKeySize> key,
                                std::span<const std::byte, kAeadIvSize> iv);

}  // namespace tideway::crypto
