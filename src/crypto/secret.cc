// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret.h"

#include <openssl/crypto.h>

namespace tideway::crypto {

void cleanse(std::span<std::byte> bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

SecretText& SecretText::operator=(SecretText&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  // A short string lies inside its object and a move copies it, so the source is wiped by hand.
  text_ = other.text_;
  other.wipe();
  return *this;
}

void SecretText::wipe() {
  cleanse(std::as_writable_bytes(std::span(text_.data(), text_.size())));
  text_.clear();
}

}  // namespace tideway::crypto
