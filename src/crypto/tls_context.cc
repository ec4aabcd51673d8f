// SPDX-License-Identifier: Apache-2.0
//
// Every line of `set_rules` closes a door that OpenSSL leaves open by default; the reasons stand beside them.
#include "crypto/tls_context.h"

#include "crypto/openssl_owned.h"
#include "crypto/peer_judge.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace tideway::crypto {
namespace {

constexpr int kChainDepthMax = 4;            // authorities between a gateway and the root; SPIRE uses 1 or 2
constexpr int kSecurityLevel = 2;            // 112 bits: RSA from 2,048, no SHA-1
constexpr long kChainBytesMax = 16 * 1024;   // a stranger's certificates are parsed before we know who it is
constexpr unsigned char kAlpn[] = "\x09tideway/1\x0etideway-data/1";  // lengths and names
constexpr unsigned kAlpnSize = sizeof kAlpn - 1, kAlpnControlSize = 10;   // a connection offers one of them: this, if not told otherwise

Error config_error(const std::string& path, std::string_view what, std::string_view next) {
  char reason[256] = "";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, reason, sizeof reason);
  ERR_clear_error();
  return {Fault::kConfigInvalid, path + ": " + std::string(what) + (*reason != '\0' ? ": " : "") + reason, std::string(next)};
}

// All certificates of a file; at least one. A damaged one is an error, not the end.
Result<std::vector<Owned<X509>>> read_certificates(const std::string& path) {
  auto pem = read_public_file(path);
  if (!pem.ok()) return std::move(pem).error();
  const Owned<BIO> bio = reading(pem.value());
  std::vector<Owned<X509>> found;
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, refuse_pass_phrase, nullptr))
    found.emplace_back(certificate);
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (found.empty() || !is_end) return config_error(path, "is not a list of certificates in PEM form", "name the .crt file that tideway pki issue, or your own authority, wrote");
  ERR_clear_error();
  return found;
}

Status add_authorities(SSL_CTX* context, const std::string& path) {
  auto authorities = read_certificates(path);
  if (!authorities.ok()) return std::move(authorities).error();
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const auto& authority : authorities.value())
    if (X509_STORE_add_cert(store, authority.get()) != 1) return config_error(path, "cannot be trusted", "let [tls] ca name the certificates of your authorities");
  return success();
}

Status add_revocations(SSL_CTX* context, const std::string& path) {
  if (path.empty()) return success();
  auto pem = read_public_file(path);
  if (!pem.ok()) return std::move(pem).error();
  const Owned<BIO> bio = reading(pem.value());
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  int count = 0;
  ERR_clear_error();
  while (const Owned<X509_CRL> list{PEM_read_bio_X509_CRL(bio.get(), nullptr, refuse_pass_phrase, nullptr)}) {
    if (X509_STORE_add_crl(store, list.get()) != 1) return config_error(path, "cannot be used", "let the authority publish the list again");
    ++count;
  }
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (count == 0 || !is_end) return config_error(path, "is not a revocation list in PEM form", "let [tls] crl name the list that your authority publishes (openssl crl -outform PEM), or leave it out");
  ERR_clear_error();
  // A chain is then refused when the list of one of its authorities is missing or stale.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return success();
}

Status add_own_chain(SSL_CTX* context, const TlsConfig& config) {
  auto chain = read_certificates(config.certificate_file);
  if (!chain.ok()) return std::move(chain).error();
  bool is_first = true;
  for (const auto& certificate : chain.value()) {
    const int added = is_first ? SSL_CTX_use_certificate(context, certificate.get())
                               : static_cast<int>(SSL_CTX_add1_chain_cert(context, certificate.get()));
    if (added != 1) return config_error(config.certificate_file, "is refused by the TLS library", "issue it again: keys of RSA need 2,048 bits, and signatures SHA-256");
    is_first = false;
  }
  return success();
}

Status add_own_key(SSL_CTX* context, const TlsConfig& config) {
  auto pem = read_private_file(config.key_file);
  if (!pem.ok()) return std::move(pem).error();
  const Owned<BIO> bio = reading(pem.value().text());
  ERR_clear_error();
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_pass_phrase, nullptr));
  if (key == nullptr) return config_error(config.key_file, "is not a private key in PEM form without pass phrase", "name the .key file that tideway pki issue wrote, or take its pass phrase away (openssl pkey)");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return config_error(config.key_file, "is not the key of " + config.certificate_file, "let [tls] cert and key name files that were issued together");
  return success();
}

// Checks our own certificate as a peer in that role would.
Status check_own_chain(SSL_CTX* context, TlsRole role, UnixTime now) {
  STACK_OF(X509)* between = nullptr;
  SSL_CTX_get0_chain_certs(context, &between);
  return check_chain({context, SSL_CTX_get0_certificate(context), between, role, now}, "our own certificate");
}

// A hello without ALPN would not reach `choose_protocol` at all.
int require_alpn(SSL* ssl, int* alert, void*) {
  const unsigned char* list = nullptr;
  size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &list, &size) == 1)
    return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, kAlpnSize, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// The default trust store is never loaded: only ca_file is trusted.
void set_rules(SSL_CTX* context) {
  TIDEWAY_CHECK(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
  TIDEWAY_CHECK(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
  TIDEWAY_CHECK(SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") == 1);  // fixes the exporter's hash
  TIDEWAY_CHECK(SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1);
  SSL_CTX_set_security_level(context, kSecurityLevel);
  // Resumption skips the verification of certificates, so nothing here can be resumed.
  TIDEWAY_CHECK(SSL_CTX_set_num_tickets(context, 0) == 1);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_early_data(context, 0);
  SSL_CTX_set_recv_max_early_data(context, 0);
  // VERIFY_PEER alone lets a client without certificate in.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &PeerJudge::on_verify);
  SSL_CTX_set_verify_depth(context, kChainDepthMax);
  SSL_CTX_set_max_cert_list(context, kChainBytesMax);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_client_hello_cb(context, require_alpn, nullptr);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  TIDEWAY_CHECK(SSL_CTX_set_alpn_protos(context, kAlpn, kAlpnControlSize) == 0);  // zero is success here, and here only
}

}  // namespace

void TlsContext::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

Result<TlsContext> TlsContext::create(const TlsConfig& config, UnixTime now) {
  ERR_clear_error();
  Handle handle(SSL_CTX_new(TLS_method()));
  TIDEWAY_CHECK(handle != nullptr);
  SSL_CTX* const context = handle.get();
  set_rules(context);
  if (Status status = add_authorities(context, config.ca_file); !status.ok()) return std::move(status).error();
  if (Status status = add_revocations(context, config.crl_file); !status.ok()) return std::move(status).error();
  if (Status status = add_own_chain(context, config); !status.ok()) return std::move(status).error();
  if (Status status = add_own_key(context, config); !status.ok()) return std::move(status).error();
  for (const TlsRole role : {TlsRole::kDialling, TlsRole::kAccepting})
    if (Status status = check_own_chain(context, role, now); !status.ok()) return std::move(status).error();
  auto own = read_certificate(SSL_CTX_get0_certificate(context));
  if (!own.ok()) return std::move(own).error();
  auto rules = make_peer_rules(own.value().identity.trust_domain, config.allow);
  if (!rules.ok()) return std::move(rules).error();
  return TlsContext(std::move(handle), std::move(own).value(),
                    std::make_shared<const PeerRules>(std::move(rules).value()));
}

}  // namespace tideway::crypto
