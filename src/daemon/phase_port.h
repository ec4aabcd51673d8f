// SPDX-License-Identifier: Apache-2.0
//
// Where announcements of phases arrive: beacons of other hosts, and words of this process (the API). One thread of its own
// takes them, keeps who communicates until when, and is the only writer of the gates' words. Slots of the phase board are
// watched by the net workers themselves; this thread tells them which ones matter.
// Thread: any for announce() and counts(); the rest main.
#pragma once
#include "daemon/phase_board.h"
#include "engine/gates.h"
#include "gate/beacon_judge.h"
#include "gate/burst_table.h"

#include <tideway/packet_io.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace tideway::daemon {

struct PhasePortConfig {
  std::shared_ptr<engine::Gates> gates;
  std::optional<Endpoint> listen;         // none: no beacons
  std::vector<gate::BeaconKey> keys;
  std::string board;                      // empty: none
  gate::BurstTableConfig bursts;
  std::vector<bool> hears_beacons, hears_board;  // by training
  std::vector<std::string> names;         // of the trainings
};

// Errors: config_invalid; a key that others can read is refused.
Result<std::vector<gate::BeaconKey>> read_beacon_keys(const std::string& file);

class PhasePort {
 public:
  // Errors: config_invalid, when the address or the board cannot be used.
  static Result<std::unique_ptr<PhasePort>> start(PhasePortConfig config);
  ~PhasePort();
  PhasePort(const PhasePort&) = delete;
  PhasePort& operator=(const PhasePort&) = delete;

  // Takes effect within a wake-up of its thread.
  void announce(const gate::PhaseEvent& event);
  uint64_t count(gate::BeaconFate fate) const { return counts_[static_cast<size_t>(fate)].load(std::memory_order_relaxed); }
  uint64_t expired() const { return expired_.load(std::memory_order_relaxed); }  // bursts that nobody ended
  Endpoint address() const { return address_; }  // of the socket, with the port that was picked

 private:
  explicit PhasePort(PhasePortConfig config);
  Status open_socket(const Endpoint& listen);
  void run();
  void receive(Time now);
  void take_announced(Time now);
  void take(Time now, const gate::PhaseEvent& event);
  void watch_board(Time now);
  void write_words(Time now);
  void wait(Time now);

  PhasePortConfig config_;
  gate::BeaconJudge judge_;
  gate::BurstTable bursts_;
  std::unique_ptr<PhaseBoard> board_;
  int socket_ = -1, wake_ = -1;
  Endpoint address_;
  std::vector<uint64_t> board_slots_;   // by link
  std::vector<engine::GateNews> written_;
  Time reclaimed_at_{};
  std::mutex mutex_;
  std::vector<gate::PhaseEvent> announced_;  // under mutex_; bounded by kAnnouncedMax
  std::array<std::atomic<uint64_t>, gate::kBeaconFates> counts_{};
  std::atomic<uint64_t> expired_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace tideway::daemon
