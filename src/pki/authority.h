// SPDX-License-Identifier: Apache-2.0
//
// A small certificate authority for federations that have none: one key in one folder, certificates of 90 days for
// gateways. Nothing existing is ever overwritten: a lost authority key means new certificates for every site.
// Thread: any; no state. Wall time is an argument.
#pragma once
#include "crypto/certificate.h"

#include <tideway/result.h>

#include <string>
#include <string_view>

namespace tideway::pki {

using crypto::UnixTime;

inline constexpr auto kAuthorityLife = std::chrono::days(3650);
inline constexpr auto kGatewayLife = std::chrono::days(90);    // short life comes before revocation lists
inline constexpr auto kClockSkew = std::chrono::minutes(10);   // a new certificate works on a host whose clock is behind

struct AuthorityOrder {
  std::string folder;        // made when missing, with mode 0700
  std::string trust_domain;  // "example.org"
};

// Writes ca.crt and ca.key (0600). Errors: usage (trust domain), dest_exists, and dest_* of the file system.
Status init_authority(const AuthorityOrder& order, UnixTime now);

struct GatewayOrder {
  std::string authority;  // the folder of init_authority
  std::string site, gateway;
  std::string folder;     // made when missing, with mode 0700
};

// Writes ca.crt, gateway.crt and gateway.key (0600), with the identity spiffe://<trust-domain>/site/<site>/gw/<gateway>
// for both roles of TLS. Returns that identity. Errors: usage (names), config_invalid (the authority's files),
// auth_failed with cert_expired (the authority has ended), dest_exists, and dest_* of the file system.
Result<crypto::Identity> issue(const GatewayOrder& order, UnixTime now);

// Writes signing.key (0600), with which a site signs what it sends, and signing.pub, which others check it by, into a folder
// that is made when missing. Errors: dest_exists, and dest_* of the file system.
Status make_signing_key(const std::string& folder);

}  // namespace tideway::pki
