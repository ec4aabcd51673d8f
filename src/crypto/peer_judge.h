// SPDX-License-Identifier: Apache-2.0
//
// Decides about the certificate that a peer shows in a TLS handshake. OpenSSL checks chain, dates and purpose; then
// this adds what OpenSSL does not: extended key usage present, exactly one URI name, our trust domain, the list of
// allowed peers, the peer we meant to reach. It may turn a success into a refusal and never the other way round.
// Thread: control.
#pragma once
#include "crypto/certificate.h"

#include <tideway/result.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;
struct stack_st_X509;
struct x509_st;
struct x509_store_ctx_st;

namespace tideway::crypto {

enum class TlsRole : uint8_t { kDialling, kAccepting };  // TLS client, TLS server

struct PeerRules {
  std::string trust_domain;               // our own; others are not federated with
  std::vector<IdentityPattern> patterns;  // with fingerprints: both empty allows all of the trust domain
  std::vector<Hash256> fingerprints;
};

// Errors: config_invalid.
Result<PeerRules> make_peer_rules(std::string trust_domain, const std::vector<std::string>& allow);

class PeerJudge {
 public:
  // `role` is ours. `expected` is who the dialling side meant to reach.
  PeerJudge(TlsRole role, std::shared_ptr<const PeerRules> rules, std::optional<IdentityPattern> expected)
      : role_(role), rules_(std::move(rules)), expected_(std::move(expected)) {}

  // OpenSSL's verify callback for every connection of ours: finds the judge by the SSL object's application data.
  static int on_verify(int accepted, x509_store_ctx_st* chain);

  // Whether the certificate that passed would pass `rules`, too. Errors: auth_failed.
  Status judge_again(const PeerRules& rules) const;

  const std::optional<Certificate>& peer() const { return peer_; }    // set when the certificate passed
  const std::optional<Error>& refusal() const { return refusal_; }    // auth_failed, for our own log

 private:
  int judge(int accepted, x509_store_ctx_st* chain);
  Status judge_leaf(const x509_st* leaf);
  Status judge_identity(const Certificate& leaf, const PeerRules& rules) const;

  const TlsRole role_;
  const std::shared_ptr<const PeerRules> rules_;
  const std::optional<IdentityPattern> expected_;
  std::optional<Certificate> peer_;
  std::optional<Error> refusal_;
};

// A certificate with what its owner sent along, outside of a handshake.
struct LooseChain {
  ssl_ctx_st* context;     // whose authorities, revocation lists and limits count
  x509_st* leaf;
  stack_st_X509* between;  // may be null
  TlsRole role;            // of the certificate's owner
  std::optional<UnixTime> at;  // not set: dates are not looked at
};
// Chain, dates, purpose and usage, as a handshake would judge them. Errors: auth_failed; `whose` begins the text.
Status check_chain(const LooseChain& chain, std::string_view whose);
// Errors: auth_failed, cert_usage. The certificate must say what it is for: digital signatures, and `role` of TLS.
Status check_usage(const x509_st* certificate, TlsRole role);

}  // namespace tideway::crypto
