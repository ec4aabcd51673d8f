// SPDX-License-Identifier: Apache-2.0
//
// Runs of which each is a seed: TIDEWAY_SIM_SEED=<n> replays one (scripts/dev.sh sim <n>), TIDEWAY_SIM_SEEDS=<n> runs seeds
// 1 to n instead of the default number (scripts/dev.sh seeds <n>).
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
  const uint64_t last = only ? *only : number_in("TIDEWAY_SIM_SEEDS").value_or(kSeedsDefault);
  const auto began = std::chrono::steady_clock::now();
  uint64_t count = 0;
  for (uint64_t seed = only ? *only : 1; seed <= last; ++seed) {
    if (seed % shard.of != shard.index) continue;
    const std::string problem = run(seed);
    EXPECT_TRUE(problem.empty()) << problem << "\nseed " << seed << "; replay it with: scripts/dev.sh sim " << seed;
    count += 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::cout << count << " seeds in " << took.count() << " s\n";
}

}  // namespace tideway::test
