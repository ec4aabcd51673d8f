// SPDX-License-Identifier: Apache-2.0
#include "schedule/per_link.h"

#include "schedule/registry.h"

#include <algorithm>

namespace tideway::schedule {
namespace {

HoldReason reason_for_nothing(const LinkView& link, const JobView& job) {
  if (link.cap == Rate()) return HoldReason::kTimetable;
  if (job.rate_max == Rate()) return HoldReason::kRateLimit;
  if (link.leftover == Rate()) return link.open_share < kStarvedShare ? HoldReason::kGateStarved : HoldReason::kBudget;
  return HoldReason::kLowerClass;
}

Allowance allowance(const LinkView& link, const JobView& job, Rate rate) {
  Allowance made{job.id, rate, job.mode, job.mode == Mode::kHybrid ? job.burst_share : 0, HoldReason::kNone};
  if (rate == Rate()) made.reason = reason_for_nothing(link, job);
  return made;
}

}  // namespace

Plan plan_per_link(const Situation& situation, const ShareOut& share_out) {
  Plan plan{{}, situation.now + kPlanValid};
  plan.allowances.resize(situation.jobs.size());
  std::vector<std::vector<size_t>> by_link(situation.links.size());
  for (size_t i = 0; i < situation.jobs.size(); ++i) {
    const JobView& job = situation.jobs[i];
    const auto link = std::ranges::find(situation.links, job.link, &LinkView::id);
    if (link == situation.links.end()) {
      plan.allowances[i] = {job.id, Rate(), job.mode, 0, HoldReason::kPeerLost};
    } else if (job.mode == Mode::kFair) {
      plan.allowances[i] = allowance(*link, job, std::min(link->cap, job.rate_max));
    } else {
      by_link[static_cast<size_t>(link - situation.links.begin())].push_back(i);
    }
  }
  for (size_t l = 0; l < by_link.size(); ++l) {
    // In the order of their ids, so that the order in which jobs are listed changes nothing.
    std::ranges::sort(by_link[l], {}, [&](size_t i) { return situation.jobs[i].id; });
    std::vector<const JobView*> jobs;
    for (const size_t i : by_link[l]) jobs.push_back(&situation.jobs[i]);
    const LinkView& link = situation.links[l];
    const std::vector<Rate> rates = share_out({situation.now, link, std::min(link.leftover, link.cap), jobs});
    for (size_t i = 0; i < jobs.size(); ++i) plan.allowances[by_link[l][i]] = allowance(link, *jobs[i], rates[i]);
  }
  return plan;
}

}  // namespace tideway::schedule
