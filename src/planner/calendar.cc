// SPDX-License-Identifier: Apache-2.0
#include "planner/calendar.h"

#include "planner/escalation.h"

#include <algorithm>
#include <cmath>

namespace tideway::planner {
namespace {

constexpr Duration kWeek = kSlot * static_cast<int64_t>(kSlots);
constexpr double kSlotSeconds = std::chrono::duration<double>(kSlot).count();

double seconds(Rate rate) { return static_cast<double>(rate.bytes_per_second()) * kSlotSeconds; }

std::vector<double> sums_of(std::span<const double> slots) {
  std::vector<double> sums(1, 0);
  sums.reserve(slots.size() + 1);
  for (const double slot : slots) sums.push_back(sums.back() + slot);
  return sums;
}

struct Slots { std::vector<double> carried, bursts, open; std::vector<size_t> capped; };

double open_share(const SlotForecast& slot) {
  if (slot.capacity == Rate()) return 1;
  return std::min(1.0, static_cast<double>(slot.leftover.bytes_per_second()) / static_cast<double>(slot.capacity.bytes_per_second()));
}

Slots read_slots(Time begin, double slack, const std::function<SlotForecast(Time)>& forecast) {
  Slots slots;
  slots.carried.reserve(kSlots);
  slots.bursts.reserve(kSlots);
  slots.open.reserve(kSlots);
  slots.capped.reserve(kSlots + 1);
  slots.capped.push_back(0);
  for (size_t i = 0; i < kSlots; ++i) {
    const SlotForecast slot = forecast(begin + kSlot * static_cast<int64_t>(i));
    const double open = open_share(slot);
    const Rate rate = std::min(slot.leftover, slot.cap * open), all = std::min(slot.capacity, slot.cap);
    slots.open.push_back(open);
    slots.carried.push_back(seconds(rate) * (1 - slack));
    slots.bursts.push_back(all > rate ? seconds(all) - seconds(rate) : 0);
    slots.capped.push_back(slots.capped.back() + (slot.cap < slot.leftover ? 1 : 0));
  }
  return slots;
}

}  // namespace

// ---- what is carried -------------------------------------------------------------------------------------------------

Bytes Curve::until(Time time) const {
  if (time <= begin_) return Bytes();
  const Duration since = std::min(time - begin_, kAheadMax);
  const auto weeks = static_cast<double>(since / kWeek);
  const double slots = static_cast<double>((since % kWeek).count()) / static_cast<double>(kSlot.count());
  const auto whole = static_cast<size_t>(slots);
  const double next = carried_[whole + 1] - carried_[whole];
  return Bytes(static_cast<uint64_t>(weeks * carried_.back() + carried_[whole] + (slots - static_cast<double>(whole)) * next));
}

std::optional<Time> Curve::time_of(Bytes bytes) const {
  auto wanted = static_cast<double>(bytes.count());
  if (wanted <= 0) return begin_;
  if (carried_.back() <= 0 || wanted / carried_.back() > static_cast<double>(kAheadMax / kWeek)) return std::nullopt;
  const auto weeks = std::max(0.0, std::ceil(wanted / carried_.back()) - 1);
  wanted -= weeks * carried_.back();
  const auto at = std::min(std::ranges::lower_bound(carried_, wanted), carried_.end() - 1);
  const auto slot = std::max<int64_t>(at - carried_.begin() - 1, 0);
  const double before = carried_[static_cast<size_t>(slot)], in_slot = carried_[static_cast<size_t>(slot) + 1] - before;
  const double part = in_slot > 0 ? std::clamp((wanted - before) / in_slot, 0.0, 1.0) : 0;
  return begin_ + kWeek * static_cast<int64_t>(weeks) + kSlot * slot + Duration(static_cast<int64_t>(std::ceil(part * static_cast<double>(kSlot.count()))));
}

Calendar::Calendar(Time now, double slack, const std::function<SlotForecast(Time)>& forecast)
    : begin_(now), leftover_(now, {}), bursts_(now, {}), open_time_(now, {}) {
  Slots slots = read_slots(now, slack, forecast);
  slots_ = std::move(slots.carried);
  open_ = slots.open;
  for (double& open : slots.open) open *= static_cast<double>(kSlot.count());
  open_time_ = Curve(now, sums_of(slots.open));
  leftover_ = Curve(now, sums_of(slots_));
  bursts_ = Curve(now, sums_of(slots.bursts));
  capped_ = std::move(slots.capped);
}

Curve Calendar::under(Rate most) const {
  std::vector<double> slots = slots_;
  for (size_t i = 0; i < slots.size(); ++i) slots[i] = std::min(slots[i], seconds(most) * open_[i]);
  return {begin_, sums_of(slots)};
}

std::optional<Time> Calendar::time_alone(Bytes bytes, Rate most) const { return open_time_.time_of(Bytes(static_cast<uint64_t>(most.time_for(bytes).count()))); }

Calendar::Binding Calendar::binding_until(Time time) const {
  const auto slots = std::clamp<int64_t>((time - begin_) / kSlot, 0, static_cast<int64_t>(kSlots));
  return 2 * static_cast<int64_t>(capped_[static_cast<size_t>(slots)]) > slots ? Binding::kTimetable : Binding::kLeftover;
}

// ---- admission -------------------------------------------------------------------------------------------------------

namespace {

std::optional<Curve> curve_under(const Calendar& calendar, Rate ceiling) {
  return ceiling.is_unlimited() ? std::nullopt : std::optional(calendar.under(ceiling));
}

// The deadlines of a link with one more among them. What is due before it feels nothing of it, so only what is due then and
// later has to fit; of jobs that may hurt trainings a part crosses during bursts.
class Trial {
 public:
  Trial(const Road& road, std::span<const Due> admitted, const Due& wanted)
      : road_(road), own_(curve_under(road.calendar, wanted.rate_max)),
        class_(curve_under(road.calendar, road.class_rates[static_cast<size_t>(wanted.job_class)])) {
    admitted_.reserve(admitted.size());
    for (const Due& due : admitted) admitted_.push_back(mark(due));
    const auto deadline_of = [](const Marked& one) { return one.due.deadline; };
    if (!std::ranges::is_sorted(admitted_, {}, deadline_of)) std::ranges::stable_sort(admitted_, {}, deadline_of);
  }

  bool fits(const Due& wanted) const {
    const Marked mine = mark(wanted);
    Sums sums{road_.ahead, {}, {}};
    bool is_in = false;
    for (const Marked& one : admitted_) {
      if (!is_in && wanted.deadline < one.due.deadline) {
        if (!add(sums, mine, wanted.job_class)) return false;
        is_in = true;
      }
      if (!add(sums, one, wanted.job_class) && is_in) return false;
    }
    return (is_in || add(sums, mine, wanted.job_class)) && wanted.bytes <= own().until(wanted.deadline) + mine.bursts;
  }

  // Bytes that go before it.
  Bytes before(const Due& wanted) const {
    Bytes sum = road_.ahead;
    for (const Marked& one : admitted_)
      if (one.due.deadline <= wanted.deadline) sum += one.due.bytes;
    return sum;
  }

  Calendar::Binding binding(const Due& wanted) const {
    const Calendar& calendar = road_.calendar;
    if (wanted.bytes > calendar.leftover().until(wanted.deadline)) return calendar.binding_until(wanted.deadline);
    const bool is_held_by_ceiling = wanted.bytes > std::min(own().until(wanted.deadline), of_class().until(wanted.deadline));
    return is_held_by_ceiling ? Calendar::Binding::kCeiling : Calendar::Binding::kJobs;
  }

 private:
  struct Sums { Bytes leftover, of_class, bursts; };
  // One with what is carried up to its deadline, looked up once: they are gone through again for each share and each deadline that is tried.
  struct Marked { Due due; Bytes leftover, of_class, bursts; };
  Marked mark(const Due& due) const { return {due, road_.calendar.leftover().until(due.deadline), of_class().until(due.deadline), during_bursts(due)}; }

  const Curve& own() const { return own_ ? *own_ : road_.calendar.leftover(); }
  const Curve& of_class() const { return class_ ? *class_ : road_.calendar.leftover(); }
  Bytes during_bursts(const Due& due) const {
    return Bytes(static_cast<uint64_t>(std::clamp(due.hurt_max, 0.0, 1.0) * static_cast<double>(road_.calendar.bursts().until(due.deadline).count())));
  }
  // Whether all up to this one are there in time.
  static bool add(Sums& sums, const Marked& one, JobClass counted) {
    const Bytes bursts = std::min(one.due.bytes, saturating_sub(one.bursts, sums.bursts));
    sums.bursts += bursts;
    sums.leftover += one.due.bytes - bursts;
    if (one.due.job_class == counted) sums.of_class += one.due.bytes - bursts;
    return sums.leftover <= one.leftover && sums.of_class <= one.of_class;
  }

  const Road& road_;
  const std::optional<Curve> own_, class_;  // nothing: there is no ceiling
  std::vector<Marked> admitted_;
};

// The least share of the link during bursts with which it fits, one of the steps or all that is allowed; nothing: not even with
// all of the link.
std::optional<double> share_needed(const Trial& trial, Due wanted) {
  const double allowed = wanted.hurt_max;
  for (const double step : kBurstShares)
    for (const double share : {std::min(step, allowed), step}) {
      wanted.hurt_max = share;
      if (trial.fits(wanted)) return share;
    }
  return std::nullopt;
}

// A later deadline leaves more room for it and takes no more from the others, so the first that fits is found by halving.
std::optional<Time> first_that_fits(const Trial& trial, Due wanted, Time begin) {
  Time low = wanted.deadline, high = begin + kAheadMax;
  wanted.deadline = high;
  if (!trial.fits(wanted)) return std::nullopt;
  while (high - low > std::chrono::seconds(1)) {
    wanted.deadline = low + (high - low) / 2;
    (trial.fits(wanted) ? high : low) = wanted.deadline;
  }
  return high;
}

}  // namespace

Admission admit(const Road& road, std::span<const Due> admitted, const Due& wanted) {
  const Trial trial(road, admitted, wanted);
  const auto needed = share_needed(trial, wanted);
  Admission made;
  made.burst_share = needed.value_or(0);
  const Bytes bursts(static_cast<uint64_t>(std::min(made.burst_share, wanted.hurt_max) * static_cast<double>(road.calendar.bursts().until(wanted.deadline).count())));
  const Bytes before = trial.before(wanted);
  const auto time = road.calendar.leftover().time_of(before + saturating_sub(wanted.bytes, bursts)), alone = road.calendar.time_alone(wanted.bytes, wanted.rate_max);
  if (time && alone) made.eta = std::max(*time, *alone);
  if (needed && *needed <= wanted.hurt_max) {
    made.answer = *needed > 0 ? Admission::Answer::kFitsAtCost : Admission::Answer::kFits;
    made.slack = made.eta ? std::max(wanted.deadline - *made.eta, Duration::zero()) : Duration::zero();
    return made;
  }
  made.answer = Admission::Answer::kDoesNotFit;
  made.binding = trial.binding(wanted);
  made.by_deadline = std::min(wanted.bytes, saturating_sub(road.calendar.leftover().until(wanted.deadline), before));
  made.earliest = first_that_fits(trial, wanted, road.calendar.begin());
  return made;
}

}  // namespace tideway::planner
