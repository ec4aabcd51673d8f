// SPDX-License-Identifier: Apache-2.0
//
// Who may do what below which root. Deny by default; grants only add; the side that owns the root decides. To a peer,
// forbidden and absent are the same: refusal() is the answer to both, and a decision is made before anything is looked
// up, in a time that depends on the table alone.
// Pure.
#pragma once
#include "crypto/identity.h"

#include <tideway/object_name.h>
#include <tideway/object_store.h>
#include <tideway/result.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::session {

// Each is given by itself: `write` allows new names only, and neither implies `read` or `list`.
enum class GrantOp : uint8_t { kRead = 1, kList = 2, kWrite = 4, kOverwrite = 8, kDelete = 16 };
std::string_view to_string(GrantOp op);
std::optional<GrantOp> grant_op_named(std::string_view name);  // "read", "list", "write", "overwrite", "delete"

class GrantOps {
 public:
  constexpr GrantOps() = default;
  constexpr GrantOps(std::initializer_list<GrantOp> ops) {
    for (const GrantOp op : ops) add(op);
  }
  constexpr void add(GrantOp op) { bits_ = static_cast<uint8_t>(bits_ | static_cast<uint8_t>(op)); }
  constexpr bool has(GrantOp op) const { return (bits_ & static_cast<uint8_t>(op)) != 0; }
  constexpr bool operator==(const GrantOps&) const = default;

 private:
  uint8_t bits_ = 0;
};

// What a transfer under a grant may use.
struct GrantLimits {
  Bytes bytes_max = Bytes::max();
  uint64_t files_max = std::numeric_limits<uint64_t>::max();
  uint32_t flows_max = std::numeric_limits<uint32_t>::max();
  Rate rate_max = Rate::unlimited();
  uint32_t modes = 0777;  // upper bound of permission bits
  bool operator==(const GrantLimits&) const = default;
};

// Of several grants that a request needs together, in each respect the least.
GrantLimits narrowest(const GrantLimits& a, const GrantLimits& b);

// Adds up what a transfer's pages name, and stops it at the page that goes beyond its grant.
class GrantMeter {
 public:
  explicit GrantMeter(const GrantLimits& limits) : bytes_max_(limits.bytes_max), files_max_(limits.files_max) {}
  // Errors: limit_exceeded, naming the limit: max_files counts directories and links, too.
  Status take(std::span<const ManifestEntry> page);
  // The grant has changed. Never to more than it was: what the sink was told then stays. Errors: limit_exceeded, it has taken more by now.
  Status narrow(const GrantLimits& limits);

 private:
  Error too_many_files() const;
  Error too_many_bytes() const;
  Bytes bytes_max_, bytes_;
  uint64_t files_max_, files_ = 0;
};

// Notices a peer that sends faster than it was told it may. An honest one paces itself and never comes near: this allows a
// quarter more, and as much at once as a stalled gateway may find waiting.
class RateGuard {
 public:
  // Called whenever there is time, with what has come since the call before. Errors: limit_exceeded, that is more than `allowed` explains.
  Status take(Time now, Rate allowed, Bytes received);

 private:
  std::optional<Time> last_;
  Bytes spare_;  // what may come on top of the rate
};

struct Grant {
  crypto::IdentityPattern peer;
  std::string root;   // by name
  ObjectName prefix;  // compared component by component; the root itself covers all of it
  GrantOps ops;
  GrantLimits limits;
  std::string rule;   // where it is written, for the audit log: "tideway.toml:42"
};

struct Decision {
  const Grant* grant = nullptr;  // into the table; nullptr: denied

  bool is_allowed() const { return grant != nullptr; }
  // For our own log: the line of the rule, or that none fits.
  std::string_view rule() const { return is_allowed() ? std::string_view(grant->rule) : "no grant"; }
};

class GrantTable {
 public:
  GrantTable() = default;  // denies everything
  explicit GrantTable(std::vector<Grant> grants) : grants_(std::move(grants)) {}

  // When several grants allow it, the one whose prefix is longest gives the limits, then the one whose peer is spelled
  // out most, then the first in the file.
  Decision decide(const crypto::Identity& peer, std::string_view root, const ObjectName& name, GrantOp op) const;

  // Whether the peer has a grant of any kind; a session without one is of no use to it.
  bool knows(const crypto::Identity& peer) const;
  // Of which it may list or read something, in byte order.
  std::vector<std::string> roots_shown_to(const crypto::Identity& peer) const;
  // The most flows that any grant of the peer allows; 0: it has none.
  uint32_t flows_max(const crypto::Identity& peer) const;

 private:
  std::vector<Grant> grants_;
};

// What the peer is told when something is forbidden, and when a root or name it may use is absent. Errors: denied.
Error refusal(std::string_view root, const ObjectName& name);

}  // namespace tideway::session
