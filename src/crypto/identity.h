// SPDX-License-Identifier: Apache-2.0
//
// Who a gateway is: `spiffe://<trust-domain>/site/<site>/gw/<name>`, and the patterns grants name gateways with.
// Pure.
#pragma once
#include <tideway/result.h>

#include <array>
#include <compare>
#include <string>
#include <string_view>

namespace tideway::crypto {

inline constexpr size_t kTrustDomainMax = 255;  // SPIFFE
inline constexpr size_t kIdentityPartMax = 63;  // of a site or gateway: a host name label, so that people reuse theirs

// Whether `name` may be issued as a site or gateway: 1 to 63 of a-z, 0-9 and "-".
bool is_issuable_name(std::string_view name);
// Whether `name` may be a trust domain: 1 to 255 of a-z, 0-9, ".", "-" and "_".
bool is_trust_domain(std::string_view name);

struct Identity {
  std::string trust_domain, site, gateway;

  // Site and gateway may use all characters of a SPIFFE path segment (letters, digits, ".", "-", "_"), because other
  // authorities than ours make certificates too. Errors: auth_failed.
  static Result<Identity> parse(std::string_view uri);
  auto operator<=>(const Identity&) const = default;
};
std::string to_string(const Identity& identity);

// An identity in which `*` stands for a whole path segment: spiffe://example.org/site/wisconsin/gw/*. The trust domain
// is always spelled out.
class IdentityPattern {
 public:
  // Errors: config_invalid.
  static Result<IdentityPattern> parse(std::string_view text);
  static IdentityPattern exactly(const Identity& identity) { return IdentityPattern(identity); }

  bool matches(const Identity& identity) const;
  int wildcards() const;  // 0 to 2; fewer is more specific
  const std::string& trust_domain() const { return wanted_.trust_domain; }
  friend std::string to_string(const IdentityPattern& pattern) { return to_string(pattern.wanted_); }

 private:
  explicit IdentityPattern(Identity wanted) : wanted_(std::move(wanted)) {}
  Identity wanted_;  // "*" where anything goes
};

}  // namespace tideway::crypto
