// SPDX-License-Identifier: Apache-2.0
//
// A TLS peer that does everything wrong a peer can do: any certificate or none, any version, any ALPN. Built on OpenSSL
// directly, so that the tests do not judge our rules by our rules.
#pragma once
#include "crypto/certificate_builder.h"
#include "crypto/tls_endpoint.h"

#include <gtest/gtest.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <string>
#include <vector>

namespace tideway::test {

inline X509* read_x509(const crypto::CertifiedKey& certified) {
  BIO* const text = BIO_new_mem_buf(certified.certificate.data(), static_cast<int>(certified.certificate.size()));
  X509* const certificate = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  BIO_free(text);
  return certificate;
}

inline EVP_PKEY* read_key(const crypto::CertifiedKey& certified) {
  BIO* const text = BIO_new_mem_buf(certified.key.text().data(), static_cast<int>(certified.key.text().size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(text, nullptr, nullptr, nullptr);
  BIO_free(text);
  return key;
}

// A list in PEM form, good for `seconds` from now.
inline std::string make_revocation_list(const crypto::CertifiedKey& authority,
                                        const std::vector<const crypto::CertifiedKey*>& revoked, long seconds) {
  X509* const issuer = read_x509(authority);
  EVP_PKEY* const key = read_key(authority);
  X509_CRL* const list = X509_CRL_new();
  X509_CRL_set_version(list, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer));
  ASN1_TIME* const begin = X509_gmtime_adj(nullptr, -3600);
  ASN1_TIME* const end = X509_gmtime_adj(nullptr, seconds);
  X509_CRL_set1_lastUpdate(list, begin);
  X509_CRL_set1_nextUpdate(list, end);
  for (const crypto::CertifiedKey* entry : revoked) {
    X509* const certificate = read_x509(*entry);
    X509_REVOKED* const line = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(line, X509_get_serialNumber(certificate));
    X509_REVOKED_set_revocationDate(line, begin);
    X509_CRL_add0_revoked(list, line);
    X509_free(certificate);
  }
  X509_CRL_sign(list, key, EVP_sha256());
  BIO* const out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_CRL(out, list);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(out);
  ASN1_TIME_free(begin);
  ASN1_TIME_free(end);
  X509_CRL_free(list);
  EVP_PKEY_free(key);
  X509_free(issuer);
  return pem;
}

// The same with another key, signed anew by `authority` with that digest.
inline crypto::CertifiedKey with_key(const crypto::CertifiedKey& right, EVP_PKEY* key, const crypto::CertifiedKey& authority, const EVP_MD* digest) {
  X509* const certificate = read_x509(right);
  EVP_PKEY* const signing = read_key(authority);
  EXPECT_EQ(X509_set_pubkey(certificate, key), 1);
  EXPECT_GT(X509_sign(certificate, signing, digest), 0);
  BIO* const texts[] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
  PEM_write_bio_X509(texts[0], certificate);
  PEM_write_bio_PrivateKey(texts[1], key, nullptr, nullptr, 0, nullptr, nullptr);
  std::array<std::string, 2> pem;
  for (size_t i = 0; i < pem.size(); ++i) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(texts[i], &data);
    pem[i].assign(data, static_cast<size_t>(size));
    BIO_free(texts[i]);
  }
  EVP_PKEY_free(signing);
  X509_free(certificate);
  return {pem[0], crypto::SecretText(pem[1])};
}

struct RawPeerOptions {
  const crypto::CertifiedKey* certificate = nullptr;  // nullptr: none
  std::vector<const crypto::CertifiedKey*> between = {};  // authorities that it shows with it
  std::string alpn = "tideway/1";                     // empty: none
  int version = TLS1_3_VERSION;
};

class RawTlsPeer {
 public:
  RawTlsPeer(crypto::TlsRole role, const RawPeerOptions& options) : context_(SSL_CTX_new(TLS_method())) {
    SSL_CTX_set_min_proto_version(context_, options.version);
    SSL_CTX_set_max_proto_version(context_, options.version);
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    if (options.certificate != nullptr) use(*options.certificate, options.between);
    if (!options.alpn.empty()) {
      alpn_ = static_cast<char>(options.alpn.size()) + options.alpn;
      SSL_CTX_set_alpn_protos(context_, reinterpret_cast<const unsigned char*>(alpn_.data()),
                              static_cast<unsigned>(alpn_.size()));
      SSL_CTX_set_alpn_select_cb(context_, select_alpn, &alpn_);
    }
    ssl_ = SSL_new(context_);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (role == crypto::TlsRole::kDialling) SSL_set_connect_state(ssl_);
    else SSL_set_accept_state(ssl_);
  }
  RawTlsPeer(const RawTlsPeer&) = delete;
  RawTlsPeer& operator=(const RawTlsPeer&) = delete;
  ~RawTlsPeer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }

  // Moves bytes both ways until nothing moves any more.
  void talk_to(crypto::TlsEndpoint& endpoint) {
    for (int quiet = 0; quiet < 2;) {
      step();
      bool moved = false;
      std::array<std::byte, 4096> bytes;
      const int room = static_cast<int>(bytes.size());
      for (int got; (got = BIO_read(SSL_get_wbio(ssl_), bytes.data(), room)) > 0; moved = true)
        endpoint.feed(std::span(bytes).first(static_cast<size_t>(got)));
      for (size_t got; (got = endpoint.take_output(bytes)) > 0; moved = true)
        BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(got));
      quiet = moved ? 0 : quiet + 1;
    }
  }

  int alert_received() const { return alert_; }  // -1: none
  SSL* ssl() { return ssl_; }

 private:
  static int select_alpn(SSL*, const unsigned char** out, unsigned char* size, const unsigned char*, unsigned,
                         void* mine) {
    const auto& alpn = *static_cast<std::string*>(mine);
    *out = reinterpret_cast<const unsigned char*>(alpn.data()) + 1;
    *size = static_cast<unsigned char>(alpn.size() - 1);
    return SSL_TLSEXT_ERR_OK;
  }

  void use(const crypto::CertifiedKey& certified, const std::vector<const crypto::CertifiedKey*>& between) {
    X509* const certificate = read_x509(certified);
    EVP_PKEY* const key = read_key(certified);
    ASSERT_EQ(SSL_CTX_use_certificate(context_, certificate), 1);
    for (const crypto::CertifiedKey* one : between) ASSERT_EQ(SSL_CTX_add0_chain_cert(context_, read_x509(*one)), 1);
    ASSERT_EQ(SSL_CTX_use_PrivateKey(context_, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }

  // Handshake first, then reading, as any program does.
  void step() {
    ERR_clear_error();
    char byte = 0;
    if (SSL_is_init_finished(ssl_)) SSL_read(ssl_, &byte, 1);
    else SSL_do_handshake(ssl_);
    while (const unsigned long error = ERR_get_error())
      if (const int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET; alert > 0 && alert < 256) alert_ = alert;
  }

  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  std::string alpn_;
  int alert_ = -1;
};

}  // namespace tideway::test
