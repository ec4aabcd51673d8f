// SPDX-License-Identifier: Apache-2.0
//
// What somebody wants to know of grants: whether one lets a peer do something, which, and with which limits. `tideway policy test` asks it of the
// file, POST /v1/policy/test of the gateway that runs.
// Thread: any. Pure.
#pragma once
#include "session/grants.h"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tideway::session {

struct PolicyQuestion {
  std::string peer, op, path;  // an identity, a word, ROOT/PATH
};
using HasRoot = std::function<bool(const std::string& name)>;

// Errors: usage: it is no question; denied: there is no such root, or no grant allows it.
Result<Decision> explain(const PolicyQuestion& question, const GrantTable& grants, const HasRoot& has_root);

// The limits of a decision that allows something, by their names in the configuration; rates in bits per second. Only those that it has, and its modes.
std::vector<std::pair<std::string_view, uint64_t>> limits_of(const Decision& decision);

}  // namespace tideway::session
