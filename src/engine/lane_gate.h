// SPDX-License-Identifier: Apache-2.0
//
// The gate in front of one lane: joins what others say about the link direction, what the lane's own flows see of the path,
// and the rate to reopen with, and tells the flows what they may send.
// Thread: net worker.
#pragma once
#include "engine/gates.h"
#include "flow/lane.h"
#include "gate/remembered_rate.h"

#include <array>
#include <utility>

namespace tideway::engine {

class LaneGate {
 public:
  // How often the path is looked at, and a gate that is not open.
  static constexpr Duration kLookPeriod = std::chrono::milliseconds(1);

  // `gates` outlives it.
  LaneGate(Time now, Gates& gates, size_t link, size_t net_worker);
  ~LaneGate();  // takes what it wrote on the board off again
  LaneGate(const LaneGate&) = delete;
  LaneGate& operator=(const LaneGate&) = delete;

  using Flows = std::span<const std::unique_ptr<flow::Flow>>;
  // Once per turn, before anything is written. After it the flows send what the gate lets pass.
  void turn(Time now, Flows flows);
  // What the flows wrote and took, for the board. Before it is handed to the kernel: whoever compares with an interface's counters
  // has to know of our bytes first.
  void count(Flows flows);
  // What a deadline is allowed to take from trainings, of all flows together, in UDP payload; zero: nothing.
  void let_in_bursts(Rate rate) { is_told_ &= std::exchange(in_bursts_, rate) == rate; }
  Time next_deadline(Time now) const;
  bool is_open() const { return gate_.state == gate::GateState::kOpen; }
  size_t link() const { return link_; }
  const gate::Gate& gate() const { return gate_; }

 private:
  gate::GateSignal signal(Time now) const;
  bool meets_burst(Time now, Flows flows) const;
  void look(Time now, Flows flows);
  Rate let_through(size_t flows) const;
  void tell_flows(Time now, Flows flows);
  void tell_held(Time now);
  void tell_board(Time now);
  Duration queue_target() const;
  double trickle() const;

  const Gates& gates_;
  const size_t link_;
  GateBoard& board_;
  uint64_t version_ = 0;      // of the news below
  GateNews news_;
  gate::Gate gate_;
  gate::GatePath path_;
  std::array<gate::RememberedRate, flow::Lane::kFlowsMax> remembered_;
  Duration rtt_least_ = Duration::max();  // of this round trip of PROBE
  Time looked_at_ = Time::min();
  Time told_at_;
  Rate in_bursts_;
  bool is_told_ = true;                   // the flows know of it
  uint64_t passes_ = 0;                   // bytes per second, while it is not open
  uint64_t bytes_sent_ = 0, bytes_received_ = 0;
  struct Told {
    gate::GateState state = gate::GateState::kOpen;
    gate::GateReason reason = gate::GateReason::kNone;
    uint64_t passes = 0;
  } told_;                                // of this lane, on the board
};

}  // namespace tideway::engine
