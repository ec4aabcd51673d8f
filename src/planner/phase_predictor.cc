// SPDX-License-Identifier: Apache-2.0
#include "planner/phase_predictor.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tideway::planner {
namespace {

constexpr double kSigmaStart = 0.02;  // of P
constexpr double kLimitMin = 0.02;    // of P
constexpr double kSigmas = 3;
// Of P. What strays by more is no period, and any begin would be within three sigma of one that is far too long.
constexpr double kSigmaMax = 1.0 / 5;
constexpr double kGain = 0.2;
constexpr double kStepSigmas = 2.5;   // a median of three strays two thirds as far as one begin
constexpr double kRangeToSigma = 1 / 1.7;  // of three intervals
constexpr double kEarly = 0.4;        // of a period: a begin that much early still belongs to the next one
// How far one from counters is from where it was, in bins of 10 ms.
constexpr Duration kInferredStrays = std::chrono::milliseconds(3);
constexpr double kInferredLeast = 0.5;

}  // namespace

void PhasePredictor::set_period(Duration period) {
  period_ = static_cast<double>(period.count());
  sigma_ = kSigmaStart * period_;
}

void PhasePredictor::note_interval(Duration interval) {
  pasts_[intervals_noted_ % pasts_.size()] = {period_, sigma_};
  intervals_[intervals_noted_++ % intervals_.size()] = static_cast<double>(interval.count());
}

void PhasePredictor::acquire(Time at) {
  const size_t kept = std::min(intervals_noted_, intervals_.size());
  auto sorted = intervals_;
  std::ranges::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(kept));
  set_period(Duration(static_cast<int64_t>(sorted[kept / 2])));
  // Where it was locked, one of them is of before; else all of them stray as they do.
  if (kept == sorted.size()) sigma_ = std::max(sigma_, was_locked_ ? std::min(sorted[1] - sorted[0], sorted[2] - sorted[1]) : kRangeToSigma * (sorted[2] - sorted[0]));
  sigma_ = std::min(sigma_, kSigmaMax * period_);
  pasts_.fill({period_, sigma_});
  last_ = static_cast<double>((at - first_).count());
  good_ = std::exchange(was_locked_, false) ? kLockedAfter - kAgainAfter : 0;
  was_outlier_ = false;
  ++acquisitions_;
}

bool PhasePredictor::is_another_period() const {
  if (!was_locked_) return false;
  const Past& before = pasts_[intervals_noted_ % pasts_.size()];
  const auto spans = [&before](double interval) { return std::max(1.0, std::floor(interval / before.period + kEarly)); };
  if (std::ranges::all_of(intervals_, [&](double interval) { return spans(interval) > 1; })) return true;  // nobody loses every other begin
  auto sorted = intervals_;  // what spans lost begins counts once
  for (double& interval : sorted) interval /= spans(interval);
  std::ranges::sort(sorted);
  return std::abs(sorted[1] - before.period) > std::max(kStepSigmas * before.sigma, kLimitMin * before.period);
}

// Of what a begin is off by: all but the noise of how it was seen.
double PhasePredictor::share_taken() const {
  if (begins_ == Begins::kAnnounced) return 1;
  const double noise = static_cast<double>(kInferredStrays.count()) / std::max(1.0, sigma_);
  return std::max(1 - noise * noise, kInferredLeast);
}

void PhasePredictor::on_begin(Time at) {
  if (!has_begun_) {
    has_begun_ = true;
    first_ = seen_ = at;
    return;
  }
  if (at - seen_ < kSameBurst) return;
  const bool was_lost = lock(at) == Lock::kLost;
  note_interval(at - seen_);
  seen_ = at;
  const double t = static_cast<double>((at - first_).count());
  if (period_ <= 0) return acquire(at);
  if (was_lost) {  // the silence is no interval, so only where it stands is new; but two in a row are a longer period
    last_ = t;
    good_ = 0;
    if (std::exchange(was_silent_, true)) acquire(at);
    return;
  }
  was_silent_ = false;
  const double k = std::max(1.0, std::floor((t - last_) / period_ + kEarly));
  const double e = (t - last_) - k * period_;
  const double limit = std::max(kSigmas * sigma_, kLimitMin * period_);
  error_ = Duration(static_cast<int64_t>(e));
  const bool is_outlier = std::abs(e) > limit;
  if ((is_outlier && was_outlier_) || is_another_period()) return acquire(at);
  was_outlier_ = is_outlier;
  good_ = is_outlier ? std::min(good_, kLockedAfter - 1) : good_ + 1;
  was_locked_ |= good_ >= kLockedAfter;
  const double counted = std::clamp(e, -limit, limit);
  last_ += k * period_ + share_taken() * e;
  period_ += kGain * counted / k;
  sigma_ = std::min(std::sqrt((1 - kGain) * sigma_ * sigma_ + kGain * counted * counted), kSigmaMax * period_);
}

Lock PhasePredictor::lock(Time now) const {
  if (!has_begun_ || period_ <= 0) return Lock::kUnknown;
  if (static_cast<double>((now - seen_).count()) > kLostAfter * period_) return Lock::kLost;
  return good_ >= kLockedAfter ? Lock::kLocked : Lock::kAcquiring;
}

Time PhasePredictor::next_begin(Time now) const {
  const Lock locked = lock(now);
  if (locked == Lock::kUnknown || locked == Lock::kLost) return kNever;
  const double since = static_cast<double>((now - first_).count()) - last_;
  const double k = std::max(1.0, std::floor(since / period_) + 1);
  return first_ + Duration(static_cast<int64_t>(std::llround(last_ + k * period_)));
}

}  // namespace tideway::planner
