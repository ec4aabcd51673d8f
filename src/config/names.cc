// SPDX-License-Identifier: Apache-2.0
#include "config/names.h"

#include <tideway/object_name.h>

#include <algorithm>
#include <vector>

namespace tideway::config {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_letter_or_digit(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }
bool is_joint(char c) { return c == '-' || c == '_' || c == '.'; }

std::vector<std::string_view> split_path(std::string_view text) {
  std::vector<std::string_view> segments;
  for (size_t from = 0; from <= text.size();) {
    const size_t slash = std::min(text.find('/', from), text.size());
    segments.push_back(text.substr(from, slash - from));
    from = slash + 1;
  }
  return segments;
}

bool is_name_or_star(std::string_view text) { return text == "*" || is_name(text); }

Error malformed(std::string_view text) {
  return {Fault::kConfigInvalid,
          '"' + to_display(text.substr(0, 256)) + "\" is not an identity",
          "write spiffe://TRUST-DOMAIN/site/SITE/gw/GATEWAY, where SITE and GATEWAY may be *, or local:user/NAME or "
          "local:group/NAME"};
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && is_letter_or_digit(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_letter_or_digit(c) || is_joint(c); });
}

bool is_trust_domain(std::string_view text) {
  return !text.empty() && text.size() <= kTrustDomainMax &&
         std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || is_joint(c); });
}

Result<IdentityPattern> parse_identity_pattern(std::string_view text) {
  using enum IdentityPattern::Kind;
  constexpr std::string_view kGatewayFront = "spiffe://", kUserFront = "local:user/", kGroupFront = "local:group/";
  for (const auto& [front, kind] : {std::pair(kUserFront, kLocalUser), std::pair(kGroupFront, kLocalGroup)}) {
    if (!text.starts_with(front)) continue;
    const std::string_view name = text.substr(front.size());
    if (!is_name(name)) return malformed(text);
    IdentityPattern local;
    local.kind = kind;
    local.text = text;
    local.local_name = name;
    return local;
  }
  if (!text.starts_with(kGatewayFront)) return malformed(text);
  const auto parts = split_path(text.substr(kGatewayFront.size()));
  if (parts.size() != 5 || !is_trust_domain(parts[0]) || parts[1] != "site" || !is_name_or_star(parts[2]) ||
      parts[3] != "gw" || !is_name_or_star(parts[4]))
    return malformed(text);
  IdentityPattern gateway;
  gateway.text = text;
  gateway.trust_domain = parts[0];
  gateway.site = parts[2];
  gateway.gateway = parts[4];
  return gateway;
}

}  // namespace tideway::config
