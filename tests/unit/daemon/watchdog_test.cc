// SPDX-License-Identifier: Apache-2.0
#include "daemon/watchdog.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

TEST(Watchdog, IsToldAtOnceAndThenTwiceWithinItsPatience) {
  const Time start(100s);
  Watchdog watchdog(start, 30s);
  EXPECT_TRUE(watchdog.beat(start, start));
  EXPECT_FALSE(watchdog.beat(start + 14s, start + 14s));
  EXPECT_EQ(watchdog.next_deadline(), start + 15s);
  EXPECT_TRUE(watchdog.beat(start + 15s, start + 15s));
  EXPECT_FALSE(watchdog.beat(start + 16s, start + 16s));
  EXPECT_TRUE(watchdog.beat(start + 31s, start + 31s));
}

TEST(Watchdog, IsNotToldWhileANetWorkerStandsStill) {
  const Time start(100s);
  Watchdog watchdog(start, 30s);
  EXPECT_TRUE(watchdog.beat(start, start - 1s));
  EXPECT_FALSE(watchdog.beat(start + 15s, start + 9s));
  EXPECT_GT(watchdog.next_deadline(), start + 15s);  // asks again, and not at once
  EXPECT_LT(watchdog.next_deadline(), start + 16s);
  EXPECT_TRUE(watchdog.beat(start + 16s, start + 16s));
}

TEST(Watchdog, IsNeverDueWhenNobodyWatches) {
  Watchdog watchdog(Time(100s), {});
  EXPECT_EQ(watchdog.next_deadline(), kNever);
  EXPECT_FALSE(watchdog.beat(Time(1h), Time(1h)));
}

TEST(Watchdog, TakesItsPatienceFromTheManagerAndNotFromThatOfItsParent) {
  EXPECT_EQ(Watchdog::patience("30000000", "7", 7), 30s);
  EXPECT_EQ(Watchdog::patience("30000000", nullptr, 7), 30s);
  EXPECT_EQ(Watchdog::patience("30000000", "8", 7), 0s);
  EXPECT_EQ(Watchdog::patience(nullptr, "7", 7), 0s);
  EXPECT_EQ(Watchdog::patience("soon", "7", 7), 0s);
  EXPECT_EQ(Watchdog::patience("-1", "7", 7), 0s);
}

}  // namespace
}  // namespace tideway::daemon
