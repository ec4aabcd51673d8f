// SPDX-License-Identifier: Apache-2.0
#include "planner/escalation.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace tideway::planner {
namespace {

constexpr double kRhos[] = {0.8, 1.0, 1.05, 1.1};  // from each on, the next of kBurstShares
static_assert(std::size(kRhos) + 1 == std::size(kBurstShares));
constexpr double kFair = kBurstShares[std::size(kBurstShares) - 1];

}  // namespace

Escalation escalate(const Need& need) {
  Escalation made;
  if (need.takes <= Duration::zero()) return made;
  const bool is_hopeless = need.time <= Duration::zero() || need.takes == Duration::max();
  made.rho = is_hopeless ? std::numeric_limits<double>::infinity() : static_cast<double>(need.takes.count()) / static_cast<double>(need.time.count());
  const double wanted = kBurstShares[std::ranges::upper_bound(kRhos, made.rho) - std::begin(kRhos)];
  made.burst_share = std::min(wanted, std::max(need.hurt_max, 0.0));
  if (made.burst_share < wanted && made.rho >= 1) made.risk = Risk::kDeadlineAtRisk;
  if (made.burst_share >= kFair) made.mode = Mode::kFair;
  else if (made.burst_share > 0) made.mode = Mode::kHybrid;
  return made;
}

std::vector<double> share_bursts(std::span<const double> wanted, double most) {
  std::vector<double> shares;
  for (const double one : wanted) {
    shares.push_back(std::clamp(one, 0.0, std::max(most, 0.0)));
    most -= shares.back();
  }
  return shares;
}

}  // namespace tideway::planner
