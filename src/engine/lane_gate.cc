// SPDX-License-Identifier: Apache-2.0
#include "engine/lane_gate.h"

#include <algorithm>
#include <bit>

namespace tideway::engine {

using gate::GateState;

LaneGate::LaneGate(Time now, Gates& gates, size_t link, size_t net_worker)
    : gates_(gates), link_(link), board_(gates.board(link, net_worker)), told_at_(now) {
  gate_.since = now;
}

// The board of this host is shorter than the word: a slot closes the gate without anybody in between.
gate::GateSignal LaneGate::signal(Time now) const {
  gate::GateSignal signal = news_.signal;
  if (gates_.slots() == nullptr) return signal;
  for (uint64_t slots = news_.board_slots; slots != 0; slots &= slots - 1) {
    const tideway_phase_slot& slot = gates_.slots()[std::countr_zero(slots)];
    const Time until = gate::slot_closed_until(slot, now, gates_.config().ttl_default, gates_.config().ttl_max);
    if (until <= signal.closed_until) continue;
    signal.closed_until = until;
    signal.reason = gate::GateReason::kTraining;
  }
  return signal;
}

void LaneGate::turn(Time now, Flows flows) {
  const GateWord& word = gates_.word(link_);
  if (word.version() != version_) {
    if (const auto news = word.read()) {
      version_ = word.version();
      news_ = *news;
    }
  }
  const bool is_judged = gate_.state == GateState::kProbe && now >= gate_.until;
  if (is_judged || looked_at_ == Time::min() || now - looked_at_ >= kLookPeriod) look(now, flows);
  const gate::Gate before = gate_;
  gate_ = gate::step(before, now, signal(now), path_);
  if (gate_.until != before.until) rtt_least_ = Duration::max();
  const bool is_changed = gate_.transitions != before.transitions || gate_.reason != before.reason;
  if (is_changed || gate_.probe_share != before.probe_share) tell_flows(now, flows);
  if (is_changed || now - told_at_ >= std::chrono::milliseconds(100)) {
    if (before.state != GateState::kOpen)
      board_.held_ns[static_cast<size_t>(before.reason)].add(static_cast<uint64_t>((now - told_at_).count()));
    tell_board(now);
  }
}

void LaneGate::look(Time now, Flows flows) {
  looked_at_ = now;
  Duration rtt = Duration::max(), queue = Duration::max();
  path_.memory = gate::GatePath::Memory::kFresh;
  path_.backoffs = 0;
  for (size_t i = 0; i < flows.size(); ++i) {
    const flow::FlowStats stats = flows[i]->stats();
    if (stats.state != flow::FlowState::kOpen || stats.rtt_min == Duration::zero()) continue;
    const Duration waits = stats.rtt_latest - stats.rtt_min;
    if (is_open() && waits <= gates_.config().queue_target) remembered_[i].on_delivered(now, stats.delivery_rate, stats.rtt_min);
    if (remembered_[i].is_stale(now, news_.signal.period)) path_.memory = gate::GatePath::Memory::kStale;
    rtt = std::min(rtt, stats.rtt_min);
    queue = std::min(queue, waits);
    path_.backoffs = std::max(path_.backoffs, flows[i]->backoffs(now));
  }
  if (rtt == Duration::max()) return;
  path_.rtt = rtt + gates_.config().queue_target;
  rtt_least_ = std::min(rtt_least_, queue);
  path_.queue = rtt_least_ > gates_.config().queue_target ? gate::Queue::kOverTarget : gate::Queue::kUnderTarget;
}

void LaneGate::tell_flows(Time now, Flows flows) const {
  for (size_t i = 0; i < flows.size(); ++i)
    flows[i]->set_pass(now, {.most = gate::ceiling(gate_, remembered_[i].rate(), gates_.config().trickle),
                             .model = is_open() ? flow::Pass::Model::kLearns : flow::Pass::Model::kRests});
}

void LaneGate::tell_board(Time now) {
  told_at_ = now;
  board_.state.set(static_cast<uint64_t>(gate_.state));
  board_.transitions.set(gate_.transitions);
  board_.misses.set(gate_.misses);
}

Time LaneGate::next_deadline(Time now) const {
  if (!is_open()) return now + kLookPeriod;
  return news_.signal.guard_from > now ? news_.signal.guard_from : kNever;
}

}  // namespace tideway::engine
