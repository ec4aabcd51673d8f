// SPDX-License-Identifier: Apache-2.0
//
// What a job's specification means for the session.
// Thread: control.
#pragma once
#include "daemon/peer_sessions.h"
#include "job/spec.h"
#include "session/copy.h"

#include <string>
#include <string_view>

namespace tideway::daemon {

// A place of this machine in a job: `root:path`.
struct RootPlace {
  std::string root;
  ObjectName name;
};
// Errors: usage.
Result<RootPlace> parse_root_place(std::string_view text);

// What names of a specification mean here.
struct Names {
  const session::Roots& roots;
  const PeerSessions& peers;
};
// Errors of both: usage, unsupported: an address or a word that nothing here knows.
Result<session::Address> parse_place(const std::string& text, const Names& names);
Result<session::CopyRequest> request_of(const job::Spec& spec, const Names& names);

// Where a job's local places lie: below a root of this gateway, which is held open since its start.
session::OpenLocal below_roots(const session::Roots& roots);

}  // namespace tideway::daemon
