// SPDX-License-Identifier: Apache-2.0
//
// How far a job with a deadline may go when the gaps alone are not enough. Each step needs the owner's permission, on the link
// and on the job, and stays within the smaller of the two; without it the job stays in the gaps and is reported at risk.
// Thread: any. Pure.
#pragma once
#include <tideway/schedule_policy.h>

#include <span>
#include <vector>

namespace tideway::planner {

// The steps: shares of the link during bursts; with the last a job competes as if there were no training.
inline constexpr double kBurstShares[] = {0, 0.05, 0.1, 0.2, 1};

struct Need {
  Duration takes;      // as forecast, with all that goes before it; Duration::max(): for ever
  Duration time;       // until the deadline
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

// What jobs of one link get of its bursts when they want so much, in the order of their deadlines: together no more than its owner
// allows.
std::vector<double> share_bursts(std::span<const double> wanted, double most);

}  // namespace tideway::planner
