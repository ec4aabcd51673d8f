// SPDX-License-Identifier: Apache-2.0
//
// A plan for a hundred thousand queued jobs, and one decision of a gate.
#include "gate/gate.h"
#include "schedule/registry.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace tideway {
namespace {

std::vector<JobView> queue(size_t count) {
  std::vector<JobView> jobs(count);
  for (size_t i = 0; i < count; ++i) {
    jobs[i].id = PlannedJobId(i);
    jobs[i].link = LinkId(static_cast<uint16_t>(i % 4));
    jobs[i].job_class = static_cast<JobClass>(i % 4);
    jobs[i].left = Bytes(1'000'000 + i);
    jobs[i].weight = static_cast<double>(1 + i % 5);
    if (i % 2 == 0) jobs[i].deadline = Time(std::chrono::seconds(100 + i));
    if (i % 3 == 0) jobs[i].rate_max = 100_Mbit;
  }
  return jobs;
}

void plan(benchmark::State& state, const char* name) {
  const auto policy = schedule::find_policy(name).value().make();
  const auto jobs = queue(static_cast<size_t>(state.range(0)));
  std::vector<LinkView> links(4);
  for (size_t i = 0; i < links.size(); ++i)
    links[i] = {.id = LinkId(static_cast<uint16_t>(i)), .capacity = 100_Gbit, .leftover = 57_Gbit};
  for (auto _ : state) benchmark::DoNotOptimize(policy->plan({Time(std::chrono::seconds(1)), jobs, links}));
}
BENCHMARK_CAPTURE(plan, fifo, "fifo")->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan, weighted_fair, "weighted_fair")->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan, deadline, "deadline")->Arg(100'000)->Unit(benchmark::kMillisecond);

void gate_step(benchmark::State& state) {
  gate::Gate gate;
  Time now{};
  for (auto _ : state) {
    now += std::chrono::microseconds(10);
    const bool is_burst = now.time_since_epoch() % std::chrono::seconds(1) < std::chrono::milliseconds(400);
    const gate::GateSignal signal{.closed_until = is_burst ? kNever : Time::min(), .reason = gate::GateReason::kTraining};
    gate = gate::step(gate, now, signal, {.rtt = std::chrono::milliseconds(20)});
    benchmark::DoNotOptimize(gate);
  }
}
BENCHMARK(gate_step);

}  // namespace
}  // namespace tideway
