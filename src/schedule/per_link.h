// SPDX-License-Identifier: Apache-2.0
//
// What all policies have in common: jobs are shared out link by link, jobs in `fair` mode stand outside, and who gets nothing
// is told why.
// Thread: any. Pure.
#pragma once
#include <tideway/schedule_policy.h>

#include <functional>
#include <span>
#include <vector>

namespace tideway::schedule {

// The jobs of one link that share what is left of it, and their rates, in this order.
struct LinkShare {
  Time now;
  const LinkView& link;
  Rate available;
  std::span<const JobView* const> jobs;
};
using ShareOut = std::function<std::vector<Rate>(const LinkShare&)>;

Plan plan_per_link(const Situation& situation, const ShareOut& share_out);

}  // namespace tideway::schedule
