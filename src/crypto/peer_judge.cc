// SPDX-License-Identifier: Apache-2.0
#include "crypto/peer_judge.h"

#include "crypto/sha256.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace tideway::crypto {

Result<PeerRules> make_peer_rules(std::string trust_domain, const std::vector<std::string>& allow) {
  PeerRules rules{std::move(trust_domain), {}, {}};
  for (const std::string& line : allow) {
    if (is_sha256_text(line)) {
      const auto hash = parse_sha256_text(line);
      if (!hash)
        return Error{Fault::kConfigInvalid, "[tls] allow: \"" + line + "\" is not sha256: and 64 hex digits", "take it from the line that openssl x509 -noout -fingerprint -sha256 prints, without its colons and in lower case"};
      rules.fingerprints.push_back(*hash);
      continue;
    }
    auto pattern = IdentityPattern::parse(line);
    if (!pattern.ok()) return std::move(pattern).error();
    rules.patterns.push_back(std::move(pattern).value());
  }
  return rules;
}

namespace {

// The reason for an error of OpenSSL's chain verification (X509_V_ERR_*).
CertificateFault fault_of_chain_error(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return CertificateFault::kExpired;
    case X509_V_ERR_CERT_NOT_YET_VALID: return CertificateFault::kNotYetValid;
    case X509_V_ERR_CERT_REVOKED: return CertificateFault::kRevoked;
    case X509_V_ERR_INVALID_PURPOSE: return CertificateFault::kUsage;
    default: return CertificateFault::kUntrusted;
  }
}

struct FreeStoreContext { void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); } };

}  // namespace

Status check_chain(const LooseChain& wanted, std::string_view whose) {
  const std::unique_ptr<X509_STORE_CTX, FreeStoreContext> chain(X509_STORE_CTX_new());
  TIDEWAY_CHECK(chain != nullptr);
  ERR_clear_error();
  TIDEWAY_CHECK(X509_STORE_CTX_init(chain.get(), SSL_CTX_get_cert_store(wanted.context), wanted.leaf, wanted.between) == 1);
  X509_VERIFY_PARAM* const rules = X509_STORE_CTX_get0_param(chain.get());
  X509_VERIFY_PARAM_set1(rules, SSL_CTX_get0_param(wanted.context));
  X509_VERIFY_PARAM_set_purpose(rules, wanted.role == TlsRole::kDialling ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_auth_level(rules, SSL_CTX_get_security_level(wanted.context));
  if (wanted.at) X509_VERIFY_PARAM_set_time(rules, wanted.at->time_since_epoch().count());
  else X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_NO_CHECK_TIME);
  const bool is_valid = X509_verify_cert(chain.get()) == 1;
  const int error = X509_STORE_CTX_get_error(chain.get());
  ERR_clear_error();
  if (is_valid) return check_usage(wanted.leaf, wanted.role);
  return certificate_error(fault_of_chain_error(error), std::string(whose) + " (" + describe(wanted.leaf) +
                                                            "): " + X509_verify_cert_error_string(error));
}

Status check_usage(const x509_st* certificate, TlsRole role) {
  X509* const leaf = const_cast<X509*>(certificate);  // OpenSSL fills its cache of extensions in here
  const uint32_t flags = X509_get_extension_flags(leaf);
  const bool is_dialling = role == TlsRole::kDialling;
  const uint32_t wanted = is_dialling ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
  if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(leaf) & wanted) == 0)
    return certificate_error(CertificateFault::kUsage,
                             std::string("the certificate does not have the extended key usage ") +
                                 (is_dialling ? "client" : "server") + " authentication");
  if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
    return certificate_error(CertificateFault::kUsage, "the certificate does not have the key usage digital signature");
  if ((flags & EXFLAG_CA) != 0)
    return certificate_error(CertificateFault::kUsage, "the certificate is that of an authority, not of a gateway");
  return success();
}

int PeerJudge::on_verify(int accepted, x509_store_ctx_st* chain) {
  const auto* const ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  if (ssl == nullptr) return 0;
  auto* const judge = static_cast<PeerJudge*>(SSL_get_ex_data(ssl, 0));
  return judge == nullptr ? 0 : judge->judge(accepted, chain);
}

int PeerJudge::judge(int accepted, x509_store_ctx_st* chain) {
  const X509* const current = X509_STORE_CTX_get_current_cert(chain);
  const int depth = X509_STORE_CTX_get_error_depth(chain);
  if (accepted == 1 && depth > 0) return 1;  // an authority on the way; the leaf comes last
  Status verdict = success();
  if (accepted == 1) {
    verdict = judge_leaf(current);
  } else {
    const int error = X509_STORE_CTX_get_error(chain);
    std::string why = X509_verify_cert_error_string(error);
    why += " at depth " + std::to_string(depth);
    if (current != nullptr) why += " (" + describe(current) + ")";
    verdict = certificate_error(fault_of_chain_error(error), why);
  }
  if (verdict.ok()) return 1;
  peer_.reset();
  if (!refusal_) refusal_ = std::move(verdict).error();
  // One error for all reasons, so that the alert tells a stranger nothing about the rules.
  X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED);
  return 0;
}

Status PeerJudge::judge_leaf(const x509_st* leaf) {
  const TlsRole peer_role = role_ == TlsRole::kDialling ? TlsRole::kAccepting : TlsRole::kDialling;
  if (Status usage = check_usage(leaf, peer_role); !usage.ok()) return usage;
  auto facts = read_certificate(leaf);
  if (!facts.ok()) return std::move(facts).error();
  if (Status identity = judge_identity(facts.value(), *rules_); !identity.ok()) return identity;
  peer_ = std::move(facts).value();
  return success();
}

Status PeerJudge::judge_again(const PeerRules& rules) const {
  TIDEWAY_CHECK(peer_.has_value());
  return judge_identity(*peer_, rules);
}

Status PeerJudge::judge_identity(const Certificate& leaf, const PeerRules& rules) const {
  const Identity& who = leaf.identity;
  if (who.trust_domain != rules.trust_domain)
    return certificate_error(CertificateFault::kIdentity, to_string(who) + " is of another trust domain than ours (" +
                                                              rules.trust_domain + ")");
  const bool is_narrowed = !rules.patterns.empty() || !rules.fingerprints.empty();
  const bool is_listed =
      std::ranges::any_of(rules.patterns, [&](const IdentityPattern& pattern) { return pattern.matches(who); }) ||
      std::ranges::find(rules.fingerprints, leaf.fingerprint) != rules.fingerprints.end();
  if (is_narrowed && !is_listed)
    return certificate_error(CertificateFault::kIdentity, to_string(who) + " is not in [tls] allow");
  if (expected_ && !expected_->matches(who))
    return certificate_error(CertificateFault::kIdentity,
                             "we meant to reach " + to_string(*expected_) + " and " + to_string(who) + " answered");
  return success();
}

}  // namespace tideway::crypto
