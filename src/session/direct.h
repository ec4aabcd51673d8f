// SPDX-License-Identifier: Apache-2.0
//
// One copy by itself: dials the peer's daemon, pushes or pulls, and is over. The same sessions, engine, verification
// and publish as in a daemon. A local side needs no configured root: the directory itself, or the one that holds it, is
// opened for this one copy.
// Thread: control.
#pragma once
#include "session/address.h"
#include "session/gateway.h"

#include <deque>
#include <functional>
#include <map>

namespace tideway::session {

struct CopyRequest {
  std::vector<Address> sources;
  Address destination;
  messages::TransferOptions options;
  std::vector<messages::Filter> filters;
  std::optional<std::vector<ObjectName>> only;  // --files-from, below the source
  Duration staging_ttl = std::chrono::hours(7 * 24);  // older leftovers at a local destination are removed
};

// Mends a tree that was published on this machine.
struct RepairRequest {
  RemoteAddress from;  // a copy with the same root
  std::string path;
  std::map<ObjectId, std::vector<uint32_t>> damaged;  // leaves by file, as verify_tree found them
};

// Where a path on this machine lies. An existing directory is held itself, whatever its parent allows, so that a mount
// point works and a link that the user wrote is followed; what else there is, or is to be, is named in its parent.
struct LocalPlace {
  RootPtr dir;
  ObjectName name;  // below `dir`; the root for `dir` itself
  std::string as;   // of `dir` itself: what it is called
};
Result<LocalPlace> open_local(std::string path, storage::Side side);

// What the progress line shows.
struct CopyNumbers {
  enum class Stage : uint8_t { kConnect, kScan, kSend, kPublish, kOver } stage = Stage::kConnect;
  uint64_t entries = 0, failed = 0, skipped = 0, kept = 0;
  uint64_t leaves_rejected = 0;   // of a wrong hash at the sink, and sent again
  Bytes bytes_listed, bytes_needed, bytes_verified, bytes_raw, bytes_packed;
  Bytes bytes_held;               // of those listed: the destination has them from an earlier run
  uint64_t packets_sent = 0, packets_lost = 0, flows = 0, path_mtu = 0;
  PacketIoLosses losses;          // on this host
  std::string_view backend;       // of packets: a name in the registry
  Duration rtt{};
};

// A peer that was there and went away is dialled again for so long, whatever it was that ended the session: a gateway that
// restarts is back in seconds. The copy then goes on from what the sink has.
inline constexpr Duration kReconnectTime = std::chrono::seconds(20);

class Direct {
 public:
  using Outcome = engine::TransferDone::Outcome;

  // Errors: usage (no remote side, or two), config_invalid, source_missing (a local source), peer_unreachable.
  static Result<std::unique_ptr<Direct>> copy(const GatewayConfig& gateway, const PeerConfig& peer, CopyRequest request);
  // Fetches the damaged leaves alone. Errors: also source_missing, when `path` has no manifest.
  static Result<std::unique_ptr<Direct>> repair(const GatewayConfig& gateway, const PeerConfig& peer, RepairRequest request);
  // Lists what lies directly below `address`.
  static Result<std::unique_ptr<Direct>> list(const GatewayConfig& gateway, const PeerConfig& peer, const RemoteAddress& address);

  // One turn of the loop. False: it is over, and outcome() is set.
  bool turn(Duration at_most, int also_fd = -1);
  void cancel();
  CopyNumbers numbers() const;
  const Result<Outcome>& outcome() const { return *outcome_; }
  std::deque<engine::EntryReported>& reports() { return reports_; }  // failed and skipped entries; take them
  std::deque<ManifestEntry>& entries() { return entries_; }          // of a list or a dry run; take them

 private:
  explicit Direct(PeerConfig peer) : peer_(std::move(peer)) {}
  Status begin(const GatewayConfig& gateway);
  Status dial();
  Status ask();  // for what is to be copied
  Status push(CopyRequest request);
  Status pull(CopyRequest request);
  void watch(std::shared_ptr<Transfer> transfer);
  void part();
  bool may_reconnect(const Error& why) const;
  void lose_session();
  void reconnect();

  PeerConfig peer_;
  std::optional<CopyRequest> request_;  // of a copy, to ask for it again
  std::unique_ptr<Gateway> gateway_;
  Session* session_ = nullptr;          // none while the peer is to be dialled again
  Time lost_at_ = kNever;               // kNever: not up before; zero: it goes on
  Time dials_at_{};
  std::optional<Error> lost_why_;
  Duration dial_pause_{};
  std::shared_ptr<Transfer> transfer_;
  std::optional<Result<Outcome>> outcome_;
  std::deque<engine::EntryReported> reports_;
  std::deque<ManifestEntry> entries_;
};

}  // namespace tideway::session
