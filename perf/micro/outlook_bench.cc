// SPDX-License-Identifier: Apache-2.0
//
// The days ahead for a hundred thousand queued jobs: the calendar of a link, when each job is done, and whether one more fits
// beside those that have a deadline.
#include "planner/outlook.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace tideway::planner {
namespace {

constexpr Time kBegin(std::chrono::hours(1000));

Calendar calendar() {
  return Calendar(kBegin, kSlackDefault, [](Time at) { return SlotForecast{(at - kBegin) / std::chrono::hours(12) % 2 == 0 ? 5_Gbit : 10_Gbit, Rate::unlimited(), 10_Gbit}; });
}

std::vector<PlannedJob> jobs_of(size_t count) {
  std::vector<PlannedJob> jobs(count);
  for (size_t i = 0; i < count; ++i) {
    jobs[i] = {.number = i, .job_class = static_cast<JobClass>(1 + i % 3), .left = Bytes(1'000'000 + i)};
    if (i % 10 == 0) jobs[i].deadline = kBegin + std::chrono::hours(60) + std::chrono::seconds(i);
  }
  return jobs;
}

void a_calendar(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(calendar());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(a_calendar)->Unit(benchmark::kMillisecond);

void all_prospects(benchmark::State& state) {
  const Calendar usual = calendar(), low = calendar();
  const auto jobs = jobs_of(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    const auto sums = sums_until(jobs);
    for (size_t i = 0; i < jobs.size(); ++i) benchmark::DoNotOptimize(prospect_of({usual, low}, jobs[i], sums[i]));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(all_prospects)->ArgName("jobs")->Arg(100'000)->Unit(benchmark::kMillisecond);

void one_more_deadline(benchmark::State& state) {
  const Calendar low = calendar();
  std::vector<Due> dues;
  for (const PlannedJob& job : jobs_of(static_cast<size_t>(state.range(0))))
    if (job.deadline) dues.push_back({*job.deadline, job.left, job.job_class});
  const bool fits = state.range(1) != 0;
  const Due wanted{kBegin + std::chrono::hours(70), fits ? 1_GiB : Bytes(1ULL << 60)};
  for (auto _ : state) benchmark::DoNotOptimize(admit({.calendar = low, .ahead = {}}, dues, wanted));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(one_more_deadline)->ArgNames({"jobs", "fits"})->Args({100'000, 1})->Args({100'000, 0})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tideway::planner
