// SPDX-License-Identifier: Apache-2.0
//
// Whether a job would be done by its deadline: the answer of POST /v1/schedule/check.
// Thread: any. Pure.
#pragma once
#include "job/spec.h"
#include <tideway/result.h>

#include <optional>
#include <string>
#include <string_view>

namespace tideway::api {

struct Feasibility {
  bool is_feasible = true;
  std::optional<job::WallTime> eta;             // at the planned rates; nothing: not within a year, or nobody knows
  std::optional<std::chrono::seconds> slack;    // between that and the deadline, if it fits
  std::string mode = "scavenge";                // in the gaps only; hybrid, fair: at a cost for trainings
  double cost = 0;                              // the share of the link that it takes during bursts
  std::optional<job::WallTime> earliest;        // of one that does not fit: the deadline that could be met
  std::optional<Bytes> by_deadline;             // the same: what would have crossed by then
  std::string needs_mode;                       // the same: what it would take; empty: nothing would help
  double needs_share = 0;
  std::string link, reason;                     // of what binds: timetable, leftover, ceiling, jobs
  std::string confidence;                       // high, medium, low: how much is known of the link
  std::string why;                              // one sentence, if it does not fit
};
std::string to_json(const Feasibility& feasibility);
// Errors: usage: it is none.
Result<Feasibility> parse_feasibility(std::string_view text);

}  // namespace tideway::api
