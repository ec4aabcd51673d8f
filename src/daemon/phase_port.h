// SPDX-License-Identifier: Apache-2.0
//
// Where the site hears of trainings: beacons of other hosts, words of this process (the API), the phase board, and counters of
// their traffic. One thread of its own takes them, drives the site's loop with them, and is the only writer of the gates' words.
// Bursts on the phase board are seen by the net workers themselves; this thread tells them which slots matter.
// Thread: any for announce(), report() and counts(); the rest main.
#pragma once
#include "daemon/bell.h"
#include "daemon/phase_board.h"
#include "daemon/phase_mail.h"
#include "daemon/traffic_counters.h"
#include "engine/gates.h"
#include "gate/beacon_judge.h"
#include "planner/site_loop.h"

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
  planner::SiteLoopConfig site;
  std::vector<bool> hears_api, hears_beacons, hears_board;  // by training
  std::vector<std::string> names;         // of the trainings
  std::vector<std::string> peers;         // of the links
  struct Counted {
    size_t training;
    std::vector<CounterName> counters;
    Rate capacity;                        // of the links that it crosses, the least
  };
  std::vector<Counted> counted;           // trainings whose bursts counters show
  std::optional<Endpoint> data_address;   // from which bulk leaves; none: not through the kernel's interfaces
};

// What is known at one moment.
struct PhaseReport {
  struct Training {
    planner::Lock lock = planner::Lock::kUnknown;
    Duration period{}, sigma{}, error{};
    bool is_bursting = false;
    planner::PhaseOrigin origin = planner::PhaseOrigin::kNone;
    std::optional<Time> heard_at;
    std::optional<double> inflation;
    double budget = 0;
    uint64_t misses = 0;
  };
  struct Link {
    gate::GateState state = gate::GateState::kOpen;  // that trainings ask for
    gate::GateReason reason = gate::GateReason::kNone;
    size_t training = 0;                  // of kTraining
    Duration bursting{}, open{};          // so far
    std::optional<Bytes> foreground;      // so far, that counters show
    double open_share = 1;                // of the time lately that its gate is open
  };
  std::vector<Training> trainings;
  std::vector<Link> links;
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

  // A word of the API. Taken, it has its effect within a wake-up of the thread; kFull: the thread does not keep up.
  gate::EventFate announce(const gate::PhaseEvent& event);
  // What the gateway of that site says of a training there. It predicts, and moves no gate by itself.
  void on_notice(Time now, const std::string& site, const messages::PhaseNotice& notice);
  PhaseMail& mail() { return mail_; }
  const PhaseMail& mail() const { return mail_; }
  // As of a moment ago.
  PhaseReport report() const;
  const std::vector<std::string>& names() const { return config_.names; }
  const std::vector<size_t>& links_of(size_t training) const { return config_.site.bursts.trainings[training].links; }
  uint64_t count(gate::BeaconFate fate) const { return counts_[static_cast<size_t>(fate)].load(std::memory_order_relaxed); }
  uint64_t expired() const { return expired_.load(std::memory_order_relaxed); }  // bursts that nobody ended
  Endpoint address() const { return address_; }  // of the socket, with the port that was picked

 private:
  explicit PhasePort(PhasePortConfig config);
  Status open_socket(const Endpoint& listen);
  Status open_counters();
  void run();
  void receive(Time now);
  void take_announced(Time now);
  void take(Time now, const gate::PhaseEvent& event, planner::PhaseOrigin origin);
  void watch_board(Time now);
  void watch_slot(Time now, size_t slot, size_t training);
  bool has_run_out_unseen(Time now, size_t slot) const;
  Time runs_out_at(size_t slot) const;
  void watch_counters(Time now);
  InterfaceCounters::Counts own_bytes() const;
  void watch_bulk();
  void write_words(Time now);
  void tell_news(Time now);
  void tell_peers(const planner::SiteNews& news);
  void alarm(Time now, PhaseTrouble trouble, const std::string& subject);
  void watch_forgeries(Time now);
  void make_report(Time now);
  void wait(Time now);

  PhasePortConfig config_;
  gate::BeaconJudge judge_;
  planner::SiteLoop loop_;
  std::unique_ptr<PhaseBoard> board_;
  Descriptor socket_;
  Bell bell_;
  Endpoint address_;
  std::vector<uint64_t> board_slots_;   // by link
  std::vector<engine::GateNews> written_;
  Time reclaimed_at_{};
  struct Slot {
    uint64_t begin_ns = 0;
    bool is_burst = false, is_ahead = false;  // the latter: its begin was ahead of now when we saw it first
    Time begin{};                         // from when on its time to live counts
    std::optional<size_t> training;       // that bursts there
  };
  std::array<Slot, TIDEWAY_PHASE_SLOTS> slots_;  // as seen last
  struct Counted {
    size_t training;
    TrafficCounters counters;
    planner::CounterWatch watch;
    Duration bin;
    Time read_at = Time::min();
  };
  std::vector<Counted> counted_;
  std::vector<uint64_t> bulk_sent_;       // by link, as counted before
  PhaseMail mail_;
  uint64_t forged_ = 0;                   // beacons, as counted before
  std::mutex mutex_;
  std::vector<gate::PhaseEvent> announced_;  // under mutex_; bounded by kAnnouncedMax
  mutable std::mutex report_mutex_;
  PhaseReport report_;                    // under report_mutex_
  std::array<std::atomic<uint64_t>, gate::kBeaconFates> counts_{};
  std::atomic<uint64_t> expired_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace tideway::daemon
