// SPDX-License-Identifier: Apache-2.0
#include "schedule/registry.h"

#include "schedule/fill.h"
#include "schedule/per_link.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace tideway::schedule {
namespace {

Rate take(Rate& available, Rate wanted) {
  const Rate taken = std::min(available, wanted);
  available = Rate::bytes_per_second(available.bytes_per_second() - taken.bytes_per_second());
  return taken;
}

class Fifo final : public SchedulePolicy {
 public:
  Plan plan(const Situation& situation) const override {
    return plan_per_link(situation, [](const LinkShare& share) {
      Rate available = share.available;
      std::vector<Rate> rates;
      for (const JobView* job : share.jobs) rates.push_back(take(available, job->rate_max));
      return rates;
    });
  }
};

std::vector<Rate> fair_rates(const LinkShare& share) {
  std::vector<Wish> wishes;
  wishes.reserve(share.jobs.size());
  for (const JobView* job : share.jobs) wishes.push_back({job->job_class, job->weight, job->rate_max});
  return fill(wishes, {share.link.capacity, share.available});
}

class WeightedFair final : public SchedulePolicy {
 public:
  Plan plan(const Situation& situation) const override { return plan_per_link(situation, fair_rates); }
};

// What a deadline needs on average from now on; nothing for a job without one. Past it, all there is.
Rate needed(const JobView& job, Time now) {
  if (!job.deadline) return Rate();
  if (*job.deadline <= now) return job.rate_max;
  return std::min(job.rate_max, Rate::of(job.left, *job.deadline - now));
}

// Of what is left, shared out by class among all: deadlines that need everything may go on for hours. Well within the slack that is planned with.
constexpr double kBesideDeadlines = 0.02;

class Deadline final : public SchedulePolicy {
 public:
  Plan plan(const Situation& situation) const override {
    return plan_per_link(situation, [](const LinkShare& share) {
      std::vector<size_t> order(share.jobs.size());
      std::iota(order.begin(), order.end(), size_t{0});
      std::ranges::stable_sort(order, {}, [&](size_t i) { return share.jobs[i]->deadline.value_or(kNever); });
      Rate available = share.available;
      const Rate beside = take(available, available * kBesideDeadlines);
      std::vector<Rate> rates(share.jobs.size());
      for (const size_t i : order) rates[i] = take(available, needed(*share.jobs[i], share.now));
      std::vector<Wish> wishes;
      for (size_t i = 0; i < share.jobs.size(); ++i) {
        const JobView& job = *share.jobs[i];
        const Rate more = job.rate_max.is_unlimited() ? job.rate_max
                                                      : Rate::bytes_per_second(job.rate_max.bytes_per_second() - rates[i].bytes_per_second());
        wishes.push_back({job.job_class, job.weight, more});
      }
      const std::vector<Rate> rest = fill(wishes, {share.link.capacity, available + beside});
      for (size_t i = 0; i < rates.size(); ++i) rates[i] = rates[i] + rest[i];
      return rates;
    });
  }
};

template <typename Policy>
std::unique_ptr<SchedulePolicy> make() {
  return std::make_unique<Policy>();
}

constexpr PolicyEntry kPolicies[] = {{"fifo", make<Fifo>}, {"weighted_fair", make<WeightedFair>}, {"deadline", make<Deadline>}};

}  // namespace

std::span<const PolicyEntry> policies() { return kPolicies; }

Result<PolicyEntry> find_policy(std::string_view name) {
  std::string names;
  for (const PolicyEntry& entry : kPolicies) {
    if (entry.name == name) return entry;
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  return Error{Fault::kConfigInvalid, "there is no policy \"" + std::string(name.substr(0, 64)) + '"', "choose one of " + names};
}

}  // namespace tideway::schedule
