// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL keeps one error queue per thread; what an earlier call left there would be read as this call's failure. So
// it is cleared before each call that can fail and drained after each that did.
#include "crypto/tls_endpoint.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace tideway::crypto {
namespace {

constexpr std::string_view kControlProtocol = "tideway/1", kDataProtocol = "tideway-data/1";
constexpr unsigned char kDataOffer[] = "\x0etideway-data/1";  // length, then name
constexpr std::string_view kSuite = "TLS_AES_256_GCM_SHA384";

// The alert a peer sent, if that is what this error is about.
std::optional<int> alert_of(unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || reason <= SSL_AD_REASON_OFFSET || reason > SSL_AD_REASON_OFFSET + 255)
    return std::nullopt;
  return reason - SSL_AD_REASON_OFFSET;
}

bool is_about_certificate(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

// An alert that belongs to a handshake, whenever it arrives.
bool is_about_handshake(int alert) {
  return alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_PROTOCOL_VERSION ||
         alert == SSL_AD_INSUFFICIENT_SECURITY || alert == SSL_AD_NO_APPLICATION_PROTOCOL ||
         alert == SSL_AD_DECRYPT_ERROR || alert == SSL_AD_MISSING_EXTENSION;
}

Error alert_error(int alert, bool in_handshake) {
  const std::string name = SSL_alert_desc_string_long(alert);
  if (is_about_certificate(alert))
    return {Fault::kAuthFailed, "the peer refused our certificate (alert \"" + name + "\"); its log says why",
            "compare trust domain, authority and dates of both certificates"};
  if (in_handshake || is_about_handshake(alert))
    return {Fault::kAuthFailed, "the peer refused the TLS handshake (alert \"" + name + "\"); its log says why",
            "check that the other end is a tideway gateway of a version that fits"};
  return {Fault::kProtocolError, "the peer ended the connection with the TLS alert \"" + name + "\"", ""};
}

// Bytes that are no TLS at all: another program, or a probe.
bool is_foreign(int reason) {
  return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST ||
         reason == SSL_R_BAD_RECORD_TYPE || reason == SSL_R_UNEXPECTED_MESSAGE ||
         reason == SSL_R_RECORD_LENGTH_MISMATCH || reason == SSL_R_PACKET_LENGTH_TOO_LONG;
}

Error own_error(unsigned long error, bool in_handshake) {
  const char* const text = ERR_reason_error_string(error);
  const std::string reason = text == nullptr ? "unknown error" : text;
  const int number = ERR_GET_REASON(error);
  if (number == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
    return certificate_error(CertificateFault::kUntrusted, "the peer sent no certificate");
  if (in_handshake && !is_foreign(number))
    return {Fault::kAuthFailed, "the TLS handshake failed: " + reason,
            "both ends must be tideway gateways: TLS 1.3, AES-256-GCM, ALPN tideway/1"};
  return {Fault::kProtocolError, "the peer sent bytes that are no TLS 1.3: " + reason,
          "check that the address and port are those of a tideway gateway"};
}

}  // namespace

void TlsEndpoint::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsEndpoint::TlsEndpoint(const TlsContext& context, TlsRole role, std::optional<IdentityPattern> expected, TlsProtocol protocol)
    : judge_(role, context.rules_, std::move(expected)), ssl_(SSL_new(context.handle_.get())),
      input_(BIO_new(BIO_s_mem())), output_(BIO_new(BIO_s_mem())), protocol_(protocol) {
  TIDEWAY_CHECK(ssl_ != nullptr && input_ != nullptr && output_ != nullptr);
  BIO_set_mem_eof_return(input_, -1);  // an empty buffer means "later", not the end
  SSL_set_bio(ssl_.get(), input_, output_);
  TIDEWAY_CHECK(SSL_set_ex_data(ssl_.get(), 0, &judge_) == 1);
  if (role == TlsRole::kDialling) {
    if (protocol == TlsProtocol::kData)
      TIDEWAY_CHECK(SSL_set_alpn_protos(ssl_.get(), kDataOffer, sizeof kDataOffer - 1) == 0);  // zero is success
    TIDEWAY_CHECK(SSL_set_purpose(ssl_.get(), X509_PURPOSE_SSL_SERVER) == 1);
    SSL_set_connect_state(ssl_.get());
    advance_handshake();
  } else {
    TIDEWAY_CHECK(SSL_set_purpose(ssl_.get(), X509_PURPOSE_SSL_CLIENT) == 1);
    SSL_set_accept_state(ssl_.get());
  }
}

TlsEndpoint::~TlsEndpoint() = default;

size_t TlsEndpoint::feed(std::span<const std::byte> sealed) {
  owner_.check();
  if (state_ == TlsState::kFailed || state_ == TlsState::kClosed) return sealed.size();
  const size_t size = std::min(sealed.size(), input_room());
  if (size == 0) return 0;
  TIDEWAY_CHECK(BIO_write(input_, sealed.data(), static_cast<int>(size)) == static_cast<int>(size));
  if (state_ == TlsState::kHandshake) advance_handshake();
  return size;
}

size_t TlsEndpoint::input_room() const {
  const size_t waiting = BIO_ctrl_pending(input_);
  return waiting >= kTlsInputMax ? 0 : kTlsInputMax - waiting;
}

size_t TlsEndpoint::output_size() const { return BIO_ctrl_pending(output_); }

size_t TlsEndpoint::take_output(std::span<std::byte> out) {
  const size_t size = std::min(out.size(), output_size());
  if (size == 0) return 0;
  TIDEWAY_CHECK(BIO_read(output_, out.data(), static_cast<int>(size)) == static_cast<int>(size));
  return size;
}

size_t TlsEndpoint::write(std::span<const std::byte> plain) {
  owner_.check();
  if (state_ != TlsState::kUp || is_shut_down_ || plain.empty() || output_size() >= kTlsOutputMax) return 0;
  ERR_clear_error();
  size_t written = 0;
  // A memory buffer never blocks, so what fails here is final.
  if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written) != 1) fail(take_error());
  return written;
}

size_t TlsEndpoint::read(std::span<std::byte> out) {
  owner_.check();
  if (state_ != TlsState::kUp || out.empty()) return 0;
  ERR_clear_error();
  size_t got = 0;
  const int result = SSL_read_ex(ssl_.get(), out.data(), out.size(), &got);
  if (result == 1) return got;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: break;
    case SSL_ERROR_ZERO_RETURN: state_ = TlsState::kClosed; break;
    default: fail(take_error());
  }
  return 0;
}

void TlsEndpoint::shut_down() {
  if (is_shut_down_ || (state_ != TlsState::kUp && state_ != TlsState::kClosed)) return;
  is_shut_down_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());  // zero: sent, and the peer's has not come; nobody waits for it
  ERR_clear_error();
}

void TlsEndpoint::advance_handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    if (Status status = check_established(); !status.ok()) {
      SSL_shutdown(ssl_.get());
      return fail(std::move(status).error());
    }
    state_ = TlsState::kUp;
    return;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return;
    case SSL_ERROR_ZERO_RETURN:
      return fail({Fault::kPeerLost, "the peer closed the connection during the TLS handshake", ""});
    default: fail(take_error());
  }
}

// What the handshake promises, asked once more from its result: a mistake in the rules must not become a connection.
Status TlsEndpoint::check_established() {
  const unsigned char* chosen = nullptr;
  unsigned chosen_size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &chosen, &chosen_size);
  const std::string_view agreed(reinterpret_cast<const char*>(chosen), chosen_size);
  const std::string_view asked = protocol_ == TlsProtocol::kData ? kDataProtocol : kControlProtocol;
  const bool is_accepting = SSL_is_server(ssl_.get()) == 1;
  if (is_accepting ? agreed != kControlProtocol && agreed != kDataProtocol : agreed != asked)
    return Error{Fault::kAuthFailed, "the peer did not agree on the protocol " + std::string(asked) + " (ALPN)",
                 "check that the address and port are those of a tideway gateway"};
  protocol_ = agreed == kDataProtocol ? TlsProtocol::kData : TlsProtocol::kControl;
  if (judge_.refusal()) return *judge_.refusal();
  if (SSL_get_verify_result(ssl_.get()) != X509_V_OK || !judge_.peer())
    return certificate_error(CertificateFault::kUntrusted, "the peer's certificate was not verified");
  if (SSL_version(ssl_.get()) != TLS1_3_VERSION || SSL_session_reused(ssl_.get()) != 0 ||
      SSL_get_cipher_name(ssl_.get()) != kSuite)
    return Error{Fault::kAuthFailed, "the handshake ended with version or suite that were not asked for", ""};
  return success();
}

Status TlsEndpoint::judge_peer_again(const TlsContext& rules, std::optional<UnixTime> at) const {
  const TlsRole peer_role = SSL_is_server(ssl_.get()) == 1 ? TlsRole::kDialling : TlsRole::kAccepting;
  const LooseChain chain{rules.handle_.get(), SSL_get0_peer_certificate(ssl_.get()), SSL_get_peer_cert_chain(ssl_.get()), peer_role, at};
  TIDEWAY_CHECK(chain.leaf != nullptr);
  if (Status status = check_chain(chain, "the peer"); !status.ok()) return status;
  return judge_.judge_again(*rules.rules_);
}

void TlsEndpoint::fail(Error error) {
  state_ = TlsState::kFailed;
  error_ = std::move(error);
  ERR_clear_error();
}

Error TlsEndpoint::take_error() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  const bool in_handshake = state_ == TlsState::kHandshake;
  if (judge_.refusal()) return *judge_.refusal();
  if (const auto alert = alert_of(code)) return alert_error(*alert, in_handshake);
  return own_error(code, in_handshake);
}

void TlsEndpoint::export_key(std::string_view label, std::span<const std::byte> context,
                             std::span<std::byte> out) const {
  TIDEWAY_CHECK(state_ == TlsState::kUp);
  TIDEWAY_CHECK(SSL_export_keying_material(ssl_.get(), reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                           label.data(), label.size(),
                                           reinterpret_cast<const unsigned char*>(context.data()), context.size(),
                                           1) == 1);
}

}  // namespace tideway::crypto
