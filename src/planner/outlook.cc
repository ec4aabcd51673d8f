// SPDX-License-Identifier: Apache-2.0
#include "planner/outlook.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace tideway::planner {
namespace {

constexpr auto rank_of(const PlannedJob& job) {
  const int group = job.job_class == JobClass::kRestore ? 0 : job.deadline ? 1 : 2;
  const Time deadline = group == 1 ? *job.deadline : Time{};
  return std::tuple(group, deadline, group == 1 ? JobClass::kRestore : job.job_class, job.weight > 0 ? 0 : 1, job.number);
}

bool share_with(const PlannedJob& a, const PlannedJob& b) {
  return a.job_class == b.job_class && !a.deadline && !b.deadline && a.weight > 0 && b.weight > 0;
}

double turns(const PlannedJob& job) { return static_cast<double>(job.left.count()) / job.weight; }

// Jobs that share by weight are done in the order of what each has left for its weight; until one is done, the others have
// had as many turns.
void share_sums(std::span<const PlannedJob> jobs, std::span<const size_t> group, Bytes before, std::span<Bytes> sums) {
  for (const size_t i : group) {
    double sum = 0;
    for (const size_t j : group) sum += std::min(turns(jobs[j]), turns(jobs[i])) * jobs[j].weight;
    sums[i] = before + Bytes(static_cast<uint64_t>(std::llround(sum)));
  }
}

}  // namespace

bool goes_before(const PlannedJob& a, const PlannedJob& b) { return rank_of(a) < rank_of(b); }

std::vector<Bytes> sums_until(std::span<const PlannedJob> jobs) {
  std::vector<size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto is_before = [&](size_t a, size_t b) { return goes_before(jobs[a], jobs[b]); };
  if (!std::ranges::is_sorted(order, is_before)) std::ranges::sort(order, is_before);  // whoever has a long queue keeps it in this order
  std::vector<Bytes> sums(jobs.size());
  Bytes before;
  for (size_t i = 0; i < order.size();) {
    size_t end = i + 1;
    while (end < order.size() && share_with(jobs[order[i]], jobs[order[end]])) ++end;
    if (end == i + 1) sums[order[i]] = before + jobs[order[i]].left;
    else share_sums(jobs, std::span(order).subspan(i, end - i), before, sums);
    for (; i < end; ++i) before += jobs[order[i]].left;
  }
  return sums;
}

Time deadline_while_open(const Calendar& calendar, Time deadline, Rate ceiling) {
  const Time now = calendar.begin();
  const Duration takes = ceiling.time_for(calendar.leftover().until(deadline));
  return takes <= Duration::zero() || takes > deadline - now ? deadline : now + takes;
}

std::optional<Time> done_at(const Calendar& calendar, const PlannedJob& job, Bytes until) {
  const auto time = calendar.leftover().time_of(until), alone = calendar.time_alone(job.left, job.rate_max);
  return time && alone ? std::optional(std::max(*time, *alone)) : std::nullopt;
}

Escalation escalation_of(const PlannedJob& job, std::optional<Time> latest, Time now) {
  if (!job.deadline || job.left == Bytes()) return {};
  return escalate({latest ? *latest - now : Duration::max(), *job.deadline - now, job.hurt_max});
}

Prospect prospect_of(const Forecasts& forecasts, const PlannedJob& job, Bytes until) {
  Prospect made{done_at(forecasts.usual, job, until), done_at(forecasts.low, job, until), {}};
  made.escalation = escalation_of(job, made.latest, forecasts.low.begin());
  return made;
}

}  // namespace tideway::planner
