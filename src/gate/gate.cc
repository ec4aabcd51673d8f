// SPDX-License-Identifier: Apache-2.0
#include "gate/gate.h"

#include <algorithm>

namespace tideway::gate {
namespace {

Gate enter(const Gate& from, Time now, GateState state, GateReason reason) {
  Gate gate = from;
  gate.state = state;
  gate.reason = reason;
  gate.training = 0;
  gate.since = now;
  gate.until = kNever;
  gate.is_climbing = false;
  gate.reacts_since = kNever;
  gate.pulse = Pulse::kNone;
  ++gate.transitions;
  return gate;
}

Gate close(const Gate& from, Time now, const GateSignal& signal) {
  Gate gate = from.state == GateState::kClosed ? from : enter(from, now, GateState::kClosed, signal.reason);
  gate.reacts_since = kNever;
  gate.reason = signal.reason;
  gate.training = signal.training;
  gate.until = kNever;
  return gate;
}

Duration round_trip(const GatePath& path) { return path.rtt > Duration::zero() ? path.rtt : kProbeRttDefault; }

Gate probe(const Gate& from, Time now, const GatePath& path) {
  Gate gate = enter(from, now, GateState::kProbe, GateReason::kProbe);
  if (from.reacts_since != kNever) {
    gate.reacts_since = from.reacts_since;
    gate.pulse = Pulse::kLeaves;
    gate.probe_share = kProbeShare;
    gate.until = now + kPulse;
    return gate;
  }
  gate.is_climbing = path.memory == GatePath::Memory::kStale;
  gate.probe_share = gate.is_climbing ? kStaleShare : kProbeShare;
  gate.until = now + round_trip(path);
  return gate;
}

Gate react(const Gate& from, Time now, const GatePath& path) {
  Gate gate = enter(from, now, GateState::kClosed, GateReason::kReactive);
  const bool is_new = from.reacts_since == kNever;
  gate.reacts_since = is_new ? now : from.reacts_since;
  if (is_new) gate.is_rest = now - from.since < std::min(from.burst / 2, 2 * round_trip(path) + kReactivePauseMin);
  gate.pulses_met = is_new ? 0 : from.pulses_met + 1;
  gate.is_believed = !is_new;
  gate.until = now + (is_new ? round_trip(path) + kLateMost : std::max(2 * path.rtt, kReactivePauseMin));
  return gate;
}

bool is_still_there(const Gate& gate, Time now, const GatePath& path) {
  return gate.reacts_since != kNever && path.queue == Queue::kOverTarget && now - gate.reacts_since < kReactiveMost;
}

// CLOSED: nobody asks for it any more, and the pause is over.
Gate reopen(const Gate& from, Time now, const GatePath& path) {
  if (!is_still_there(from, now, path)) return probe(from, now, path);
  if (from.is_believed) return from;
  Gate gate = from;
  gate.is_believed = true;
  if (!from.is_rest) gate.until = from.reacts_since + std::min(from.burst, kBurstSureMost);
  return gate;
}

// What left when it closed has come back, and the queue is gone already: a host was late, and nobody bursts.
bool is_false_alarm(const Gate& gate, Time now, const GatePath& path) {
  const bool is_new = gate.reacts_since == gate.since && !gate.is_believed;
  return is_new && path.queue == Queue::kUnderTarget && now - gate.since >= round_trip(path) + kPulse;
}

// Of what meets a burst its last packets wait longest, so what came before them says nothing.
Gate follow_pulse(const Gate& from, Time now, const GatePath& path) {
  Gate gate = from;
  switch (from.pulse) {
    case Pulse::kLeaves:
      gate.pulse = Pulse::kUnderWay;
      gate.probe_share = 0;
      gate.until = from.since + round_trip(path) + kPulse * 5 / 4;
      return gate;
    case Pulse::kUnderWay:
      gate.pulse = Pulse::kArrives;
      gate.until = from.since + round_trip(path) + kPulse * 3 / 2;
      return gate;
    case Pulse::kArrives:
    case Pulse::kNone: break;
  }
  if (is_still_there(from, now, path)) return react(from, now, path);
  gate = enter(from, now, GateState::kOpen, GateReason::kNone);
  if (from.is_rest || now - from.reacts_since >= kReactiveMost) return gate;
  const bool was_met = from.pulses_met > 0;
  const auto lasted = static_cast<double>((from.since - from.reacts_since).count());
  gate.burst = Duration(static_cast<int64_t>(was_met ? lasted : lasted * (1 - from.shorter)));
  gate.shorter = was_met ? kBurstShorter : std::min(2 * from.shorter, kBurstShorterMost);
  return gate;
}

// A round trip of PROBE is over.
Gate judge_probe(const Gate& from, Time now, const GatePath& path) {
  if (from.pulse != Pulse::kNone) return follow_pulse(from, now, path);
  Gate gate = from;
  gate.until = now + round_trip(path);
  if (path.queue == Queue::kOverTarget && gate.probe_share > kProbeShareMin) {
    gate.probe_share = std::max(gate.probe_share * kProbeCut, kProbeShareMin);
    return gate;
  }
  if (gate.is_climbing && gate.probe_share < kProbeShare) {
    gate.probe_share = std::min(2 * gate.probe_share, 1.0);
    return gate;
  }
  return enter(from, now, GateState::kOpen, GateReason::kNone);
}

}  // namespace

std::string_view name_of(GateState state) {
  static constexpr std::string_view kNames[] = {"open", "guard", "closed", "probe"};
  return kNames[static_cast<size_t>(state)];
}

std::string_view name_of(GateReason reason) {
  static constexpr std::string_view kNames[kGateReasons] = {"",          "gate",          "guard",      "probe",             "reactive", "timetable",
                                                            "policy_denied", "lease_lost", "paused_by_operator", "holdout",  "budget",   "plan_expired"};
  return kNames[static_cast<size_t>(reason)];
}

Gate step(const Gate& gate, Time now, const GateSignal& signal, const GatePath& path) {
  if (now < signal.closed_until) return close(gate, now, signal);
  const bool is_expected = signal.guard_from <= now && now < signal.guard_until;
  switch (gate.state) {
    case GateState::kOpen:
      if (is_expected) return enter(gate, now, GateState::kGuard, GateReason::kGuard);
      if (path.backoffs >= kBackoffsOfBurst && signal.backoffs == GateSignal::BackOffs::kTell) return react(gate, now, path);
      return gate;
    case GateState::kGuard:
      return is_expected ? gate : probe(gate, now, path);
    case GateState::kClosed:
      if (gate.until == kNever || now >= gate.until) return reopen(gate, now, path);
      return is_false_alarm(gate, now, path) ? enter(gate, now, GateState::kOpen, GateReason::kNone) : gate;
    case GateState::kProbe:
      if (is_expected) return enter(gate, now, GateState::kGuard, GateReason::kGuard);
      return now < gate.until ? gate : judge_probe(gate, now, path);
  }
  return gate;
}

Rate ceiling(const Gate& gate, Rate remembered, double trickle) {
  switch (gate.state) {
    case GateState::kOpen: break;
    case GateState::kGuard:
    case GateState::kClosed: {
      const Rate passes = remembered == Rate() ? kTrickleUnknown : remembered * std::min(trickle, kTrickleMax);
      return gate.reason == GateReason::kReactive ? std::max(passes, kFeeler) : passes;
    }
    case GateState::kProbe:
      if (gate.pulse != Pulse::kNone) return std::max(remembered * gate.probe_share, kFeeler);
      return remembered == Rate() ? Rate::unlimited() : remembered * gate.probe_share;
  }
  return Rate::unlimited();
}

}  // namespace tideway::gate
