// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_schedule.h"

#include "base/cursor.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

#include <tideway/check.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <string>

namespace tideway::crypto {
namespace {

EVP_KDF* derivation() {
  static EVP_KDF* const fetched = EVP_KDF_fetch(nullptr, "TLS13-KDF", nullptr);
  TIDEWAY_CHECK(fetched != nullptr);
  return fetched;
}

// OSSL_PARAM wants writable pointers for what it only reads.
OSSL_PARAM octets(const char* name, std::span<const std::byte> bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(bytes.data()), bytes.size());
}
OSSL_PARAM text(const char* name, const char* value) {
  return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0);
}

}  // namespace

void expand_label(std::span<const std::byte> secret, std::string_view label, std::span<const std::byte> context,
                  std::span<std::byte> out) {
  static constexpr std::string_view kPrefix = "tls13 ";
  struct Free { void operator()(EVP_KDF_CTX* c) const { EVP_KDF_CTX_free(c); } };
  const std::unique_ptr<EVP_KDF_CTX, Free> kdf(EVP_KDF_CTX_new(derivation()));
  TIDEWAY_CHECK(kdf != nullptr);
  const OSSL_PARAM parameters[] = {
      text(OSSL_KDF_PARAM_MODE, "EXPAND_ONLY"),
      text(OSSL_KDF_PARAM_DIGEST, "SHA384"),
      octets(OSSL_KDF_PARAM_KEY, secret),
      octets(OSSL_KDF_PARAM_PREFIX, std::as_bytes(std::span(kPrefix))),
      octets(OSSL_KDF_PARAM_LABEL, std::as_bytes(std::span(label))),
      context.empty() ? OSSL_PARAM_construct_end() : octets(OSSL_KDF_PARAM_DATA, context),
      OSSL_PARAM_construct_end(),
  };
  TIDEWAY_CHECK(EVP_KDF_derive(kdf.get(), reinterpret_cast<unsigned char*>(out.data()), out.size(), parameters) == 1);
}

SessionId session_id(const HelloRandoms& randoms) {
  Sha256 hasher;
  hasher.update(std::as_bytes(std::span(std::string_view("tideway session"))));
  hasher.update(randoms.dialling);
  hasher.update(randoms.accepting);
  const Hash256 hash = hasher.finish();
  SessionId id;
  std::copy_n(hash.begin(), id.size(), id.begin());
  return id;
}

std::array<std::byte, 18> exporter_context(const SessionId& session, uint16_t protocol_version) {
  std::array<std::byte, 18> context;
  Writer out(context);
  out.write_bytes(session);
  out.write_u16(protocol_version);
  return context;
}

FlowSecret& FlowSecret::operator=(FlowSecret&& other) noexcept {
  if (this == &other) return *this;
  epoch_ = other.epoch_;
  secret_ = other.secret_;
  cleanse(other.secret_);
  return *this;
}

FlowSecret::~FlowSecret() { cleanse(secret_); }

FlowSecret FlowSecret::next() const {
  FlowSecret next(KeyEpoch(epoch_.value() + 1), Secret{});
  expand_label(secret_, "dp ku", {}, next.secret_);
  return next;
}

std::unique_ptr<Aead> FlowSecret::make_aead(const AeadProvider& provider) const {
  std::array<std::byte, kAeadKeySize> key;
  std::array<std::byte, kAeadIvSize> iv;
  expand_label(secret_, "key", {}, key);
  expand_label(secret_, "iv", {}, iv);
  auto aead = provider.make(key, iv);
  cleanse(key);
  return aead;
}

KeySchedule::KeySchedule(std::span<const std::byte, kSecretSize> exporter) {
  std::copy(exporter.begin(), exporter.end(), exporter_.begin());
}

KeySchedule::~KeySchedule() { cleanse(exporter_); }

FlowSecret KeySchedule::first_secret(FlowDirection direction, FlowId flow) const {
  std::array<std::byte, 3> context;
  Writer out(context);
  out.write_u8(static_cast<uint8_t>(direction));
  out.write_u16(flow.value());
  Secret secret;
  expand_label(exporter_, "dp flow", context, secret);
  FlowSecret first(KeyEpoch(0), secret);
  cleanse(secret);
  return first;
}

}  // namespace tideway::crypto
