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

struct ssl_st;
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

  const std::optional<Certificate>& peer() const { return peer_; }    // set when the certificate passed
  const std::optional<Error>& refusal() const { return refusal_; }    // auth_failed, for our own log

 private:
  int judge(int accepted, x509_store_ctx_st* chain);
  Status judge_leaf(const x509_st* leaf);
  Status judge_identity(const Certificate& leaf) const;

  const TlsRole role_;
  const std::shared_ptr<const PeerRules> rules_;
  const std::optional<IdentityPattern> expected_;
  std::optional<Certificate> peer_;
  std::optional<Error> refusal_;
};

// The reason for an error of OpenSSL's chain verification (X509_V_ERR_*).
CertificateFault fault_of_chain_error(int error);
// Errors: auth_failed, cert_usage. The certificate must say what it is for: digital signatures, and `role` of TLS.
Status check_usage(const x509_st* certificate, TlsRole role);

}  // namespace tideway::crypto
