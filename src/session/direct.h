// SPDX-License-Identifier: Apache-2.0
//
// One copy by itself: dials the peer's daemon, pushes or pulls, and is over. The same sessions, engine, verification
// and publish as in a daemon. A local side needs no configured root: the directory itself, or the one that holds it, is
// opened for this one copy.
// Thread: control.
#pragma once
#include "session/copy.h"
#include "session/gateway.h"

#include <deque>
#include <functional>
#include <map>

namespace tideway::session {

// Mends a tree that was published on this machine.
struct RepairRequest {
  RemoteAddress from;  // a copy with the same root
  std::string path;
  std::map<ObjectId, std::vector<uint32_t>> damaged;  // leaves by file, as verify_tree found them
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
  // Lists what lies below `address`, so many levels of it; without a root, the roots that the peer's grants let us list or read. Errors at the
  // end: also protocol_version, when the peer's version does not tell them.
  static Result<std::unique_ptr<Direct>> list(const GatewayConfig& gateway, const PeerConfig& peer, const RemoteAddress& address, uint32_t depth = 1);

  // One turn of the loop. False: it is over, and outcome() is set.
  bool turn(Duration at_most, int also_fd = -1);
  void cancel();
  CopyNumbers numbers() const;
  const Result<Outcome>& outcome() const { return *outcome_; }
  std::deque<engine::EntryReported>& reports() { return reports_; }  // failed and skipped entries; take them
  std::deque<Error>& notices() { return notices_; }                  // what the copy got over; take them
  std::deque<ManifestEntry>& entries() { return entries_; }          // of a list or a dry run; take them

 private:
  Direct(PeerConfig peer, const GatewayConfig& gateway) : peer_(std::move(peer)), carrier_(gateway.fallback, gateway.ask_udp_after) {}
  Status begin(const GatewayConfig& gateway);
  Status dial();
  Status ask();  // for what is to be copied
  void watch(std::shared_ptr<Transfer> transfer);
  void part();
  bool may_reconnect(const Error& why);
  bool change_carrier(const Error& why);
  void judge_carrier();
  void explain_refusal();
  void leave_carrier(std::string why);
  void lose_session();
  void reconnect();

  PeerConfig peer_;
  std::optional<CopyRequest> request_;  // of a copy, to ask for it again
  std::unique_ptr<Gateway> gateway_;
  CarrierChoice carrier_;
  Session* session_ = nullptr;          // none while the peer is to be dialled again
  Time lost_at_ = kNever;               // kNever: not up before; zero: it goes on
  Time dials_at_{};
  std::optional<Error> lost_why_;
  Duration dial_pause_{};
  std::shared_ptr<Transfer> transfer_;
  std::optional<Result<Outcome>> outcome_;
  std::deque<engine::EntryReported> reports_;
  std::deque<Error> notices_;
  std::deque<ManifestEntry> entries_;
};

}  // namespace tideway::session
