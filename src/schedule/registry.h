// SPDX-License-Identifier: Apache-2.0
//
// The policies by the names of the configuration.
//   fifo           who came first has all of it, as far as he can use it
//   weighted_fair  classes nearly one after the other, and fair shares within one (fill.h)
//   deadline       first what deadlines need, the earliest first; the rest as weighted_fair
// Thread: any. Pure.
#pragma once
#include <tideway/result.h>
#include <tideway/schedule_policy.h>

#include <memory>
#include <span>
#include <string_view>

namespace tideway::schedule {

inline constexpr Duration kPlanValid = std::chrono::seconds(2);  // several turns of the loop that makes plans
inline constexpr double kStarvedShare = 0.1;                     // an open share below that is no gap to work in

struct PolicyEntry {
  std::string_view name;
  std::unique_ptr<SchedulePolicy> (*make)();
};
std::span<const PolicyEntry> policies();
// Errors: config_invalid, naming those there are.
Result<PolicyEntry> find_policy(std::string_view name);

}  // namespace tideway::schedule
