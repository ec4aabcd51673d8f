// SPDX-License-Identifier: Apache-2.0
//
// What the operator may call a site, a gateway, a root or a peer, and the identity patterns of grants and peers.
// Thread: any. Pure.
#pragma once
#include <tideway/result.h>

#include <string>
#include <string_view>

namespace tideway::config {

inline constexpr size_t kNameMax = 63;           // a DNS label; fits certificates, metrics and file names
inline constexpr size_t kTrustDomainMax = 255;   // the SPIFFE limit

// 1 to 63 of A-Z a-z 0-9 - _ . with a letter or digit in front, so that a name never looks like a flag, a path or
// a hidden file, and stands in an identity, an address and a metric as it is.
bool is_name(std::string_view text);
// 1 to 255 of a-z 0-9 - _ . (SPIFFE-ID, section 2.1).
bool is_trust_domain(std::string_view text);

// Who a grant or a peer entry speaks of.
struct IdentityPattern {
  enum class Kind : uint8_t { kGateway, kLocalUser, kLocalGroup };
  Kind kind = Kind::kGateway;
  std::string text;          // as written
  std::string trust_domain;  // of kGateway only, like the next two
  std::string site;          // a name, or "*" for each
  std::string gateway;       // a name, or "*" for each
  std::string local_name;    // of the other kinds
};

// `spiffe://<trust-domain>/site/<site>/gw/<name>`, where site and name may each be `*`; `local:user/NAME`;
// `local:group/NAME`. Errors: config_invalid, without a place.
Result<IdentityPattern> parse_identity_pattern(std::string_view text);

}  // namespace tideway::config
