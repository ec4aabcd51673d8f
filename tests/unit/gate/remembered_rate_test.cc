// SPDX-License-Identifier: Apache-2.0
#include "gate/remembered_rate.h"

#include <gtest/gtest.h>

namespace tideway::gate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RememberedRate, FollowsTenRoundTrips) {
  RememberedRate rate;
  EXPECT_EQ(rate.rate(), Rate());
  Time now(seconds(1));
  rate.on_delivered(now, 100_Mbit, milliseconds(20), milliseconds(1));
  EXPECT_EQ(rate.rate(), 100_Mbit);
  for (int i = 0; i < 10; ++i) rate.on_delivered(now += milliseconds(20), 200_Mbit, milliseconds(20), milliseconds(20));
  EXPECT_GT(rate.rate(), 160_Mbit);
  EXPECT_LT(rate.rate(), 200_Mbit);
  rate.on_delivered(now += milliseconds(20), Rate(), milliseconds(20), milliseconds(20));
  EXPECT_GT(rate.rate(), 160_Mbit);
}

// The first samples behind a gate that has just opened are of what it let pass; they once stood for all the time that it was closed.
TEST(RememberedRate, TimeBehindAClosedGateCountsForNothing) {
  RememberedRate rate;
  Time now(seconds(1));
  rate.on_delivered(now, 200_Mbit, milliseconds(100), milliseconds(1));
  rate.on_delivered(now += milliseconds(600), 100_Mbit, milliseconds(100), milliseconds(1));
  EXPECT_GT(rate.rate(), 199_Mbit);
  rate.on_delivered(now += seconds(11), 100_Mbit, milliseconds(100), milliseconds(1));
  EXPECT_EQ(rate.rate(), 100_Mbit);  // what is too old for anything
}

TEST(RememberedRate, IsStaleAfterTenSecondsOrTenPeriods) {
  RememberedRate rate;
  const Time now(seconds(1));
  EXPECT_FALSE(rate.is_stale(now + seconds(100), {}));  // nothing to be stale
  rate.on_delivered(now, 100_Mbit, milliseconds(20), milliseconds(1));
  EXPECT_FALSE(rate.is_stale(now + seconds(10), {}));
  EXPECT_TRUE(rate.is_stale(now + seconds(11), {}));
  EXPECT_FALSE(rate.is_stale(now + seconds(59), seconds(6)));
  EXPECT_TRUE(rate.is_stale(now + seconds(61), seconds(6)));
}

}  // namespace
}  // namespace tideway::gate
