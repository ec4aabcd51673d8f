// SPDX-License-Identifier: Apache-2.0
//
// One copy between this machine and a peer, asked for on a session that exists or is being made: by a copy that runs by itself
// (direct.h), and by the daemon's jobs. They differ in what a local place is.
// Thread: control.
#pragma once
#include "session/address.h"
#include "session/roots.h"
#include "session/session.h"

#include <functional>
#include <optional>
#include <vector>

namespace tideway::session {

struct CopyRequest {
  std::vector<Address> sources;
  Address destination;
  messages::TransferOptions options;
  std::vector<messages::Filter> filters;
  std::optional<std::vector<ObjectName>> only;  // --files-from, below the source
  Duration staging_ttl = std::chrono::hours(7 * 24);  // older leftovers at a local destination of a direct copy are removed
  std::string transfer_class = "best-effort";
  std::string job;                              // that it belongs to, for the peer's log; may be empty
  // Of a pull that is one of several: which, and the staging that they share.
  struct Gathers { engine::GatherPart part; TransferId staging{}; };
  std::optional<Gathers> gathers = {};
  enum class Source : uint8_t { kWhole, kGrowing } source = Source::kWhole;  // kGrowing: of a push, what Session::grow() tells
};

// Where a place on this machine lies: what there is, or is to be, is named below `dir`.
struct LocalPlace {
  RootPtr dir;
  ObjectName name;  // below `dir`; the root for `dir` itself
  std::string as;   // of `dir` itself: what it is called
  storage::ScanSource::Held held = storage::ScanSource::Held::kInPlace;
};
using OpenLocal = std::function<Result<LocalPlace>(const std::string& path, storage::Side side)>;

struct SplitPath {
  std::string parent;
  std::string last;  // empty of "/", "." and ".."
};
SplitPath split_path(const std::string& path);

// An existing directory is held itself, whatever its parent allows, so that a mount point works and a link that the user wrote
// is followed; anything else is named in its parent. Errors: those of the host's directories, and source_missing.
Result<LocalPlace> open_local(std::string path, storage::Side side);

// What such a copy is called, run after run: see transfer_id.h. Another one each time for a dry run.
TransferId id_of(const CopyRequest& request);

// Asks for it. Errors: usage (no remote side, or two), source_missing, dest_* (a local place).
Result<std::shared_ptr<Transfer>> start_copy(Session& session, const TransferId& id, CopyRequest request, const OpenLocal& open_local);
// The peer of the one remote side. Errors: usage: there is none, or there are several.
Result<std::string> peer_of(const CopyRequest& request);

// What the progress line shows.
struct CopyNumbers {
  enum class Stage : uint8_t { kConnect, kScan, kSend, kPublish, kOver } stage = Stage::kConnect;
  uint64_t entries = 0, failed = 0, skipped = 0, kept = 0;
  uint64_t leaves_rejected = 0;   // of a wrong hash at the sink, and sent again
  Bytes bytes_listed, bytes_needed, bytes_verified, bytes_raw, bytes_packed;
  Bytes bytes_durable;            // no kill at either end takes these away, with those of an earlier run
  Bytes bytes_held;               // of those listed: the destination has them from an earlier run
  uint64_t packets_sent = 0, packets_lost = 0, flows = 0, path_mtu = 0;
  PacketIoLosses losses;          // on this host
  std::string_view backend;       // of packets: a name in the registry, or "tls" where UDP is blocked
  Duration rtt{};
  Bottleneck bottleneck = Bottleneck::kNone;
};
// Without a session: while the peer is to be dialled again.
CopyNumbers numbers_of(const Transfer& transfer, const Session* session, const engine::Engine& engine);

}  // namespace tideway::session
