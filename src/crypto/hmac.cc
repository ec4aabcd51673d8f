// SPDX-License-Identifier: Apache-2.0
#include "crypto/hmac.h"

#include <tideway/check.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace tideway::crypto {

Hash256 hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> message) {
  Hash256 tag;
  unsigned size = 0;
  const auto* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                          reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                          reinterpret_cast<unsigned char*>(tag.data()), &size);
  TIDEWAY_CHECK(made != nullptr && size == tag.size());
  return tag;
}

bool is_same_tag(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tideway::crypto
