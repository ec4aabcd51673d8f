// SPDX-License-Identifier: Apache-2.0
#include "daemon/link_sampler.h"

#include "schedule/registry.h"
#include <tideway/schedule_policy.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace tideway::daemon {
namespace {

constexpr double kReactedMin = 0.05;       // less is one queue that was felt
constexpr uint64_t kPacketsForLoss = 100;  // fewer say nothing about a path

std::string_view name_of(planner::Lock lock) {
  static constexpr std::string_view kNames[] = {"none", "acquiring", "locked", "lost"};
  return kNames[static_cast<size_t>(lock)];
}

uint64_t sum(std::span<const engine::GateBoard> boards, engine::Counter engine::GateBoard::*counter) {
  uint64_t total = 0;
  for (const engine::GateBoard& board : boards) total += (board.*counter).get();
  return total;
}

uint64_t lanes_with(std::span<const engine::GateBoard> boards, gate::GateReason reason) {
  uint64_t total = 0;
  for (const engine::GateBoard& board : boards) total += board.lanes[static_cast<size_t>(reason)].get();
  return total;
}

}  // namespace

std::string hold_reason(const LinkHold& hold) {
  const bool has_reacted = hold.reason == name_of(gate::GateReason::kReactive) || (hold.reason.empty() && hold.reacted >= kReactedMin);
  if (has_reacted) return std::string(name_of(hold.trainings == LinkHold::Trainings::kKnown ? HoldReason::kReactive : HoldReason::kUnknownForeground));
  return hold.reason.starts_with("gate:") && hold.open_share < schedule::kStarvedShare ? std::string(name_of(HoldReason::kGateStarved)) : hold.reason;
}

LinkSampler::LinkSampler(LinkSources sources) : sources_(std::move(sources)), past_(sources_.links.size()) {}

std::vector<api::LinkView> LinkSampler::look(Time now) {
  const Duration passed = looked_at_ == Time::min() ? Duration() : now - looked_at_;
  looked_at_ = now;
  const PhaseReport report = sources_.phases == nullptr ? PhaseReport() : sources_.phases->report();
  const session::SessionCounts counts = sources_.gateway->counts();
  std::vector<api::LinkView> views;
  for (size_t link = 0; link < sources_.links.size(); ++link) {
    const LinkAbout& about = sources_.links[link];
    api::LinkView view{.peer = about.peer, .kind = about.kind, .capacity = about.capacity, .gates = {gate_of(link, report)}, .bulk_send = {}, .bulk_receive = {},
                       .foreground = {}, .rtt = {}, .loss = {}, .trainings = {}};
    add_traffic(link, passed, report, view);
    if (const std::string& reason = view.gates.front().reason; !reason.empty()) past_[link].reason = reason, past_[link].reason_at = now;
    else if (now - past_[link].reason_at >= kReasonKept) past_[link].reason.clear();
    add_path(link, counts, view);
    add_trainings(link, now, report, view);
    views.push_back(std::move(view));
  }
  return views;
}

double left_by_trainings(Rate capacity, const TrainingTime& time) {
  const double all = static_cast<double>(capacity.over(time.over).count());
  return std::max(0.0, all - static_cast<double>((time.foreground ? *time.foreground : capacity.over(time.bursting)).count()));
}

double left_to_use(Rate capacity, const TrainingTime& time) {
  return std::min(left_by_trainings(capacity, time), static_cast<double>(capacity.over(time.open).count()));
}

void LinkSampler::add_traffic(size_t link, Duration passed, const PhaseReport& report, api::LinkView& view) {
  Past& past = past_[link];
  const auto boards = sources_.gates->boards(link);
  const uint64_t sent = sum(boards, &engine::GateBoard::bytes_sent), received = sum(boards, &engine::GateBoard::bytes_received);
  const Bytes sent_now(sent - std::exchange(past.sent, sent)), received_now(received - std::exchange(past.received, received));
  TrainingTime time{.over = passed, .open = passed};
  uint64_t reacted = 0;
  for (const engine::GateBoard& board : boards) reacted = std::max(reacted, board.held_ns[static_cast<size_t>(gate::GateReason::kReactive)].get());
  const uint64_t reacted_now = reacted - std::exchange(past.reacted_ns, reacted);
  past.reacted = passed > Duration::zero() ? static_cast<double>(reacted_now) / static_cast<double>(passed.count()) : 0;
  if (link < report.links.size()) {
    past.open_share = report.links[link].open_share;
    time.bursting = report.links[link].bursting - std::exchange(past.bursting, report.links[link].bursting);
    time.open = std::min(passed, report.links[link].open - std::exchange(past.open, report.links[link].open));
    if (const auto seen = report.links[link].foreground) time.foreground = *seen - std::exchange(past.foreground, *seen);
  }
  if (passed <= Duration::zero()) return;
  past.gate.open += time.open;
  past.gate.over += passed;
  if (time.foreground) view.foreground = Rate::of(*time.foreground, passed);
  view.bulk_send = Rate::of(sent_now, passed);
  view.bulk_receive = Rate::of(received_now, passed);
  if (!view.capacity) return;
  const double keeps = std::exp(-std::chrono::duration<double>(passed) / std::chrono::duration<double>(kUseTime));
  past.used = keeps * past.used + static_cast<double>(sent_now.count());
  past.left = keeps * past.left + left_by_trainings(*view.capacity, time);
  past.left_seen = {past.left_seen.bytes + left_to_use(*view.capacity, time), past.left_seen.over + passed};
}

LinkHold LinkSampler::hold(size_t link, const api::LinkView& view) const {
  const bool is_known = std::ranges::any_of(view.trainings, [](const api::TrainingOnLink& one) { return one.predictor == "locked" || one.is_bursting; });
  return {past_[link].reason, past_[link].open_share, past_[link].reacted, is_known ? LinkHold::Trainings::kKnown : LinkHold::Trainings::kUnknown};
}

std::optional<double> LinkSampler::leftover_used(size_t link) const {
  if (past_[link].left <= 0) return std::nullopt;
  return past_[link].used / past_[link].left;
}

void LinkSampler::add_path(size_t link, const session::SessionCounts& counts, api::LinkView& view) {
  Past& past = past_[link];
  if (const auto found = counts.traffic.find(view.peer); found != counts.traffic.end()) {
    const session::Traffic& traffic = found->second;
    if (traffic.packets_sent - past.packets_sent >= kPacketsForLoss) {
      const uint64_t sent = traffic.packets_sent - std::exchange(past.packets_sent, traffic.packets_sent);
      const uint64_t lost = traffic.packets_lost - std::min(traffic.packets_lost, std::exchange(past.packets_lost, traffic.packets_lost));
      past.loss = static_cast<double>(lost) / static_cast<double>(sent);
    }
  }
  view.loss = past.loss;
  for (const auto& session : sources_.gateway->all_sessions()) {
    if (session->peer_site() != view.peer) continue;
    for (const engine::LaneHandle handle : session->lanes()) {
      const auto board = sources_.gateway->engine().lane_board(handle);
      if (board == nullptr) continue;
      for (const engine::FlowBoard& flow : board->flows) {
        const Duration rtt(static_cast<int64_t>(flow.rtt_ns.get()));
        if (flow.is_open.get() != 0 && rtt > Duration::zero()) view.rtt = std::min(view.rtt.value_or(rtt), rtt);
      }
    }
  }
}

// What trainings ask for, and beyond that what the lanes do by themselves.
api::LinkGate LinkSampler::gate_of(size_t link, const PhaseReport& report) const {
  using enum gate::GateReason;
  const auto boards = sources_.gates->boards(link);
  const PhaseReport::Link asked = link < report.links.size() ? report.links[link] : PhaseReport::Link();
  gate::GateState state = asked.state;
  gate::GateReason reason = asked.reason;
  if (state == gate::GateState::kOpen && lanes_with(boards, kReactive) > 0) state = gate::GateState::kClosed, reason = kReactive;
  else if (state == gate::GateState::kOpen && lanes_with(boards, kPlanExpired) > 0) state = gate::GateState::kClosed, reason = kPlanExpired;
  else if (state == gate::GateState::kOpen && lanes_with(boards, kProbe) > 0) state = gate::GateState::kProbe, reason = kProbe;
  api::LinkGate gate{.direction = "send", .state = std::string(gate::name_of(state)), .reason = std::string(gate::name_of(reason)), .rate = {}};
  if (reason == kTraining) gate.reason += ':' + sources_.phases->names()[asked.training];
  if (state != gate::GateState::kOpen) gate.rate = Rate::bytes_per_second(sum(boards, &engine::GateBoard::pass_bytes_per_second));
  return gate;
}

void LinkSampler::add_trainings(size_t link, Time now, const PhaseReport& report, api::LinkView& view) const {
  for (size_t i = 0; i < report.trainings.size(); ++i) {
    if (std::ranges::count(sources_.phases->links_of(i), link) == 0) continue;
    const PhaseReport::Training& known = report.trainings[i];
    api::TrainingOnLink& training = view.trainings.emplace_back();
    training.name = sources_.phases->names()[i];
    training.predictor = name_of(known.lock);
    if (known.lock != planner::Lock::kUnknown) training.period = known.period, training.jitter = known.sigma;
    training.is_bursting = known.is_bursting;
    training.source = planner::name_of(known.origin);
    if (known.heard_at) training.source_age = std::max(now - *known.heard_at, Duration());
    training.inflation = known.inflation;
    training.budget = known.budget;
  }
}

}  // namespace tideway::daemon
