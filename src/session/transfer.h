// SPDX-License-Identifier: Apache-2.0
//
// What the control thread knows of one transfer: which side of it we are, how far it is, what waits to be said to the
// peer, and how it ended.
// Thread: control.
#pragma once
#include "engine/commands.h"
#include "session/grants.h"
#include "session/stall.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace tideway::session {

enum class Role : uint8_t { kSource, kSink };

// Where a transfer stands, in the order it usually goes.
enum class Stage : uint8_t {
  kPreparing,  // our side: opening destination or source
  kAsked,      // OpenTransfer is out, no answer yet
  kRunning,    // pages and blocks go
  kClosing,    // we are through; the peer's last word is missing
  kOver,
};

struct Transfer {
  engine::TransferHandle handle;
  TransferId id{};
  Role role = Role::kSource;
  Stage stage = Stage::kPreparing;
  messages::OpenTransfer request;
  std::optional<messages::RemoveTree> removal;  // asked for here: instead of the request, whose direction is kRemove
  std::shared_ptr<engine::TransferBoard> board = std::make_shared<engine::TransferBoard>();
  StallWatch stall;                            // of our side, as the peer was told last
  Stall peer_stall = Stall::kNone;             // as the peer told it last
  bool is_ready = false;  // our side of a pull is prepared, so it may be asked for
  std::optional<SlotId> slot;
  std::optional<messages::TransferAccepted> acceptance;  // of a push: leaves when all lanes have said what credit they give
  size_t lanes_opening = 0;
  messages::ManifestEnd listed;                // once the list is complete
  bool is_gathered = false;                    // one of several that bring a tree together: nothing is published from it
  std::optional<GrantMeter> meter;             // of the serving side, except for lists
  bool is_closed_by_peer = false;              // its TransferClosed is here
  uint64_t bytes_guarded = 0;                  // of a sink: what has come, as the rate guard saw it last
  Rate rate_own = Rate::unlimited();           // of a source that was asked for here: its owner's limit, see limit_rate()
  Rate in_bursts;                              // the same: what it may send while a training holds bulk back
  uint32_t modes = 0777;                       // of a sink that serves: what the grant allowed when it began
  Rate rate_max = Rate::unlimited();           // of the source: what its owner, the peer and the grant allow, the least
  std::deque<engine::TransferMessage> unsent;  // the io worker keeps it short: see MessageTaken
  uint32_t undigested = 0;                     // FromPeer that the io worker has not taken
  std::optional<Result<engine::TransferDone::Outcome>> outcome;
  engine::Leftovers leftovers = engine::Leftovers::kKept;  // of a sink that does not publish
  // Of a sink that is through: in the audit log before the peer hears of it, or said there to be late.
  struct Untold {
    std::weak_ptr<const void> unaudited;  // gone: it is there, or cannot be
    Time ends_at{};                       // nobody waits longer for a disk that hangs
  };
  std::optional<Untold> untold;
  std::optional<engine::TransferDone::Outcome> counted;  // of a dry run: what would be copied

  // For whoever started it; may be empty.
  std::function<void(const engine::EntryReported&)> on_report;
  std::function<void(const ManifestEntry&)> on_entry;
};

// No bytes cross: a list, or a dry run.
inline bool only_lists(const messages::OpenTransfer& request) {
  return request.direction == messages::Direction::kList || request.options.dry_run;
}

// The peer's roots, and not what lies below one: no other request is without a root. It is asked by a message of its own.
inline bool lists_roots(const messages::OpenTransfer& request) { return request.root.empty(); }
messages::OpenTransfer request_of(const messages::ListRoots& question);

// What a grant must allow for it; what may_replace() needs `overwrite` besides.
GrantOp op_of(const messages::OpenTransfer& request);
inline bool may_replace(const messages::OpenTransfer& request) {
  return op_of(request) == GrantOp::kWrite && request.options.overwrite != messages::Overwrite::kNever;
}

// How a serving side says it in its log: "push ckpt/runs/llm7".
std::string describe(const Transfer& transfer);

}  // namespace tideway::session
