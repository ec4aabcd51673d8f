// SPDX-License-Identifier: Apache-2.0
//
// What an announcement costs a trainer: a begin and an end on the phase board, and a beacon without its sending; and what
// reading a beacon costs the gateway.
#include "gate/beacon_judge.h"
#include <tideway/phase.h>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

namespace tideway::gate {
namespace {

void begin_and_end(benchmark::State& state) {
  std::string path = "/tmp/tideway-phase-bench-XXXXXX";
  const int fd = mkstemp(path.data());
  tideway_phase phase{};
  if (fd < 0 || ftruncate(fd, 4096) != 0 || tideway_phase_open(&phase, path.c_str(), "llm7", nullptr) != 0) return state.SkipWithError("no board");
  const tideway_phase_details details{.bytes = 40'000'000, .duration_us = 400'000, .period_us = 1'000'000, .jitter_us = 5'000, .ttl_us = 900'000};
  for (auto _ : state) {
    tideway_phase_begin(&phase, &details);
    tideway_phase_end(&phase);
  }
  tideway_phase_close(&phase);
  close(fd);
  unlink(path.c_str());
}
BENCHMARK(begin_and_end);

void write_one(benchmark::State& state) {
  Beacon beacon;
  for (auto _ : state) {
    ++beacon.sequence;
    benchmark::DoNotOptimize(write_beacon(beacon, BeaconKey{}));
  }
}
BENCHMARK(write_one);

void take_one(benchmark::State& state) {
  BeaconJudge judge({BeaconKey{}});
  Beacon beacon;
  beacon.sent_ns = 1'000'000'000;
  for (auto _ : state) {
    state.PauseTiming();
    ++beacon.sequence;
    const auto datagram = write_beacon(beacon, BeaconKey{});
    state.ResumeTiming();
    benchmark::DoNotOptimize(judge.take(Time(std::chrono::seconds(1)), std::chrono::seconds(1), datagram));
  }
}
BENCHMARK(take_one);

}  // namespace
}  // namespace tideway::gate
