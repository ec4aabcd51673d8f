// SPDX-License-Identifier: Apache-2.0
//
// How the thread that hears of training bursts tells the net workers, and what they tell back: a word per link direction in
// one cache line, with one writer, that each net worker reads once per turn. Nobody is woken. A worker that sends looks
// before it sends; one that sleeps sends nothing; and behind a gate that is not open it looks every millisecond.
// Thread: as named.
#pragma once
#include "congestion/registry.h"
#include "engine/board.h"
#include "engine/layout.h"
#include "gate/gate.h"
#include "gate/phase_board.h"
#include <tideway/packet_io.h>

#include <array>
#include <atomic>
#include <optional>
#include <span>
#include <vector>

namespace tideway::engine {

struct GateNews {
  gate::GateSignal signal;
  uint64_t board_slots = 0;  // bit i: slot i of the phase board belongs to a training on this link
  // Tighter than configured, because trainings were seen to suffer; zero: as configured.
  double trickle = 0;
  Duration queue_target{};
  bool operator==(const GateNews&) const = default;
};

class alignas(64) GateWord {
 public:
  GateWord() { write({}); }
  // Thread: beacon.
  void write(const GateNews& news);
  // Thread: net worker. The number changes with every write.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  // Nothing: it is being written. The reader goes on with what it has and looks again in its next turn.
  std::optional<GateNews> read() const;

 private:
  std::atomic<uint64_t> version_{0};  // odd: being written
  std::array<std::atomic<uint64_t>, 6> fields_{};
};
static_assert(sizeof(GateWord) == 64);

// What the lanes of one net worker do at one link's gate; written by it, ten times a second or with a change. Lanes and bytes are added
// up; time is told once however many lanes it held, and so is a change that they make together. What they carry is written each
// millisecond in which they are awake.
struct alignas(64) GateBoard {
  // Lanes of each reason; kNone are those whose gate is open.
  std::array<Counter, gate::kGateReasons> lanes;
  Counter pass_bytes_per_second;  // of lanes whose gate is not open: what passes, UDP payload
  Counter transitions;
  std::array<Counter, gate::kGateReasons> held_ns;  // in which a lane was not open, by reason
  Counter rate_wanted;            // of what the link's lanes may send together, in bytes per second; see NetBoard
  alignas(64) Counter bytes_sent, bytes_received;   // with headers, as a link without Ethernet's gaps is charged
  // The net worker's own.
  Time told_at{};                                   // until when held_ns has all
  gate::GateState state = gate::GateState::kOpen;   // that a lane changed to last
};

// How what we send on a link behaves, beside its gate.
struct LinkTraffic {
  std::optional<congestion::ControllerEntry> controller;  // none: the engine's
  Dscp dscp = Dscp::kLowerEffort;
  // Of all lanes together, as the link is charged: what it carries, where trainings cross it. They stay a little under it, because what
  // waits at the bottleneck when a burst comes is ahead of it there.
  Rate capacity = Rate::unlimited();
};

struct GatesConfig {
  double trickle = gate::kTrickleDefault;
  Duration queue_target = std::chrono::milliseconds(1);
  Duration ttl_default = std::chrono::seconds(2), ttl_max = std::chrono::seconds(60);
  std::vector<LinkTraffic> traffic = {};  // by link; those behind its end are as the struct says
};

class Gates {
 public:
  Gates(size_t links, const GatesConfig& config) : config_(config), words_(links), boards_(links * kNetWorkersMax) {}

  const GatesConfig& config() const { return config_; }
  LinkTraffic traffic(size_t link) const { return link < config_.traffic.size() ? config_.traffic[link] : LinkTraffic(); }
  size_t links() const { return words_.size(); }
  GateWord& word(size_t link) { return words_[link]; }
  const GateWord& word(size_t link) const { return words_[link]; }
  GateBoard& board(size_t link, size_t net_worker) { return boards_[link * kNetWorkersMax + net_worker]; }
  // Of all net workers, most of which have none of its lanes.
  std::span<const GateBoard> boards(size_t link) const { return std::span(boards_).subspan(link * kNetWorkersMax, kNetWorkersMax); }

  // Rates, timetables and shares come from the control thread, each second or so. When it says nothing for so long (a disk that does
  // not answer may hold it), what yields goes on at a trickle: nobody knows any more what it may send.
  static constexpr Duration kPlanHolds = std::chrono::seconds(5);
  // Thread: control.
  void plan_holds_until(Time until) { plan_until_.store(until.time_since_epoch().count(), std::memory_order_relaxed); }
  // Thread: any. Never told: for good.
  Time plan_until() const { return Time(Duration(plan_until_.load(std::memory_order_relaxed))); }

  // Before the engine starts. The mapping outlives it; null: there is none.
  void show_board(const tideway_phase_slot* slots) { slots_ = slots; }
  const tideway_phase_slot* slots() const { return slots_; }

 private:
  const GatesConfig config_;
  std::vector<GateWord> words_;
  std::vector<GateBoard> boards_;
  const tideway_phase_slot* slots_ = nullptr;
  std::atomic<int64_t> plan_until_{kNever.time_since_epoch().count()};
};

}  // namespace tideway::engine
