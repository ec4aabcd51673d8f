// SPDX-License-Identifier: Apache-2.0
#include "crypto/registry.h"

#include "crypto/evp_aead.h"
#include "crypto/ipsec_mb_aead.h"
#include "crypto/vaes_aead.h"

#include <string>
#include <vector>

namespace tideway::crypto {
namespace {

bool always() { return true; }

// Best first.
constexpr AeadProvider kProviders[] = {
#ifdef TIDEWAY_HAS_IPSEC_MB
    {"ipsec_mb_avx512", make_ipsec_mb_aead, has_ipsec_mb_avx512},
#endif
#ifdef __x86_64__
    {"vaes", make_vaes_aead, has_vaes},
#endif
#ifdef TIDEWAY_HAS_IPSEC_MB
    {"ipsec_mb_avx2", make_ipsec_mb_avx2_aead, has_ipsec_mb_avx2},
    {"ipsec_mb", make_ipsec_mb_aead, has_ipsec_mb},
#endif
    {"evp", make_evp_aead, always},
};

}  // namespace

std::span<const AeadProvider> aead_providers() {
  static const std::vector<AeadProvider> usable = [] {
    std::vector<AeadProvider> found;
    for (const AeadProvider& provider : kProviders)
      if (provider.is_usable()) found.push_back(provider);
    return found;
  }();
  return usable;
}

Result<AeadProvider> aead_provider(std::string_view name) {
  std::string names;
  for (const AeadProvider& provider : aead_providers()) {
    if (provider.name == name) return provider;
    names += (names.empty() ? "" : ", ") + std::string(provider.name);
  }
  return Error{Fault::kConfigInvalid, "there is no AEAD provider \"" + std::string(name) + "\" here",
               "choose one of " + names};
}

std::unique_ptr<Aead> make_aead(std::span<const std::byte, kAeadKeySize> key,
                                std::span<const std::byte, kAeadIvSize> iv) {
  return aead_providers().front().make(key, iv);
}

}  // namespace tideway::crypto
