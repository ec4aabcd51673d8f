// SPDX-License-Identifier: Apache-2.0
#include "planner/calendar.h"

#include <algorithm>
#include <cmath>

namespace tideway::planner {

Calendar::Calendar(Time now, double slack, const std::function<SlotForecast(Time)>& forecast) : begin_(now) {
  carried_.reserve(kSlots + 1);
  capped_.reserve(kSlots + 1);
  carried_.push_back(0);
  capped_.push_back(0);
  const double seconds = std::chrono::duration<double>(kSlot).count();
  for (size_t i = 0; i < kSlots; ++i) {
    const SlotForecast slot = forecast(begin_ + kSlot * static_cast<int64_t>(i));
    const Rate rate = std::min(slot.leftover, slot.cap);
    carried_.push_back(carried_.back() + static_cast<double>(rate.bytes_per_second()) * (1 - slack) * seconds);
    capped_.push_back(capped_.back() + (slot.cap < slot.leftover ? 1 : 0));
  }
}

Bytes Calendar::capacity_until(Time time) const {
  if (time <= begin_) return Bytes();
  const double slots = std::min(static_cast<double>((time - begin_).count()) / static_cast<double>(kSlot.count()), static_cast<double>(kSlots));
  const auto whole = static_cast<size_t>(slots);
  const double part = slots - static_cast<double>(whole);
  const double next = whole < kSlots ? carried_[whole + 1] - carried_[whole] : 0;
  return Bytes(static_cast<uint64_t>(carried_[whole] + part * next));
}

std::optional<Time> Calendar::time_of(Bytes bytes) const {
  const auto wanted = static_cast<double>(bytes.count());
  const auto at = std::ranges::lower_bound(carried_, wanted);
  if (at == carried_.end()) return std::nullopt;
  if (at == carried_.begin()) return begin_;
  const auto slot = at - carried_.begin() - 1;
  const double before = *(at - 1), in_slot = *at - before;
  const double part = in_slot > 0 ? (wanted - before) / in_slot : 0;
  return begin_ + kSlot * slot + Duration(static_cast<int64_t>(std::ceil(part * static_cast<double>(kSlot.count()))));
}

Calendar::Binding Calendar::binding_until(Time time) const {
  const auto slots = std::clamp<int64_t>((time - begin_) / kSlot, 0, static_cast<int64_t>(kSlots));
  return 2 * static_cast<int64_t>(capped_[static_cast<size_t>(slots)]) > slots ? Binding::kTimetable : Binding::kLeftover;
}

// ---- admission -------------------------------------------------------------------------------------------------------

namespace {

// In the order of deadlines.
std::vector<Due> with(std::span<const Due> admitted, const Due& wanted) {
  std::vector<Due> all(admitted.begin(), admitted.end());
  all.insert(std::ranges::upper_bound(all, wanted.deadline, {}, &Due::deadline), wanted);
  return all;
}

bool all_fit(const Calendar& calendar, std::span<const Due> dues) {
  Bytes sum;
  return std::ranges::all_of(dues, [&](const Due& due) { return (sum += due.bytes) <= calendar.capacity_until(due.deadline); });
}

}  // namespace

Admission admit(const Calendar& calendar, std::span<const Due> admitted, const Due& wanted) {
  std::vector<Due> sorted(admitted.begin(), admitted.end());
  std::ranges::stable_sort(sorted, {}, &Due::deadline);
  Bytes before;  // due no later: by earliest deadline first they go ahead
  for (const Due& due : sorted)
    if (due.deadline <= wanted.deadline) before += due.bytes;
  Admission made;
  made.eta = calendar.time_of(before + wanted.bytes);
  made.binding = calendar.binding_until(wanted.deadline);
  if (all_fit(calendar, with(sorted, wanted))) {
    made.slack = made.eta ? wanted.deadline - *made.eta : Duration::zero();
    return made;
  }
  made.answer = Admission::Answer::kDoesNotFit;
  made.by_deadline = saturating_sub(calendar.capacity_until(wanted.deadline), before);
  // A later deadline leaves more room for it and takes no more from the others, so the first that fits is found by halving.
  Time low = wanted.deadline, high = calendar.end();
  if (!all_fit(calendar, with(sorted, {high, wanted.bytes}))) return made;
  while (high - low > std::chrono::seconds(1)) {
    const Time middle = low + (high - low) / 2;
    (all_fit(calendar, with(sorted, {middle, wanted.bytes})) ? high : low) = middle;
  }
  made.earliest = high;
  return made;
}

std::optional<std::string_view> why_not(const RecoveryPoint& wanted) {
  if (wanted.objective <= wanted.interval)
    return "a recovery point no older than its objective needs checkpoints more often: the lag reaches their interval even if sending took no time";
  const Duration most = std::min(wanted.objective - wanted.interval, wanted.interval);
  const auto packed = static_cast<uint64_t>(static_cast<double>(wanted.bytes.count()) / std::max(wanted.ratio, 1e-6));
  if (wanted.leftover.time_for(Bytes(packed)) > most)
    return "the leftover of the link does not carry a checkpoint in the time between its end and the objective";
  return std::nullopt;
}

}  // namespace tideway::planner
