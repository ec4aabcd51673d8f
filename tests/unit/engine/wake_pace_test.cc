// SPDX-License-Identifier: Apache-2.0
#include "engine/wake_pace.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

using namespace std::chrono_literals;
constexpr Time kBegin{100s};
constexpr Duration kFar = 50ms;

TEST(WakePace, NothingGathersInTheFirstSecondOfATransfer) {
  WakePace pace;
  for (uint64_t i = 1; i <= 10; ++i) {
    pace.on_count(kBegin + i * 100ms, i, kFar);
    ASSERT_EQ(pace.gather(), 0us) << i;
  }
  pace.on_count(kBegin + 1'100ms, 11, kFar);
  EXPECT_EQ(pace.gather(), WakePace::kGatherMax);
}

TEST(WakePace, AShortPathGathersForASmallPartOfItsRoundTrip) {
  WakePace pace;
  pace.on_count(kBegin, 1, 400us);
  pace.on_count(kBegin + 1s, 2, 400us);
  EXPECT_EQ(pace.gather(), 50us);
}

TEST(WakePace, AnIdleLaneLeavesItToOthersAndThenStartsAnew) {
  WakePace pace;
  EXPECT_EQ(pace.gather(), std::nullopt);
  pace.on_count(kBegin, 1, kFar);
  pace.on_count(kBegin + 2s, 2, kFar);
  pace.on_count(kBegin + 3s, 2, kFar);
  EXPECT_EQ(pace.gather(), std::nullopt);
  pace.on_count(kBegin + 4s, 3, kFar);
  EXPECT_EQ(pace.gather(), 0us);
}

}  // namespace
}  // namespace tideway::engine
