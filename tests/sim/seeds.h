// SPDX-License-Identifier: Apache-2.0
//
// Runs of which each is a seed: TIDEWAY_SIM_SEED=<n> replays one (scripts/dev.sh sim <n>), TIDEWAY_SIM_SEEDS=<n> runs n
// seeds instead of the default number, from TIDEWAY_SIM_FIRST (1) on (scripts/dev.sh seeds <n> <first>).
#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>
#include <string>

namespace tideway::test {

inline std::optional<uint64_t> number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

inline constexpr uint64_t kSeedsDefault = 1000;  // of all shards

struct SeedShard {
  uint64_t index = 0, of = 1;
};

// `run` gives what was wrong with a seed's run, or nothing.
inline void check_seeds(const SeedShard& shard, const std::function<std::string(uint64_t seed)>& run) {
  const auto only = number_in("TIDEWAY_SIM_SEED");
  const uint64_t first = only ? *only : number_in("TIDEWAY_SIM_FIRST").value_or(1);
  const uint64_t count_max = only ? 1 : number_in("TIDEWAY_SIM_SEEDS").value_or(kSeedsDefault);
  const auto began = std::chrono::steady_clock::now();
  uint64_t count = 0;
  for (uint64_t seed = first; seed - first < count_max; ++seed) {
    if (seed % shard.of != shard.index) continue;
    const std::string problem = run(seed);
    EXPECT_TRUE(problem.empty()) << problem << "\nseed " << seed << "; replay it with: scripts/dev.sh sim " << seed;
    count += 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::cout << count << " seeds in " << took.count() << " s\n";
}

}  // namespace tideway::test
