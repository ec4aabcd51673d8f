// SPDX-License-Identifier: Apache-2.0
#include "crypto/sha256.h"

#include <tideway/check.h>

#include <openssl/evp.h>

#include <charconv>

namespace tideway::crypto {
namespace {

constexpr std::string_view kSha256Prefix = "sha256:";

// Looked up once per process: a fetch takes a lock and costs more than hashing a short message.
const EVP_MD* algorithm() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  TIDEWAY_CHECK(fetched != nullptr);
  return fetched;
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  TIDEWAY_CHECK(context_ != nullptr);
  start();
}

void Sha256::start() { TIDEWAY_CHECK(EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) == 1); }

void Sha256::update(std::span<const std::byte> bytes) {
  TIDEWAY_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Hash256 Sha256::finish() {
  Hash256 hash;
  unsigned size = 0;
  TIDEWAY_CHECK(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()), &size) == 1);
  TIDEWAY_CHECK(size == hash.size());
  start();
  return hash;
}

Hash256 sha256(std::span<const std::byte> bytes) {
  Sha256 hasher;
  hasher.update(bytes);
  return hasher.finish();
}

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<size_t>(byte >> 4)];
    text += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return text;
}

std::optional<Hash256> hash_from_hex(std::string_view hex) {
  Hash256 hash;
  if (hex.size() != 2 * hash.size()) return std::nullopt;
  for (size_t i = 0; i < hash.size(); ++i) {
    uint8_t value = 0;
    const char* const digits = hex.data() + 2 * i;
    const auto [end, failure] = std::from_chars(digits, digits + 2, value, 16);
    if (failure != std::errc() || end != digits + 2) return std::nullopt;
    hash[i] = std::byte{value};
  }
  return hash;
}

std::string to_sha256_text(const Hash256& hash) { return std::string(kSha256Prefix) + to_hex(hash); }

bool is_sha256_text(std::string_view text) { return text.starts_with(kSha256Prefix); }

std::optional<Hash256> parse_sha256_text(std::string_view text) {
  return is_sha256_text(text) ? hash_from_hex(text.substr(kSha256Prefix.size())) : std::nullopt;
}

}  // namespace tideway::crypto
