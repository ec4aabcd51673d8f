// SPDX-License-Identifier: Apache-2.0
#include "planner/site_loop.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tideway::planner {
namespace {

constexpr uint16_t kSeenMember = UINT16_MAX;  // of bursts that counters show: no announcer can be it

}  // namespace

SiteLoop::SiteLoop(SiteLoopConfig config)
    : config_(std::move(config)), bursts_(config_.bursts), board_bursts_(config_.trainings.size()), was_bursting_(config_.trainings.size()),
      maybe_ended_(config_.trainings.size()), told_(config_.trainings.size()), links_(config_.bursts.link_sites.size()) {
  for (TrainingRules rules : config_.trainings) {
    rules.guard_max = config_.bursts.ttl_max;
    watches_.emplace_back(rules);
  }
}

// ---- words in ------------------------------------------------------------------------------------------------------

gate::EventFate SiteLoop::on_event(Time now, const gate::PhaseEvent& event, PhaseOrigin origin) {
  on_time(now);
  const gate::EventFate fate = bursts_.on_event(now, event);
  if (fate != gate::EventFate::kTaken && fate != gate::EventFate::kNotBegun) return fate;
  TrainingWatch& watch = watches_[bursts_.index_of(event.training)];
  if (event.kind != gate::PhaseKind::kIteration) watch.on_heard(now, origin);  // which announces nothing
  if (event.kind == gate::PhaseKind::kPredict) watch.on_prediction({now + event.ahead, event.details.jitter});
  if (event.kind == gate::PhaseKind::kIteration) watch.on_iteration(event.details.duration);
  settle(now, origin, TrainingWatch::End::kSaid);
  return fate;
}

void SiteLoop::on_board_begin(Time at, size_t training) {
  ++board_bursts_[training];
  watches_[training].on_heard(at, PhaseOrigin::kBoard);
  settle(at, PhaseOrigin::kBoard, TrainingWatch::End::kSaid);
}

void SiteLoop::on_board_end(Time at, size_t training) {
  watches_[training].on_heard(at, PhaseOrigin::kBoard);
  end_on_board(at, training, TrainingWatch::End::kSaid);
}

void SiteLoop::on_board_run_out(Time at, size_t training) { end_on_board(at, training, TrainingWatch::End::kRanOut); }

void SiteLoop::end_on_board(Time at, size_t training, TrainingWatch::End end) {
  if (board_bursts_[training] > 0) --board_bursts_[training];
  settle(at, PhaseOrigin::kBoard, end);
}

// Anything may stand on the board.
void SiteLoop::on_board_prediction(Time now, Time begin, size_t training) {
  if (begin - now <= gate::kAheadMax) watches_[training].on_prediction({begin, {}});
}

void SiteLoop::on_counted(size_t training, CounterWatch& watch, const CounterWatch::Sample& sample) {
  const CounterWatch::Edge edge = watch.on_sample(sample);  // first: the time of the edge is that of the one before until then
  on_counters(training, edge, watch.edge_at(), sample.at);
}

// Counters move the gate only while nobody announces; else they say the same, later.
void SiteLoop::on_counters(size_t training, CounterWatch::Edge edge, Time at, Time now) {
  if (edge == CounterWatch::Edge::kNone) return;
  TrainingWatch& watch = watches_[training];
  if (edge == CounterWatch::Edge::kEnd) {
    watch.on_seen_end(at);
    if (watch.expects_more(at)) maybe_ended_[training] = at;
    else tell_counters(training, gate::PhaseKind::kEnd, at, now);
    return;
  }
  watch.on_seen(at, is_bursting(training) ? TrainingWatch::Said::kBefore : TrainingWatch::Said::kNot);
  maybe_ended_[training].reset();
  if (watch.believes_counters(now)) tell_counters(training, gate::PhaseKind::kBegin, at, now);
}

void SiteLoop::tell_counters(size_t training, gate::PhaseKind kind, Time at, Time now) {
  gate::PhaseEvent event{.kind = kind, .training = config_.bursts.trainings[training].id, .destination = 0, .member = kSeenMember, .members = kSeenMember, .ahead = {}, .details = {}};
  event.details.ttl = config_.bursts.ttl_max;  // the end will be seen, too
  if (bursts_.on_event(now, event) != gate::EventFate::kTaken) return;
  watches_[training].on_heard(now, PhaseOrigin::kCounters);
  settle(at, PhaseOrigin::kCounters, TrainingWatch::End::kSaid);
}

void SiteLoop::on_peer(size_t training, gate::PhaseKind kind, Time at) {
  if (kind == gate::PhaseKind::kBegin) watches_[training].on_peer_begin(at);
  if (kind == gate::PhaseKind::kEnd) watches_[training].on_peer_end(at);
}

void SiteLoop::on_bulk(size_t link, Bytes sent) {
  for (size_t i = 0; i < watches_.size(); ++i)
    if (std::ranges::count(links_of(i), link) > 0) watches_[i].on_bulk(sent);
}

void SiteLoop::on_time(Time now) {
  const Duration passed = last_ == Time::min() ? Duration() : std::max(now - last_, Duration());
  last_ = now;
  for (size_t link = 0; link < links_.size(); ++link)
    if (bursting_training(link)) links_[link].bursting += passed;
  const double keeps = std::exp(-std::chrono::duration<double>(passed) / std::chrono::duration<double>(kShareTime));
  for (size_t link = 0; link < links_.size(); ++link) {
    const gate::GateSignal asked = signal(now, link);
    const bool is_closed = bursting_training(link) || now < asked.closed_until, is_guarded = asked.guard_from <= now && now < asked.guard_until;
    links_[link].open_share = keeps * links_[link].open_share + (is_closed ? 0 : 1 - keeps);
    if (!is_closed && !is_guarded) links_[link].open += passed;
  }
  bursts_.on_time(now);
  settle(now, PhaseOrigin::kNone, TrainingWatch::End::kRanOut);
  for (size_t i = 0; i < watches_.size(); ++i) {
    if (maybe_ended_[i] && (now - *maybe_ended_[i] >= TrainingWatch::kPauseMax || !watches_[i].expects_more(now)))
      tell_counters(i, gate::PhaseKind::kEnd, *std::exchange(maybe_ended_[i], std::nullopt), now);
    watches_[i].on_time(now);
    tell_changes(now, i);
  }
  for (size_t link = 0; link < links_.size(); ++link) {
    LinkState& state = links_[link];
    if (now >= signal(now, link).closed_until && !bursting_training(link)) state.closed_since = kNever, state.is_held_told = false;
    else if (state.closed_since == kNever) state.closed_since = now;
    else if (now - state.closed_since >= kHeldLong && !std::exchange(state.is_held_told, true)) news_.push_back({SiteNews::Kind::kGateHeld, link});
  }
}

// Tells each training's watch when its first member began or its last one ended.
void SiteLoop::settle(Time at, PhaseOrigin origin, TrainingWatch::End end) {
  for (size_t i = 0; i < watches_.size(); ++i) {
    if (is_bursting(i) == was_bursting_[i]) continue;
    was_bursting_[i] = !was_bursting_[i];
    if (was_bursting_[i]) watches_[i].on_burst_begin(at, origin);
    else watches_[i].on_burst_end(at, end);
    news_.push_back({was_bursting_[i] ? SiteNews::Kind::kBegun : SiteNews::Kind::kEnded, i, {}, 0, at});
    if (!was_bursting_[i] && end == TrainingWatch::End::kRanOut) news_.push_back({SiteNews::Kind::kStale, i});
  }
}

void SiteLoop::tell_changes(Time now, size_t training) {
  const TrainingWatch& watch = watches_[training];
  Told& told = told_[training];
  const Lock lock = watch.lock(now);
  if (lock == Lock::kLocked && !told.was_locked) news_.push_back({SiteNews::Kind::kLocked, training, watch.period(now)});
  // One that was never locked is no training that could be lost: a few words, or a busy moment of an interface.
  if (lock == Lock::kLocked) told.was_locked = true;
  if (lock == Lock::kLost && std::exchange(told.was_locked, false)) news_.push_back({SiteNews::Kind::kLost, training});
  if (watch.misses() > std::exchange(told.misses, watch.misses())) news_.push_back({SiteNews::Kind::kWrong, training});
  if (watch.late() > std::exchange(told.late, watch.late())) news_.push_back({SiteNews::Kind::kLate, training});
  const auto inflation = watch.budget().inflation();
  if (!inflation) return;
  const bool is_over = *inflation > config_.trainings[training].budget.budget;
  if (is_over != std::exchange(told.is_over, is_over))
    news_.push_back({is_over ? SiteNews::Kind::kOverBudget : SiteNews::Kind::kWithinBudget, training, {}, *inflation});
}

// ---- what the gates are told ---------------------------------------------------------------------------------------

std::optional<size_t> SiteLoop::bursting_training(size_t link) const {
  for (size_t i = 0; i < watches_.size(); ++i)
    if (is_bursting(i) && std::ranges::count(links_of(i), link) > 0) return i;
  return std::nullopt;
}

gate::GateSignal SiteLoop::signal(Time now, size_t link) const {
  gate::GateSignal signal = bursts_.signal(now, link);
  for (size_t i = 0; i < watches_.size(); ++i) {
    if (std::ranges::count(links_of(i), link) == 0) continue;
    const TrainingWatch::Ask ask = watches_[i].ask(now);
    signal.period = std::max(signal.period, ask.period);
    // In a burst, too: what is let in for a deadline while one communicates would be in what is measured.
    if (now < ask.closed_until) signal.reason = ask.reason, signal.training = static_cast<uint16_t>(i);
    signal.closed_until = std::max(signal.closed_until, ask.closed_until);
    if (ask.guard_until <= now) continue;
    if (ask.backoffs == gate::GateSignal::BackOffs::kAreExplained) signal.backoffs = ask.backoffs;
    if (ask.guard_from < signal.guard_from) signal.guard_from = ask.guard_from, signal.guard_until = ask.guard_until;
  }
  return signal;
}

std::optional<Tightness> SiteLoop::tightness(size_t link) const {
  std::optional<Tightness> tightest;
  for (size_t i = 0; i < watches_.size(); ++i) {
    if (std::ranges::count(links_of(i), link) == 0) continue;
    const Tightness& one = watches_[i].budget().tightness();
    if (!tightest) tightest = one;
    else tightest = {std::max(tightest->guard, one.guard), std::min(tightest->trickle, one.trickle), std::min(tightest->queue_target, one.queue_target)};
  }
  return tightest;
}

Time SiteLoop::next_deadline(Time now) const {
  Time next = bursts_.next_deadline();
  for (const TrainingWatch& watch : watches_) {
    const TrainingWatch::Ask ask = watch.ask(now);
    for (const Time at : {ask.closed_until, ask.guard_from, ask.guard_until})
      if (at > now) next = std::min(next, at);
  }
  return next;
}

}  // namespace tideway::planner
