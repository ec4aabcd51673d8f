// SPDX-License-Identifier: Apache-2.0
#include "session/grants.h"

#include "base/amounts.h"

#include <algorithm>
#include <set>

namespace tideway::session {
namespace {

struct OpName {
  GrantOp op;
  std::string_view name;
};
constexpr OpName kOpNames[] = {{GrantOp::kRead, "read"},
                               {GrantOp::kList, "list"},
                               {GrantOp::kWrite, "write"},
                               {GrantOp::kOverwrite, "overwrite"},
                               {GrantOp::kDelete, "delete"}};

constexpr double kRateTolerance = 1.25;
constexpr Bytes kSpareMin = 256_MiB;                          // the largest part of the buffers that one peer's blocks fill
constexpr Duration kSpareTime = std::chrono::seconds(5);

bool is_more_specific(const Grant& a, const Grant& b) {
  if (a.prefix.components().size() != b.prefix.components().size())
    return a.prefix.components().size() > b.prefix.components().size();
  return a.peer.wildcards() < b.peer.wildcards();
}

}  // namespace

std::string_view to_string(GrantOp op) {
  return std::ranges::find(kOpNames, op, &OpName::op)->name;
}

std::optional<GrantOp> grant_op_named(std::string_view name) {
  const auto* const found = std::ranges::find(kOpNames, name, &OpName::name);
  return found == std::end(kOpNames) ? std::nullopt : std::optional(found->op);
}

GrantLimits narrowest(const GrantLimits& a, const GrantLimits& b) {
  return {std::min(a.bytes_max, b.bytes_max), std::min(a.files_max, b.files_max), std::min(a.flows_max, b.flows_max),
          std::min(a.rate_max, b.rate_max), a.modes & b.modes};
}

Error GrantMeter::too_many_files() const {
  return {Fault::kLimitExceeded, "the grant allows " + std::to_string(files_max_) + " files, directories and links, and the transfer has more",
          "copy parts of it, or ask the owner of that root to raise max_files"};
}

Error GrantMeter::too_many_bytes() const {
  return {Fault::kLimitExceeded, "the grant allows " + to_string(bytes_max_) + ", and the transfer has more",
          "copy parts of it, or ask the owner of that root to raise max_bytes"};
}

Status GrantMeter::take(std::span<const ManifestEntry> page) {
  for (const ManifestEntry& entry : page) {
    if (files_ >= files_max_) return too_many_files();
    ++files_;
    if (entry.size > saturating_sub(bytes_max_, bytes_)) return too_many_bytes();
    bytes_ = bytes_ + entry.size;
  }
  return success();
}

Status GrantMeter::narrow(const GrantLimits& limits) {
  bytes_max_ = std::min(bytes_max_, limits.bytes_max);
  files_max_ = std::min(files_max_, limits.files_max);
  if (files_ > files_max_) return too_many_files();
  return bytes_ > bytes_max_ ? Status(too_many_bytes()) : success();
}

Status RateGuard::take(Time now, Rate allowed, Bytes received) {
  if (allowed.is_unlimited()) {
    last_.reset();
    return success();
  }
  const Bytes spare_max = kSpareMin + allowed.over(kSpareTime);
  const Bytes earned = last_ ? (allowed * kRateTolerance).over(now - *last_) : spare_max;
  last_ = now;
  spare_ = earned > spare_max - std::min(spare_, spare_max) ? spare_max : spare_ + earned;
  if (received > spare_)
    return Error{Fault::kLimitExceeded, "the peer sends faster than the max_rate of its grants, " + to_string(allowed),
                 "copy with --bwlimit, or ask the owner of that root to raise max_rate"};
  spare_ -= received;
  return success();
}

Decision GrantTable::decide(const crypto::Identity& peer, std::string_view root, const ObjectName& name,
                            GrantOp op) const {
  Decision decision;
  for (const Grant& grant : grants_) {  // all of them each time: when it is denied, nobody learns how far we got
    const bool allows =
        grant.peer.matches(peer) && grant.root == root && name.starts_with(grant.prefix) && grant.ops.has(op);
    if (allows && (decision.grant == nullptr || is_more_specific(grant, *decision.grant))) decision.grant = &grant;
  }
  return decision;
}

bool GrantTable::knows(const crypto::Identity& peer) const {
  return std::ranges::any_of(grants_, [&](const Grant& grant) { return grant.peer.matches(peer); });
}

std::vector<std::string> GrantTable::roots_shown_to(const crypto::Identity& peer) const {
  std::set<std::string> names;
  for (const Grant& grant : grants_)
    if (grant.peer.matches(peer) && (grant.ops.has(GrantOp::kList) || grant.ops.has(GrantOp::kRead))) names.insert(grant.root);
  return {names.begin(), names.end()};
}

uint32_t GrantTable::flows_max(const crypto::Identity& peer) const {
  uint32_t most = 0;
  for (const Grant& grant : grants_)
    if (grant.peer.matches(peer)) most = std::max(most, grant.limits.flows_max);
  return most;
}

Error refusal(std::string_view root, const ObjectName& name) {
  return {Fault::kDenied,
          "root \"" + to_display(root) + "\", name \"" + to_display(name) + "\": not there, or not allowed",
          "ask the owner of that root for a [[grant]]; its log names the rule"};
}

}  // namespace tideway::session
