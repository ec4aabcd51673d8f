// SPDX-License-Identifier: Apache-2.0
#include "planner/escalation.h"

#include <algorithm>
#include <limits>

namespace tideway::planner {
namespace {

// Up to this rho, this share of the link during bursts; beyond the last one a job competes as if there were no training.
struct Step { double rho, share; };
constexpr Step kSteps[] = {{0.8, 0}, {1.0, 0.05}, {1.05, 0.1}, {1.1, 0.2}};
constexpr double kFair = 1;

double wanted_share(double rho) {
  for (const Step& step : kSteps)
    if (rho < step.rho) return step.share;
  return kFair;
}

}  // namespace

Escalation escalate(const Need& need) {
  Escalation made;
  const Duration takes = need.leftover.time_for(need.left);
  if (need.left == Bytes()) return made;
  made.rho = need.time <= Duration::zero() || takes == Duration::max() ? std::numeric_limits<double>::infinity()
                                                                       : static_cast<double>(takes.count()) / static_cast<double>(need.time.count());
  const double wanted = wanted_share(made.rho);
  made.burst_share = std::min(wanted, std::max(need.hurt_max, 0.0));
  if (made.burst_share < wanted && made.rho >= 1) made.risk = Risk::kDeadlineAtRisk;
  if (made.burst_share >= kFair) made.mode = Mode::kFair;
  else if (made.burst_share > 0) made.mode = Mode::kHybrid;
  return made;
}

}  // namespace tideway::planner
