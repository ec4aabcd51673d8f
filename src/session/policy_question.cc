// SPDX-License-Identifier: Apache-2.0
#include "session/policy_question.h"

namespace tideway::session {

Result<Decision> explain(const PolicyQuestion& question, const GrantTable& grants, const HasRoot& has_root) {
  const auto peer = crypto::Identity::parse(question.peer);
  if (!peer.ok()) return Error{Fault::kUsage, peer.error().what, "write the identity of one gateway: spiffe://DOMAIN/site/SITE/gw/GATEWAY"};
  const auto op = grant_op_named(question.op);
  if (!op) return Error{Fault::kUsage, "\"" + to_display(question.op) + "\" is no operation", "write read, list, write, overwrite or delete"};
  const size_t slash = question.path.find('/');
  const std::string root = question.path.substr(0, slash);
  const auto name = ObjectName::from_text(slash == question.path.npos ? "" : std::string_view(question.path).substr(slash + 1));
  if (!name.ok()) return name.error();
  if (!has_root(root)) return Error{Fault::kDenied, "there is no root \"" + to_display(root) + '"', "write a path ROOT/PATH with a [[root]] of the configuration"};
  const Decision decision = grants.decide(peer.value(), root, name.value(), *op);
  if (decision.is_allowed()) return decision;
  return Error{Fault::kDenied, "no [[grant]] lets " + to_string(peer.value()) + " " + question.op + " " + to_display(question.path), "add a [[grant]], if it should"};
}

std::vector<std::pair<std::string_view, uint64_t>> limits_of(const Decision& decision) {
  const GrantLimits none, &limits = decision.grant->limits;
  std::vector<std::pair<std::string_view, uint64_t>> found;
  if (limits.bytes_max != none.bytes_max) found.emplace_back("max_bytes", limits.bytes_max.count());
  if (limits.files_max != none.files_max) found.emplace_back("max_files", limits.files_max);
  if (limits.flows_max != none.flows_max) found.emplace_back("max_flows", limits.flows_max);
  if (limits.rate_max != none.rate_max) found.emplace_back("max_rate_bits", static_cast<uint64_t>(limits.rate_max.bits_per_second()));
  found.emplace_back("modes", limits.modes);
  return found;
}

}  // namespace tideway::session
