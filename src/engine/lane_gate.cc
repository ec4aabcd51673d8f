// SPDX-License-Identifier: Apache-2.0
#include "engine/lane_gate.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tideway::engine {

using gate::GateState;

namespace {

constexpr Duration kTellPeriod = std::chrono::milliseconds(100);
// Of a packet on the wire, beside its UDP payload: Ethernet, IPv4 and UDP.
constexpr uint64_t kHeaders = 14 + 20 + 8;

size_t index_of(gate::GateReason reason) { return static_cast<size_t>(reason); }

}  // namespace

LaneGate::LaneGate(Time now, Gates& gates, size_t link, size_t net_worker)
    : gates_(gates), link_(link), board_(gates.board(link, net_worker)), told_at_(now) {
  gate_.since = now;
  board_.lanes[index_of(told_.reason)].add(1);
}

LaneGate::~LaneGate() {
  board_.lanes[index_of(told_.reason)].add(~uint64_t{0});  // one less
  board_.pass_bytes_per_second.add(0 - told_.passes);
}

Duration LaneGate::queue_target() const { return news_.queue_target > Duration::zero() ? news_.queue_target : gates_.config().queue_target; }
double LaneGate::trickle() const { return news_.trickle > 0 ? news_.trickle : gates_.config().trickle; }

// The board of this host is shorter than the word: a slot closes the gate without anybody in between.
gate::GateSignal LaneGate::signal(Time now) const {
  gate::GateSignal signal = news_.signal;
  if (now > gates_.plan_until() && signal.closed_until <= now) signal.closed_until = now + kLookPeriod, signal.reason = gate::GateReason::kPlanExpired;
  if (gates_.slots() == nullptr) return signal;
  const bool is_held = now < signal.closed_until && (signal.reason == gate::GateReason::kHoldout || signal.reason == gate::GateReason::kBudget);
  for (uint64_t slots = news_.board_slots; slots != 0; slots &= slots - 1) {
    const tideway_phase_slot& slot = gates_.slots()[std::countr_zero(slots)];
    const Time until = gate::slot_closed_until(slot, now, gates_.config().ttl_default, gates_.config().ttl_max);
    if (until <= signal.closed_until) continue;
    signal.closed_until = until;
    if (!is_held) signal.reason = gate::GateReason::kTraining;
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
  if (is_judged || looked_at_ == Time::min() || now - looked_at_ >= kLookPeriod || meets_burst(now, flows)) look(now, flows);
  const gate::Gate before = gate_;
  gate_ = gate::step(before, now, signal(now), path_);
  if (gate_.until != before.until) rtt_least_ = Duration::max();
  const bool is_changed = gate_.transitions != before.transitions || gate_.reason != before.reason;
  if (is_changed || gate_.probe_share != before.probe_share || !is_told_) tell_flows(now, flows);
  if (is_changed || now - told_at_ >= kTellPeriod) tell_board(now);
}

void LaneGate::count(Flows flows) {
  uint64_t sent = 0, received = 0;
  for (const auto& flow : flows) {
    const flow::FlowStats stats = flow->stats();
    sent += stats.bytes_sent + kHeaders * stats.packets_sent;
    received += stats.bytes_received + kHeaders * stats.packets_received;
  }
  board_.bytes_sent.add(sent - std::exchange(bytes_sent_, sent));
  board_.bytes_received.add(received - std::exchange(bytes_received_, received));
}

// What a controller has seen is not left until the next look: what leaves meanwhile is in the burst's way.
bool LaneGate::meets_burst(Time now, Flows flows) const {
  return is_open() && std::ranges::any_of(flows, [&](const auto& flow) { return flow->backoffs(now) >= gate::kBackoffsOfBurst; });
}

void LaneGate::look(Time now, Flows flows) {
  const Duration since_look = looked_at_ == Time::min() ? Duration() : now - looked_at_;
  looked_at_ = now;
  count(flows);
  Duration rtt = Duration::max(), queue = Duration::max();
  path_.memory = gate::GatePath::Memory::kFresh;
  path_.backoffs = 0;
  // What is acked in the first round trip left before it opened.
  const Duration settled = is_open() ? now - gate_.since - path_.rtt : Duration();
  for (size_t i = 0; i < flows.size(); ++i) {
    const flow::FlowStats stats = flows[i]->stats();
    if (stats.state != flow::FlowState::kOpen || stats.rtt_min == Duration::zero()) continue;
    const Duration waits = stats.rtt_latest - stats.rtt_min;
    if (settled > Duration::zero()) remembered_[i].on_delivered(now, stats.delivery_rate, stats.rtt_min, std::min(settled, since_look));
    if (remembered_[i].is_stale(now, news_.signal.period)) path_.memory = gate::GatePath::Memory::kStale;
    rtt = std::min(rtt, stats.rtt_min);
    queue = std::min(queue, waits);
    path_.backoffs = std::max(path_.backoffs, flows[i]->backoffs(now));
  }
  if (rtt == Duration::max()) return;
  path_.rtt = rtt + queue_target();
  // While it is closed each look is one of its own: what a burst began with is not what is there now.
  rtt_least_ = gate_.state == GateState::kClosed ? queue : std::min(rtt_least_, queue);
  path_.queue = rtt_least_ > queue_target() ? gate::Queue::kOverTarget : gate::Queue::kUnderTarget;
}

// Held to measure what bulk costs, or because it costs too much, nothing passes but the trickle.
Rate LaneGate::let_through(size_t flows) const {
  const bool is_for_training = gate_.reason == gate::GateReason::kTraining || gate_.reason == gate::GateReason::kGuard;
  return is_for_training && flows > 0 ? in_bursts_ * (1.0 / static_cast<double>(flows)) : Rate();
}

void LaneGate::tell_flows(Time now, Flows flows) {
  passes_ = 0;
  is_told_ = true;
  using Model = flow::Pass::Model;
  const Model model = is_open() ? Model::kLearns : gate_.pulse == gate::Pulse::kLeaves ? Model::kAsks : Model::kRests;
  for (size_t i = 0; i < flows.size(); ++i) {
    const Rate most = model == Model::kAsks ? Rate::unlimited() : std::max(gate::ceiling(gate_, remembered_[i].rate(), trickle()), let_through(flows.size()));
    flows[i]->set_pass(now, {.most = most, .model = model});
    if (!is_open()) passes_ += std::min(most, flows[i]->pacing_rate()).bytes_per_second();
  }
}

// Each change of a lane is told at once, so since the board was told last its lanes were as it has them. A worker that slept had nothing
// to send, so nothing was held meanwhile.
void LaneGate::tell_held(Time now) {
  const Duration passed = std::clamp(now - std::exchange(board_.told_at, std::max(now, board_.told_at)), Duration(), kTellPeriod + kLookPeriod);
  for (size_t reason = index_of(gate::GateReason::kNone) + 1; reason < board_.lanes.size(); ++reason)
    if (board_.lanes[reason].get() > 0) board_.held_ns[reason].add(static_cast<uint64_t>(passed.count()));
}

void LaneGate::tell_board(Time now) {
  tell_held(now);
  told_at_ = now;
  board_.lanes[index_of(told_.reason)].add(~uint64_t{0});
  board_.lanes[index_of(gate_.reason)].add(1);
  board_.pass_bytes_per_second.add(passes_ - told_.passes);
  // Lanes see the same words, so the first one that changes does it for all of them.
  if (gate_.state != told_.state && std::exchange(board_.state, gate_.state) != gate_.state) board_.transitions.add(1);
  told_ = {gate_.state, gate_.reason, passes_};
}

Time LaneGate::next_deadline(Time now) const {
  if (!is_open()) return now + kLookPeriod;
  return news_.signal.guard_from > now ? news_.signal.guard_from : kNever;
}

}  // namespace tideway::engine
