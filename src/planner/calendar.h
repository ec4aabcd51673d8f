// SPDX-License-Identifier: Apache-2.0
//
// The week ahead of one link direction in slots of a minute, and what fits into it: for jobs that can start now and may be
// interrupted, a set of deadlines can be met if and only if for each of them the bytes due by then are no more than what the
// slots carry up to then. A week, because timetables go by it; after it the same comes again.
// Thread: any. Pure.
#pragma once
#include <tideway/schedule_policy.h>

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace tideway::planner {

inline constexpr size_t kSlots = 7 * 1440;
inline constexpr Duration kSlot = std::chrono::minutes(1);
inline constexpr double kSlackDefault = 0.1;  // never plan to all there is
inline constexpr Duration kAheadMax = std::chrono::hours(366 * 24);  // nobody knows what is later

// A cap holds at each moment, while the leftover is an average: under half of the capacity, half of the time, a quarter passes.
struct SlotForecast {
  Rate leftover;                    // what is left at that time of day in nine of ten days
  Rate cap = Rate::unlimited();     // of the timetable and the operator
  Rate capacity = {};               // of the link; what is beyond the leftover, bursts take. Zero: not known, and the gate is taken to be open
};

// What has been carried from the start until when.
class Curve {
 public:
  // `carried`: bytes up to the begin of each slot, and up to the end of the last.
  Curve(Time begin, std::vector<double> carried) : begin_(begin), carried_(std::move(carried)) {}
  Bytes until(Time time) const;
  // When so much has been carried; nothing: not within kAheadMax.
  std::optional<Time> time_of(Bytes bytes) const;

 private:
  Time begin_;
  std::vector<double> carried_;
};

class Calendar {
 public:
  // `forecast` says what a slot that begins then carries; `slack` is kept free.
  Calendar(Time now, double slack, const std::function<SlotForecast(Time)>& forecast);

  const Curve& leftover() const { return leftover_; }
  // What bursts take, of which a job that may hurt trainings has a share.
  const Curve& bursts() const { return bursts_; }
  // The same leftover for somebody who never sends faster than `most`, at no moment.
  Curve under(Rate most) const;
  // When so much has been sent by somebody who never sends faster than `most` and else meets nothing but a closed gate; nothing: not
  // within kAheadMax.
  std::optional<Time> time_alone(Bytes bytes, Rate most) const;
  Time begin() const { return begin_; }
  // What holds the link back most in the slots before then.
  enum class Binding : uint8_t { kLeftover, kTimetable, kCeiling, kJobs };
  Binding binding_until(Time time) const;

 private:
  const Time begin_;
  std::vector<double> slots_, open_; // bytes that each carries; the share of it in which the gate is open
  Curve leftover_, bursts_, open_time_;  // the last one in ns
  std::vector<size_t> capped_;       // slots up to the begin of slot i in which the timetable is the less
};

// ---- admission -------------------------------------------------------------------------------------------------------

struct Due {
  Time deadline;
  Bytes bytes;                       // on the wire: raw bytes over the ratio that nine of ten of its series reached
  JobClass job_class = JobClass::kStaging;
  double hurt_max = 0;               // of the link during bursts, as far as the owners of link and job allow
  Rate rate_max = Rate::unlimited(); // its own ceiling
};

// What a link carries, and who goes before all deadlines.
struct Road {
  const Calendar& calendar;
  Bytes ahead;                       // of restores, for which everybody makes room
  std::array<Rate, 4> class_rates{Rate::unlimited(), Rate::unlimited(), Rate::unlimited(), Rate::unlimited()};  // by JobClass
};

struct Admission {
  enum class Answer : uint8_t { kFits, kFitsAtCost, kDoesNotFit } answer = Answer::kFits;
  std::optional<Time> eta;           // when it is done at the planned rates
  Duration slack{};                  // of one that fits: between that and the deadline
  // Of the link during bursts: of kFitsAtCost what it takes; of kDoesNotFit what it would take, more than its owners allow. Zero:
  // none; one: as if there were no training.
  double burst_share = 0;
  std::optional<Time> earliest;      // of kDoesNotFit: the deadline that could be met; nothing: none within a year
  Bytes by_deadline;                 // of kDoesNotFit: what would have crossed by then
  Calendar::Binding binding = Calendar::Binding::kLeftover;
};

// Whether `wanted` fits beside what was admitted before, and keeps none of that from its deadline. It changes nothing.
Admission admit(const Road& road, std::span<const Due> admitted, const Due& wanted);

}  // namespace tideway::planner
