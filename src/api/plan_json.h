// SPDX-License-Identifier: Apache-2.0
//
// What the scheduler does at the moment, and why: the answer of GET /v1/schedule.
// Thread: any. Pure.
#pragma once
#include "api/job_view.h"

namespace tideway::api {

// An unlimited rate is null in JSON, and so is what is not known.
struct ClassInPlan {
  std::string name, mode;                   // scavenge, fair
  uint32_t weight = 1;
  Rate rate = Rate::unlimited();            // of all its jobs together
  bool operator==(const ClassInPlan&) const = default;
};

struct LinkInPlan {
  std::string peer;
  Rate capacity = Rate::unlimited();
  Rate ceiling = Rate::unlimited();         // of the operator
  Rate timetable = Rate::unlimited();       // at this hour; zero: pause
  std::optional<job::WallTime> changes_at;  // the timetable, to
  Rate changes_to = Rate::unlimited();
  Rate leftover = Rate::unlimited();        // that is planned with: as usual at this hour, within ceiling and timetable
  Rate leftover_low = Rate::unlimited();    // what deadlines may count on
  std::string confidence;                   // high, medium, low; empty: nothing is planned, since its capacity is not known
  std::string gate, gate_reason;            // empty: it has none
  uint64_t running = 0, queued = 0;
  bool operator==(const LinkInPlan&) const = default;
};

struct JobInPlan {
  std::string id, peer, service, state;
  std::string mode;                         // of one that runs: scavenge, fair
  uint32_t weight = 1;
  Rate rate = Rate::unlimited();            // its share until the next deal
  std::optional<Rate> sent;                 // in the second before
  std::string reason;                       // why it is not sending; empty: it is
  std::optional<job::WallTime> deadline;
  std::optional<Forecast> forecast;
  bool is_at_risk = false;
  bool operator==(const JobInPlan&) const = default;
};

struct Schedule {
  std::string policy;
  std::optional<job::WallTime> planned_at;  // the forecasts
  std::vector<ClassInPlan> classes;
  std::vector<LinkInPlan> links;
  std::vector<JobInPlan> jobs;              // those that run, and of each peer the next ones
  bool operator==(const Schedule&) const = default;
};
std::string to_json(const Schedule& schedule);
// Errors: usage: it is none.
Result<Schedule> parse_schedule(std::string_view text);

}  // namespace tideway::api
