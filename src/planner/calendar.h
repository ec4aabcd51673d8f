// SPDX-License-Identifier: Apache-2.0
//
// A day ahead of one link direction in slots of a minute, and what fits into them: for jobs that can start now and may be
// interrupted, a set of deadlines can be met if and only if for each of them the bytes due by then are no more than what the
// slots carry up to then.
// Thread: any. Pure.
#pragma once
#include <tideway/schedule_policy.h>

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace tideway::planner {

inline constexpr size_t kSlots = 1440;
inline constexpr Duration kSlot = std::chrono::minutes(1);
inline constexpr double kSlackDefault = 0.1;  // never plan to all there is

struct SlotForecast {
  Rate leftover;                    // what is left at that time of day in nine of ten days
  Rate cap = Rate::unlimited();     // of the timetable
};

struct Due {
  Time deadline;
  Bytes bytes;  // on the wire: raw bytes over the ratio that nine of ten of its series reached
};

class Calendar {
 public:
  // `forecast` says what a slot that begins then carries; `slack` is kept free.
  Calendar(Time now, double slack, const std::function<SlotForecast(Time)>& forecast);

  // What fits from the start until then.
  Bytes capacity_until(Time time) const;
  // When so much has been carried; nothing within the day: it is not.
  std::optional<Time> time_of(Bytes bytes) const;
  Time begin() const { return begin_; }
  Time end() const { return begin_ + kSlot * static_cast<int64_t>(kSlots); }
  // What holds the link back most in the slots before then.
  enum class Binding : uint8_t { kLeftover, kTimetable };
  Binding binding_until(Time time) const;

 private:
  const Time begin_;
  std::vector<double> carried_;      // bytes up to the begin of slot i; one more at the end
  std::vector<size_t> capped_;       // slots up to the begin of slot i in which the timetable is the less
};

struct Admission {
  enum class Answer : uint8_t { kFits, kDoesNotFit } answer = Answer::kFits;
  std::optional<Time> eta;           // when it is done at the planned rates
  Duration slack{};                  // of kFits: between that and the deadline
  std::optional<Time> earliest;      // of kDoesNotFit: the deadline that could be met; nothing within the day
  Bytes by_deadline;                 // of kDoesNotFit: what would have crossed by then
  Calendar::Binding binding = Calendar::Binding::kLeftover;
};

// Whether `wanted` fits beside what was admitted before. It changes nothing.
Admission admit(const Calendar& calendar, std::span<const Due> admitted, const Due& wanted);

// Checkpoints of `interval` that must never be older than `objective` at the other side.
struct RecoveryPoint {
  Duration interval, objective;
  Bytes bytes;        // of a checkpoint, raw
  double ratio = 1;   // of its compression
  Rate leftover;
};
// Nothing: it can be met. Else one sentence that says why not.
std::optional<std::string_view> why_not(const RecoveryPoint& wanted);

}  // namespace tideway::planner
