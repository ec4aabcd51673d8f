// SPDX-License-Identifier: Apache-2.0
//
// How far a job with a deadline may go when the gaps alone are not enough. Each step needs the owner's permission, on the link
// and on the job, and stays within the smaller of the two; without it the job stays in the gaps and is reported at risk.
// Thread: any. Pure.
#pragma once
#include <tideway/schedule_policy.h>

namespace tideway::planner {

struct Need {
  Bytes left;
  Duration time;       // until the deadline
  Rate leftover;       // as forecast
  double hurt_max = 0; // the smaller of what link and job allow, a share of the link during bursts
};

enum class Risk : uint8_t { kNone, kDeadlineAtRisk };

struct Escalation {
  Mode mode = Mode::kScavenge;
  double burst_share = 0;  // of the capacity, during bursts
  double rho = 0;          // the time it needs over the time it has
  Risk risk = Risk::kNone;
};

Escalation escalate(const Need& need);

}  // namespace tideway::planner
