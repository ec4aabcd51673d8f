// SPDX-License-Identifier: Apache-2.0
//
// Who may do what: a table of grants, a peer and a name from the input, decided as a plain reading of the rules decides it. A line is
// "pattern root prefix ops"; the last one is who asks, for which root and name, with which operation.
#include "session/grants.h"

#include <tideway/check.h>

#include <algorithm>
#include <sstream>

namespace {

using namespace tideway;
using namespace tideway::session;

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; words.size() < 4 && in >> word;) words.push_back(word);
  words.resize(4);
  return words;
}

std::optional<Grant> grant_of(const std::vector<std::string>& words) {
  auto peer = crypto::IdentityPattern::parse(words[0]);
  auto prefix = ObjectName::from_text(words[2] == "-" ? "" : words[2]);
  if (!peer.ok() || !prefix.ok()) return std::nullopt;
  GrantOps ops;
  std::istringstream in(words[3]);
  for (std::string op; std::getline(in, op, ',');)
    if (const auto known = grant_op_named(op)) ops.add(*known);
  return Grant{std::move(peer).value(), words[1], std::move(prefix).value(), ops, {}, "here:1"};
}

bool covers(const ObjectName& prefix, const ObjectName& name) {
  const auto& outer = prefix.components();
  const auto& inner = name.components();
  return outer.size() <= inner.size() && std::equal(outer.begin(), outer.end(), inner.begin());
}

// Not by IdentityPattern: three texts, two of which may be a star.
bool is_meant(const std::string& pattern, const crypto::Identity& peer) {
  for (const std::string& site : {peer.site, std::string("*")})
    for (const std::string& gateway : {peer.gateway, std::string("*")})
      if (pattern == "spiffe://" + peer.trust_domain + "/site/" + site + "/gw/" + gateway) return true;
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  std::vector<Grant> grants;
  std::vector<std::string> asks(4);
  for (std::string line; std::getline(in, line) && grants.size() < 64;) {
    asks = words_of(line);
    if (auto grant = grant_of(asks); grant && in.peek() != EOF) grants.push_back(std::move(*grant));
  }
  const auto peer = crypto::Identity::parse(asks[0]);
  const auto name = ObjectName::from_text(asks[2] == "-" ? "" : asks[2]);
  const auto op = grant_op_named(asks[3]);
  if (!peer.ok() || !name.ok() || !op) return 0;
  const GrantTable table(grants);
  const bool is_allowed = std::ranges::any_of(grants, [&](const Grant& grant) {
    return is_meant(to_string(grant.peer), peer.value()) && grant.root == asks[1] && grant.ops.has(*op) && covers(grant.prefix, name.value());
  });
  TIDEWAY_CHECK(table.decide(peer.value(), asks[1], name.value(), *op).is_allowed() == is_allowed);
  TIDEWAY_CHECK(table.knows(peer.value()) || !is_allowed);
  return 0;
}
