// SPDX-License-Identifier: Apache-2.0
//
// What all TLS connections of a gateway share: its certificate and key, the authority it trusts, and the rules.
// TLS 1.3 only, one suite, certificates on both sides, no tickets, no resumption, no early data. Read as one unit: a
// reload makes a new context, and connections keep the one they began with.
// Thread: any; constant once made.
#pragma once
#include "crypto/certificate.h"

#include <tideway/result.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

struct ssl_ctx_st;

namespace tideway::crypto {

struct PeerRules;

struct TlsConfig {
  std::string ca_file;             // one or several certificates; nothing else is trusted
  std::string certificate_file;    // this gateway's first, then those between it and the authority
  std::string key_file;            // 0600, ours, no link
  std::string crl_file;            // empty: no revocation lists; else one per authority, and a stale one refuses
  std::vector<std::string> allow;  // not empty: identity patterns or "sha256:<64 hex digits>" of certificates
};

class TlsContext {
 public:
  // `now` is wall time, for our own certificate. Errors: config_invalid for files (missing, unreadable, wrong mode, not
  // fitting each other); auth_failed when our own certificate is none that peers could accept, with the same reasons as
  // theirs, so that an expired one is told here and not by a stranger's alert.
  static Result<TlsContext> create(const TlsConfig& config, UnixTime now);

  const Certificate& own() const { return own_; }

 private:
  friend class TlsEndpoint;
  struct Free { void operator()(ssl_ctx_st* context) const; };
  using Handle = std::unique_ptr<ssl_ctx_st, Free>;
  TlsContext(Handle handle, Certificate own, std::shared_ptr<const PeerRules> rules)
      : handle_(std::move(handle)), own_(std::move(own)), rules_(std::move(rules)) {}

  Handle handle_;
  Certificate own_;
  std::shared_ptr<const PeerRules> rules_;  // with the connections made from here
};

}  // namespace tideway::crypto
