// SPDX-License-Identifier: Apache-2.0
//
// Asking the pacer once per burst, at several rates; beside it a token bucket without any of its rules.
#include "flow/pacer.h"
#include "limits.h"

#include <algorithm>

namespace tideway::flow {
namespace {

constexpr Bytes kPacket(1456);

void pace_burst(benchmark::State& state) {
  Time now = Time{} + std::chrono::seconds(1);
  Pacer pacer(now);
  pacer.on_rate(now, Rate::bits_per_second(static_cast<uint64_t>(state.range(0)) * 1'000'000), kPacket);
  for (auto _ : state) {
    pacer.on_wake(now);
    const Bytes may = pacer.available(now);
    pacer.on_sent(may);
    now = std::max(now, pacer.next_send());
    benchmark::DoNotOptimize(may);
  }
  perf::count(state, 1);
}
BENCHMARK(pace_burst)->ArgName("mbit")->Arg(100)->Arg(1'000)->Arg(10'000)->Arg(100'000);

void plain_bucket(benchmark::State& state) {
  const double per_ns = 0.125;
  double tokens = 0, filled_at = 0, now = 0;
  for (auto _ : state) {
    tokens = std::min(65536.0, tokens + (now - filled_at) * per_ns);
    filled_at = now;
    const double sent = tokens;
    tokens = 0;
    now += 65536.0 / per_ns;
    benchmark::DoNotOptimize(sent);
  }
  perf::count(state, 1);
}
BENCHMARK(plain_bucket);

}  // namespace
}  // namespace tideway::flow
