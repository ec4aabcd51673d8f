// SPDX-License-Identifier: Apache-2.0
#include "engine/poll_pace.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

using namespace std::chrono_literals;
constexpr Time kStart{100s};

TEST(PollPace, ItLooksAThousandTimesBeforeItRests) {
  PollPace pace(Poll::kAdaptive, 16);
  for (int i = 1; i < 1'000; ++i) ASSERT_EQ(pace.on_empty(kStart), 0us) << i;
  EXPECT_EQ(pace.on_empty(kStart), PollPace::kRestShort);
}

TEST(PollPace, OnTwoCoresItNeverSpins) {
  PollPace pace(Poll::kAdaptive, 2);
  EXPECT_EQ(pace.on_empty(kStart), 0us);
  EXPECT_EQ(pace.on_empty(kStart), PollPace::kRestShort);
}

TEST(PollPace, AfterASecondWithoutWorkItRestsLongAndWorkEndsThat) {
  PollPace pace(Poll::kAdaptive, 2);
  pace.on_empty(kStart);
  EXPECT_EQ(pace.on_empty(kStart), PollPace::kRestShort);
  EXPECT_EQ(pace.on_empty(kStart + 999ms), PollPace::kRestShort);
  EXPECT_EQ(pace.on_empty(kStart + 1s), PollPace::kRestLong);
  pace.on_work();
  EXPECT_EQ(pace.on_empty(kStart + 2s), 0us);
  EXPECT_EQ(pace.on_empty(kStart + 2s), PollPace::kRestShort);
}

TEST(PollPace, FullPollingNeverRests) {
  PollPace pace(Poll::kFull, 2);
  for (int i = 0; i < 5'000; ++i) ASSERT_EQ(pace.on_empty(kStart + i * 1s), 0us);
}

}  // namespace
}  // namespace tideway::engine
