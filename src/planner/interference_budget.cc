// SPDX-License-Identifier: Apache-2.0
#include "planner/interference_budget.h"

#include <algorithm>
#include <vector>

namespace tideway::planner {
namespace {

constexpr Duration kGuardMin = std::chrono::milliseconds(1), kQueueMin = std::chrono::microseconds(250);
constexpr double kGuardMax = 0.1;   // of a period
constexpr double kFarOver = 3, kCalm = 0.5;  // times the budget
constexpr double kRelax = 0.1;      // of the way back to what is configured

double median(const std::deque<double>& values) {
  std::vector<double> sorted(values.begin(), values.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

void keep(std::deque<double>& values, Duration value, size_t most) {
  values.push_back(static_cast<double>(value.count()));
  while (values.size() > most) values.pop_front();
}

// There when it is near: what only came nearer would never be as configured again.
Duration towards(Duration from, Duration to) {
  const Duration next = from + Duration(static_cast<int64_t>(kRelax * static_cast<double>((to - from).count())));
  return std::chrono::abs(to - next) <= to / 10 ? to : next;
}

}  // namespace

bool InterferenceBudget::is_in_doubt() const {
  const bool is_young = config_.start == BudgetConfig::Start::kInDoubt && iterations_ < kDoubtFor;
  return is_young || (inflation_ && *inflation_ > kCalm * config_.budget);
}

uint64_t InterferenceBudget::one_in() const {
  if (!is_in_doubt()) return kSettledOneIn;
  return holdouts_.size() < kHoldoutsKnown ? kDoubtOneIn : kKnownOneIn;
}

bool InterferenceBudget::is_next_holdout() {
  if (++since_holdout_ < one_in()) return false;
  since_holdout_ = 0;
  return true;
}

void InterferenceBudget::on_iteration(Kind kind, Duration burst, Duration period) {
  ++iterations_;
  ++calm_;
  periods_paused_ = std::max(0, periods_paused_ - 1);
  keep(periods_, period, kOthersKept);
  if (kind == Kind::kHoldout) keep(holdouts_, burst, is_in_doubt() ? kHoldoutsKnown : kHoldoutsKept);
  else keep(others_, burst, kOthersKept);
  if (iterations_ % kEvery == 0) judge(Duration(static_cast<int64_t>(median(periods_))));
}

void InterferenceBudget::judge(Duration period) {
  inflation_.reset();
  if (holdouts_.size() < kHoldoutsMin || others_.empty()) return;  // unmeasured: what is configured stays
  inflation_ = (median(others_) - median(holdouts_)) / static_cast<double>(period.count());
  if (*inflation_ > config_.budget) {
    if (*inflation_ > kFarOver * config_.budget) periods_paused_ = kPausePeriods;
    others_.clear();  // they were sent under the old values
    return tighten(period);
  }
  if (*inflation_ >= kCalm * config_.budget) calm_ = 0;
  if (calm_ < kCalmFor) return;
  calm_ = 0;
  relax();
}

void InterferenceBudget::tighten(Duration period) {
  calm_ = 0;
  const Duration guard_max = std::max(kGuardMin, Duration(static_cast<int64_t>(kGuardMax * static_cast<double>(period.count()))));
  tightness_.guard = std::clamp(2 * tightness_.guard, kGuardMin, guard_max);
  tightness_.trickle /= 2;
  tightness_.queue_target = std::max(tightness_.queue_target / 2, kQueueMin);
}

void InterferenceBudget::relax() {
  tightness_.guard = towards(tightness_.guard, config_.configured.guard);
  tightness_.queue_target = towards(tightness_.queue_target, config_.configured.queue_target);
  tightness_.trickle += kRelax * (config_.configured.trickle - tightness_.trickle);
}

}  // namespace tideway::planner
