// SPDX-License-Identifier: Apache-2.0
#include "daemon/local_grants.h"

#include "daemon/job_runner.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace tideway::daemon {
namespace {

constexpr std::string_view kPrivileged = "root or the gateway's own user";  // stands where others have the line of a grant

std::optional<uint32_t> id_of(const LocalGrant& grant) {
  if (grant.who == LocalGrant::Who::kUser) {
    const passwd* user = ::getpwnam(grant.name.c_str());
    return user == nullptr ? std::nullopt : std::optional(user->pw_uid);
  }
  const group* found = ::getgrnam(grant.name.c_str());
  return found == nullptr ? std::nullopt : std::optional(found->gr_gid);
}

}  // namespace

Result<LocalGrants> LocalGrants::resolve(const std::vector<LocalGrant>& grants, session::AuditSink audit) {
  LocalGrants table;
  table.audit_ = std::move(audit);
  for (const LocalGrant& grant : grants) {
    const auto id = id_of(grant);
    const char* const kind = grant.who == LocalGrant::Who::kUser ? "user" : "group";
    if (!id) return Error{Fault::kConfigInvalid, grant.rule + ": this machine has no " + kind + " \"" + to_display(grant.name) + '"', "make it, or correct peer in [[grant]]"};
    table.rows_.push_back({grant, *id});
  }
  return table;
}

bool LocalGrants::is_privileged(const http::Caller& caller) { return caller.uid == 0 || caller.uid == ::geteuid(); }

Status LocalGrants::allow_class(const http::Caller& caller, job::Class service) {
  if (service != job::Class::kRestore || is_privileged(caller)) return success();
  return Error{Fault::kDenied, "the class restore passes the gate that trainings close, so only root and the gateway's own user may give it to a job",
               "bring a checkpoint back with tideway restore, which needs no class, or take another one"};
}

std::optional<std::string_view> LocalGrants::rule_for(const http::Caller& caller, std::string_view root, const ObjectName& name, session::GrantOp op) const {
  if (is_privileged(caller)) return kPrivileged;
  const auto found = std::ranges::find_if(rows_, [&](const Row& row) {
    const bool is_meant = row.grant.who == LocalGrant::Who::kUser ? row.id == caller.uid : row.id == caller.gid || std::ranges::count(caller.groups, row.id) > 0;
    return is_meant && row.grant.root == root && name.starts_with(row.grant.prefix) && row.grant.ops.has(op);
  });
  return found == rows_.end() ? std::nullopt : std::optional<std::string_view>(found->grant.rule);
}

Status LocalGrants::judge(const http::Caller& caller, const Wanted& wanted, Told told) const {
  const session::GrantOp op = wanted.op;
  const auto* local = std::get_if<session::LocalAddress>(&wanted.address);
  if (local == nullptr) return success();
  const auto place = parse_root_place(local->path);
  if (!place.ok()) return place.error();
  const auto rule = rule_for(caller, place.value().root, place.value().name, op);
  if (audit_ && (told == Told::kAll || !rule)) {
    session::AuditEvent line(rule ? "grant_allowed" : "grant_denied");
    line.with("uid", caller.uid).with("op", session::to_string(op)).with("root", place.value().root).with("path", place.value().name);
    audit_(std::move(line.with("rule", rule.value_or("no grant"))));
  }
  if (rule) return success();
  return Error{Fault::kDenied, "you may not " + std::string(session::to_string(op)) + ' ' + to_display(local->path) + " through this gateway",
               "ask its operator for a [[grant]] of local:user or local:group"};
}

Status LocalGrants::allow(const http::Caller& caller, const session::CopyRequest& request, Told told) const {
  for (const session::Address& source : request.sources)
    if (Status status = judge(caller, {source, session::GrantOp::kRead}, told); !status.ok()) return status;
  if (Status status = judge(caller, {request.destination, session::GrantOp::kWrite}, told); !status.ok()) return status;
  return request.options.overwrite == messages::Overwrite::kNever ? success() : judge(caller, {request.destination, session::GrantOp::kOverwrite}, told);
}

Status LocalGrants::allow_still(const job::Job& job, const session::CopyRequest& request) const {
  return job.groups.empty() ? success() : allow({job.owner, job.groups.front(), job.groups}, request, Told::kDenials);
}

std::vector<uint32_t> groups_of(const http::Caller& caller) {
  std::vector<uint32_t> groups{caller.gid};
  groups.insert(groups.end(), caller.groups.begin(), caller.groups.end());
  return groups;
}

}  // namespace tideway::daemon
