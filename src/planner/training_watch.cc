// SPDX-License-Identifier: Apache-2.0
#include "planner/training_watch.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace tideway::planner {
namespace {

constexpr int kGuardSigmas = 3;
constexpr double kGuardSigmasStep = 0.25;
constexpr double kMissedOfBudget = 0.5;                             // what begins outside of their guard may cost, of what the owner accepts
constexpr int kUsualOver = 5;                                       // bursts, about
constexpr int kHeldPeriods = 2;                                     // at most, should the end of the burst not come
constexpr Duration kHeldMax = std::chrono::seconds(60);
constexpr Duration kPeerBurstMax = std::chrono::seconds(60);          // what another site says may hold no longer than what ours says
constexpr Duration kLateLeast = std::chrono::milliseconds(2);       // what any word may be late

}  // namespace

std::string_view name_of(PhaseOrigin origin) {
  static constexpr std::string_view kNames[] = {"", "api", "board", "beacon", "counters"};
  return kNames[static_cast<size_t>(origin)];
}

TrainingWatch::TrainingWatch(const TrainingRules& rules)
    : rules_(rules), announced_(PhasePredictor::Begins::kAnnounced, rules.period_hint), seen_(PhasePredictor::Begins::kInferred, rules.period_hint),
      peers_(PhasePredictor::Begins::kInferred, rules.period_hint),
      budget_(rules.budget) {}

void TrainingWatch::on_heard(Time now, PhaseOrigin origin) {
  heard_at_ = now;
  origin_ = origin;
  if (origin != PhaseOrigin::kCounters) announced_at_ = now;
}

void TrainingWatch::on_peer_begin(Time at) {
  peers_.on_begin(at);
  peer_begin_ = at;
}

void TrainingWatch::on_peer_end(Time at) {
  if (peer_begin_ && at > *peer_begin_) peer_burst_ = at - *std::exchange(peer_begin_, std::nullopt);
}

bool TrainingWatch::believes_counters(Time now) const { return rules_.seen_after > Duration::zero() && is_unannounced(now); }

bool TrainingWatch::is_unannounced(Time now) const {
  if (!announced_at_) return true;
  return now - *announced_at_ > (announced_.period() > Duration::zero() ? kSilentPeriods * announced_.period() : kSilence);
}

// A silence is no gap between iterations, so no more than a period of it counts; but where silences keep coming back, the period is wrong.
bool TrainingWatch::Gaps::is_pause(Time at, const PhasePredictor& predictor) {
  if (!end) return false;
  const Duration gap = at - *end;
  Duration counted = gap;
  ++since_silence;
  if (predictor.lock(at) == Lock::kLost)
    counted = std::min(gap, (std::exchange(since_silence, 0) > kPausesMost ? 1 : kSilentPeriods) * predictor.period());
  const auto scaled = [this](double share) { return Duration(static_cast<int64_t>(share * static_cast<double>(longest.count()))); };
  ++since;
  if (gap >= scaled(kPauseShare)) {
    pauses_max = std::clamp(2 * std::exchange(since, 0), kPausesFree, kPausesMost);
    longest = std::max(counted, scaled(kGapDecay));
    longest_since = Duration::zero();
    return false;
  }
  longest_since = std::max(longest_since, gap);
  if (since > kPausesMost) longest = longest_since;
  return since <= pauses_max;
}

void TrainingWatch::on_seen(Time at, Said said) {
  seen_begin_ = said == Said::kNot ? std::optional(at) : std::nullopt;
  if (!seen_gaps_.is_pause(at, seen_)) seen_.on_begin(at);
}

// An iteration is from begin to begin, so here the one before is complete.
void TrainingWatch::on_burst_begin(Time at, PhaseOrigin origin) {
  told_.reset();
  awaited_until_ = kNever;
  if (const auto seen = std::exchange(seen_begin_, std::nullopt); seen && origin != PhaseOrigin::kCounters && at - *seen > kLateAfter) ++late_;
  if (gaps_.is_pause(at, predictor(at))) return burst_.reset();
  if (origin != PhaseOrigin::kCounters) announced_.on_begin(at);
  const Duration period = this->period(at);
  const std::optional<Time> before = std::exchange(begin_, at);
  const std::optional<Duration> burst = std::exchange(burst_, std::nullopt), reported = std::exchange(reported_, std::nullopt);
  const InterferenceBudget::Kind kind = std::exchange(kind_, InterferenceBudget::Kind::kHoldout);
  const bool had_bulk = gaps_.end && Rate::of(bulk_, std::max(at - *gaps_.end, Duration(1))) > kBulkLeast, was_held = at < held_until_;
  if (had_bulk && !was_held) kind_ = InterferenceBudget::Kind::kWithBulk;
  if (burst) burst_usual_ = burst_usual_ == Duration::zero() ? *burst : burst_usual_ + (*burst - burst_usual_) / kUsualOver;
  was_locked_ |= lock(at) == Lock::kLocked;
  if (!before || !burst || !was_locked_ || at - *before > kSilentPeriods * period) return;
  budget_.on_iteration(kind, *burst, reported.value_or(at - *before));
}

void TrainingWatch::on_burst_end(Time at, End end) {
  if (begin_ && end == End::kSaid) burst_ = at - *begin_;
  gaps_.end = at;
  bulk_ = Bytes();
  held_until_ = Time::min();
  choose_hold(at);
}

// Without bulk there is nothing to hold, and each iteration shows what a hold-out would.
void TrainingWatch::choose_hold(Time now) {
  const Duration period = this->period(now);
  const bool is_paused = budget_.periods_paused() > 0, was_without = kind_ == InterferenceBudget::Kind::kHoldout;
  if (!was_locked_) return;
  if (!is_paused && (was_without || !budget_.is_next_holdout())) return;
  held_for_ = is_paused ? gate::GateReason::kBudget : gate::GateReason::kHoldout;
  held_until_ = now + std::min(kHeldPeriods * period, kHeldMax);
}

bool TrainingWatch::expects_more(Time at) const {
  if (!begin_ || lock(at) != Lock::kLocked) return false;
  return static_cast<double>((at - *begin_).count()) < kBurstShare * static_cast<double>(burst_usual_.count());
}

// A begin outside of the guard costs its iteration what counters take to show it. The least width that keeps the share of such
// begins, were they strayed normally, within the budget; nothing, where all of them may be.
std::optional<Duration> TrainingWatch::stray_guarded(Time now) const {
  const double cost = static_cast<double>(rules_.seen_after.count()) / std::max(1.0, static_cast<double>(period(now).count()));
  const double missed_most = kMissedOfBudget * rules_.budget.budget / cost;
  if (missed_most >= 1) return std::nullopt;
  double sigmas = 0;
  while (sigmas < kGuardSigmas && std::erfc(sigmas / std::numbers::sqrt2) > missed_most) sigmas += kGuardSigmasStep;
  return Duration(std::llround(sigmas * static_cast<double>(seen_.sigma().count())));
}

std::optional<TrainingWatch::Awaited> TrainingWatch::awaited(Time now) const {
  const Duration period = this->period(now), stray_most = period > Duration::zero() ? period / gate::kPeriodsPerJitter : rules_.guard_max;
  if (told_) {
    const Duration stray = std::min(kGuardSigmas * told_->sigma, stray_most);
    return Awaited{told_->begin, stray, stray, kLateLeast, told_->lasts};
  }
  const bool is_seen = believes_counters(now) && seen_.lock(now) == Lock::kLocked;
  if (!is_seen && is_unannounced(now) && peers_.lock(now) == Lock::kLocked && peer_burst_ > Duration::zero()) {
    const Duration stray = kGuardSigmas * peers_.sigma(), lasts = std::min(peer_burst_, kPeerBurstMax);
    const bool is_under_way = peer_begin_ && now < *peer_begin_ + lasts + stray;  // as it was expected: the guard goes on
    return Awaited{is_under_way ? *peer_begin_ : peers_.next_begin(now - lasts - stray), stray, stray, {}, lasts};
  }
  if (!is_seen) {
    // The gate hears of announced ones in time. One that suffers all the same is announced late, or bulk hurts a host that begins before.
    if (!suffers() || is_unannounced(now) || announced_.lock(now) != Lock::kLocked) return std::nullopt;
    const Duration stray = std::min(kGuardSigmas * announced_.sigma(), stray_most);
    return Awaited{announced_.next_begin(now - stray - kLateLeast), stray, stray, kLateLeast, {}, Awaited::Word::kInTime};
  }
  const Duration stray = kGuardSigmas * seen_.sigma();
  const Duration late = 2 * rules_.seen_after;  // it may have begun at the end of one, and show in the next
  return Awaited{seen_.next_begin(now - stray - late), stray_guarded(now), stray, late};
}

TrainingWatch::Ask TrainingWatch::ask(Time now) const {
  Ask ask;
  ask.period = period(now);
  if (now < held_until_) ask.closed_until = held_until_, ask.reason = held_for_;
  const auto next = awaited(now);
  if (!next || next->begin == kNever) return ask;
  const Duration late = next->lasts > Duration::zero() ? next->lasts : next->late;
  const bool is_late = next->word == Awaited::Word::kLate;
  if (is_late) ask.backoffs = gate::GateSignal::BackOffs::kAreExplained;
  if (is_late && next->lasts == Duration::zero()) ask.awaited_until = next->begin + next->waited + late;
  if (next->guarded || suffers()) {
    const Duration guarded = next->guarded.value_or(Duration());
    ask.guard_from = next->begin - std::min(budget_.tightness().guard + guarded, rules_.guard_max / 2);
    ask.guard_until = std::min(next->begin + guarded + late, ask.guard_from + rules_.guard_max);
  } else {
    ask.guard_from = ask.guard_until = ask.awaited_until.value_or(next->begin);  // empty, but known: the gate need not react to queues
  }
  return ask;
}

void TrainingWatch::on_time(Time now) {
  if (!told_ && !believes_counters(now)) awaited_until_ = kNever;  // somebody announces since: what counters led to expect is not awaited
  if (now >= awaited_until_) {
    ++misses_;
    awaited_until_ = kNever;
    told_.reset();
  }
  const Ask asked = ask(now);
  if (asked.awaited_until && now < *asked.awaited_until) awaited_until_ = *asked.awaited_until;
  else if (told_ && asked.guard_until <= now) told_.reset();
}

}  // namespace tideway::planner
