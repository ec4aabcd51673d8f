// SPDX-License-Identifier: Apache-2.0
#include "crypto/identity.h"

#include <tideway/object_name.h>

#include <algorithm>

namespace tideway::crypto {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr size_t kShownMax = 256;  // of a foreign identity in an error text

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// A path segment of a SPIFFE id.
bool is_segment(std::string_view part) {
  if (part.empty() || part.size() > kIdentityPartMax || part == "." || part == "..") return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
  });
}

// Takes the text up to the next "/", or all of it, off the front.
std::string_view take_part(std::string_view& rest) {
  const std::string_view part = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return part;
}

// The three parts, unchecked but for the fixed ones around them.
std::optional<Identity> split(std::string_view uri) {
  if (!uri.starts_with(kScheme) || uri.ends_with('/')) return std::nullopt;
  std::string_view rest = uri.substr(kScheme.size());
  Identity identity;
  identity.trust_domain = take_part(rest);
  if (take_part(rest) != "site") return std::nullopt;
  identity.site = take_part(rest);
  if (take_part(rest) != "gw") return std::nullopt;
  identity.gateway = rest;  // a "/" in here is no segment
  return identity;
}

}  // namespace

bool is_issuable_name(std::string_view name) {
  return !name.empty() && name.size() <= kIdentityPartMax &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_trust_domain(std::string_view name) {
  return !name.empty() && name.size() <= kTrustDomainMax && std::all_of(name.begin(), name.end(), [](char c) {
    return is_lower_or_digit(c) || c == '.' || c == '-' || c == '_';
  });
}

Result<Identity> Identity::parse(std::string_view uri) {
  auto identity = split(uri);
  if (!identity || !is_trust_domain(identity->trust_domain) || !is_segment(identity->site) ||
      !is_segment(identity->gateway))
    return Error{Fault::kAuthFailed,
                 "cert_identity: \"" + to_display(uri.substr(0, kShownMax)) +
                     "\" is not of the form spiffe://<trust-domain>/site/<site>/gw/<name>",
                 "issue the certificate again with such a URI as its only URI name"};
  return *std::move(identity);
}

std::string to_string(const Identity& identity) {
  return std::string(kScheme) + identity.trust_domain + "/site/" + identity.site + "/gw/" + identity.gateway;
}

Result<IdentityPattern> IdentityPattern::parse(std::string_view text) {
  auto wanted = split(text);
  const auto is_part = [](std::string_view part) { return part == "*" || is_segment(part); };
  if (!wanted || !is_trust_domain(wanted->trust_domain) || !is_part(wanted->site) || !is_part(wanted->gateway))
    return Error{Fault::kConfigInvalid, "\"" + to_display(text.substr(0, kShownMax)) + "\" names no gateway",
                 "write spiffe://<trust-domain>/site/<site>/gw/<name>; * may stand for a whole <site> or <name>"};
  return IdentityPattern(*std::move(wanted));
}

bool IdentityPattern::matches(const Identity& identity) const {
  return wanted_.trust_domain == identity.trust_domain && (wanted_.site == "*" || wanted_.site == identity.site) &&
         (wanted_.gateway == "*" || wanted_.gateway == identity.gateway);
}

int IdentityPattern::wildcards() const { return (wanted_.site == "*") + (wanted_.gateway == "*"); }

}  // namespace tideway::crypto
