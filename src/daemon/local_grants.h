// SPDX-License-Identifier: Apache-2.0
//
// What users of this machine may have the gateway do with its roots, by the credentials of their socket. Deny by default; root and
// the gateway's own user need no grant. Names of users and groups are looked up once, at the start and at each reload. What is
// decided goes to the audit log.
// Thread: control.
#pragma once
#include "http/exchange.h"
#include "job/job.h"
#include "session/audit_event.h"
#include "session/copy.h"
#include "session/grants.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::daemon {

struct LocalGrant {
  enum class Who : uint8_t { kUser, kGroup } who = Who::kUser;
  std::string name;
  std::string root;
  ObjectName prefix;
  session::GrantOps ops;
  std::string rule;  // where it is written
};

class LocalGrants {
 public:
  LocalGrants() = default;  // denies everything but to root and ourselves
  // Errors: config_invalid: this machine knows no such user or group.
  static Result<LocalGrants> resolve(const std::vector<LocalGrant>& grants, session::AuditSink audit = {});

  // The rule that allows it; nothing: none does.
  std::optional<std::string_view> rule_for(const http::Caller& caller, std::string_view root, const ObjectName& name, session::GrantOp op) const;
  // The side of a copy that lies here must be granted to whoever asks; the peer judges its own. Errors: denied, usage.
  Status allow(const http::Caller& caller, const session::CopyRequest& request) const { return allow(caller, request, Told::kAll); }
  // What was granted when its job was submitted, by rules that may have changed since; only a denial is written down. A job whose record has
  // no groups is not judged.
  Status allow_still(const job::Job& job, const session::CopyRequest& request) const;
  static bool is_privileged(const http::Caller& caller);
  // A restore passes the gate that trainings close, so the word alone could stop them. What POST /v1/restore brings back is one
  // by itself, for everybody. Errors: denied.
  static Status allow_class(const http::Caller& caller, job::Class service);

 private:
  struct Row {
    LocalGrant grant;
    uint32_t id = 0;
  };
  enum class Told : uint8_t { kAll, kDenials };
  struct Wanted {
    const session::Address& address;
    session::GrantOp op;
  };
  Status allow(const http::Caller& caller, const session::CopyRequest& request, Told told) const;
  Status judge(const http::Caller& caller, const Wanted& wanted, Told told) const;

  std::vector<Row> rows_;
  session::AuditSink audit_;
};

// Of its process, with its own one in front: what it was allowed by.
std::vector<uint32_t> groups_of(const http::Caller& caller);

}  // namespace tideway::daemon
