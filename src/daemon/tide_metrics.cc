// SPDX-License-Identifier: Apache-2.0
#include "daemon/tide_metrics.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

using enum MetricsText::Type;

double in_seconds(Duration time) { return std::chrono::duration<double>(time).count(); }
double state_number(std::string_view state) {
  for (const auto known : {gate::GateState::kOpen, gate::GateState::kGuard, gate::GateState::kClosed, gate::GateState::kProbe})
    if (gate::name_of(known) == state) return static_cast<double>(known);
  return 0;
}

void add_gates(MetricsText& out, const TideApi& tide) {
  const LinkSources& sources = tide.sampler().sources();
  out.family("gate_state", kGauge, "what bulk meets on a link: 0 open, 1 guard, 2 closed, 3 probe");
  for (const api::LinkView& link : tide.views())
    for (const api::LinkGate& gate : link.gates) out.value(state_number(gate.state), {{"link", link.peer}, {"direction", gate.direction}});
  // Net workers see the same words, so the one that saw most of it is the link's.
  out.family("gate_transitions_total", kCounter, "changes of a gate's state");
  for (size_t link = 0; link < sources.links.size(); ++link) {
    uint64_t most = 0;
    for (const engine::GateBoard& board : sources.gates->boards(link)) most = std::max(most, board.transitions.get());
    out.value(static_cast<double>(most), {{"link", sources.links[link].peer}, {"direction", "send"}});
  }
  out.family("training_yield_seconds_total", kCounter, "for how long bulk that was under way made room, by why");
  for (size_t link = 0; link < sources.links.size(); ++link)
    for (size_t reason = 1; reason < gate::kGateReasons; ++reason) {
      uint64_t most = 0;
      for (const engine::GateBoard& board : sources.gates->boards(link)) most = std::max(most, board.held_ns[reason].get());
      if (most > 0) out.value(in_seconds(Duration(static_cast<int64_t>(most))), {{"link", sources.links[link].peer}, {"reason", std::string(name_of(static_cast<gate::GateReason>(reason)))}});
    }
  out.family("leftover_utilisation_ratio", kGauge, "bulk of what trainings leave of a link whose capacity is configured, over ten seconds");
  for (size_t link = 0; link < sources.links.size(); ++link)
    if (const auto used = tide.sampler().leftover_used(link)) out.value(*used, {{"link", sources.links[link].peer}});
}

void add_trainings(MetricsText& out, const PhasePort& phases, Time now) {
  out.family("phase_beacons_total", kCounter, "datagrams on the beacon port, by what became of them");
  for (size_t i = 0; i < gate::kBeaconFates; ++i) {
    const auto fate = static_cast<gate::BeaconFate>(i);
    out.value(static_cast<double>(phases.count(fate)), {{"result", std::string(name_of(fate))}});
  }
  out.family("phase_alarms_total", kCounter, "signals of trainings with which something was wrong, by what");
  for (size_t i = 0; i < kPhaseTroubles; ++i) {
    const auto trouble = static_cast<PhaseTrouble>(i);
    out.value(static_cast<double>(phases.mail().count(trouble)), {{"alarm", std::string(name_of(trouble))}});
  }
  const PhaseReport report = phases.report();
  const auto each = [&](auto value) {
    for (size_t i = 0; i < report.trainings.size(); ++i)
      if (const std::optional<double> known = value(report.trainings[i])) out.value(*known, {{"training", phases.names()[i]}});
  };
  using Training = PhaseReport::Training;
  out.family("phase_source_age_seconds", kGauge, "since a training was heard of last");
  each([now](const Training& training) { return training.heard_at ? std::optional(std::max(0.0, in_seconds(now - *training.heard_at))) : std::nullopt; });
  out.family("training_period_seconds", kGauge, "from one begin of its bursts to the next, once it is known");
  each([](const Training& training) { return training.period > Duration::zero() ? std::optional(in_seconds(training.period)) : std::nullopt; });
  out.family("predictor_error_seconds", kGauge, "how far the last begin was from where it was expected");
  each([](const Training& training) { return training.lock == planner::Lock::kUnknown ? std::nullopt : std::optional(in_seconds(training.error)); });
  out.family("phase_misses_total", kCounter, "begins that were expected and did not come");
  each([](const Training& training) { return std::optional(static_cast<double>(training.misses)); });
  out.family("interference_ratio", kGauge, "how much longer iterations are for bulk, as hold-outs show");
  each([](const Training& training) { return training.inflation; });
  out.family("interference_budget_ratio", kGauge, "how much longer they may be, as configured");
  each([](const Training& training) { return std::optional(training.budget); });
}

}  // namespace

void add_tide(MetricsText& out, const TideApi& tide, Time now) {
  if (!tide.sampler().sources().links.empty()) add_gates(out, tide);
  if (tide.phases() != nullptr) add_trainings(out, *tide.phases(), now);
}

}  // namespace tideway::daemon
