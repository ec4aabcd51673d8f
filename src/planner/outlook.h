// SPDX-License-Identifier: Apache-2.0
//
// When the jobs of a link will be done. Restores go first, then deadlines, the earliest first, then the classes one after the
// other; of what runs without a deadline, the jobs of one class share. All in bytes, so that a hundred thousand jobs are a few
// sums each, and a time is looked up when somebody asks for it.
// Thread: any. Pure.
#pragma once
#include "planner/calendar.h"
#include "planner/escalation.h"

namespace tideway::planner {

struct PlannedJob {
  uint64_t number = 0;               // of its submission
  JobClass job_class = JobClass::kBestEffort;
  std::optional<Time> deadline{};
  Bytes left{};                      // to cross the wire, as far as that is known
  double hurt_max = 0;               // the smaller of what link and job allow
  Rate rate_max = Rate::unlimited(); // its own ceiling
  double weight = 0;                 // of one that runs; zero: it waits for its turn
};

// Whether `a` goes before `b`.
bool goes_before(const PlannedJob& a, const PlannedJob& b);

struct Forecasts {
  const Calendar& usual;             // in half of the days there is more
  const Calendar& low;               // in nine of ten
};

// In the order of the jobs: what crosses the link until each is done, itself included.
std::vector<Bytes> sums_until(std::span<const PlannedJob> jobs);

// A deadline for somebody who may send at `ceiling`, the most that passes now, and would at all times: earlier than the real one by as much as the
// gate is shut until then, or less is left later. What it needs on average until then is what it needs of each moment in which the gate is open.
Time deadline_while_open(const Calendar& calendar, Time deadline, Rate ceiling);

struct Prospect {
  std::optional<Time> eta, latest;   // as usual, and in nine of ten days no later; nothing: not within a year
  Escalation escalation;             // of a job with a deadline
};
Prospect prospect_of(const Forecasts& forecasts, const PlannedJob& job, Bytes until);
// The parts of it. Nothing: not within a year.
std::optional<Time> done_at(const Calendar& calendar, const PlannedJob& job, Bytes until);
Escalation escalation_of(const PlannedJob& job, std::optional<Time> latest, Time now);

}  // namespace tideway::planner
