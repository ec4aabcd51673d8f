// SPDX-License-Identifier: Apache-2.0
#include "daemon/retries.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

using std::chrono::seconds;

TEST(Retries, AreDueInTheOrderOfTheirTimes) {
  Retries retries;
  retries.put("b", Time(seconds(2)));
  retries.put("a", Time(seconds(3)));
  retries.put("c", Time(seconds(1)));
  retries.put("c", Time(seconds(4)));
  EXPECT_EQ(retries.next_deadline(), Time(seconds(2)));
  EXPECT_EQ(retries.take_due(Time(seconds(1))), std::nullopt);
  EXPECT_EQ(retries.take_due(Time(seconds(3))), "b");
  EXPECT_EQ(retries.take_due(Time(seconds(3))), "a");
  EXPECT_EQ(retries.take_due(Time(seconds(3))), std::nullopt);
  retries.erase("c");
  EXPECT_EQ(retries.next_deadline(), kNever);
}

TEST(Retries, ThoseOfAPeerThatIsBackAreDueAtOnceUnlessTheyWaitNoMore) {
  Retries retries;
  retries.put("a", Time(seconds(30)));
  retries.put("b", Time(seconds(30)));
  retries.put("c", Time(seconds(30)));
  retries.hurry({"a", "b", "x"});
  retries.erase("a");
  EXPECT_EQ(retries.next_deadline(), Time{});
  EXPECT_EQ(retries.take_due(Time(seconds(1))), "b");
  EXPECT_EQ(retries.take_due(Time(seconds(1))), std::nullopt);
  EXPECT_EQ(retries.next_deadline(), Time(seconds(30)));
  retries.hurry({"c"});
  retries.clear();
  EXPECT_EQ(retries.take_due(Time(seconds(99))), std::nullopt);
  EXPECT_EQ(retries.next_deadline(), kNever);
}

}  // namespace
}  // namespace tideway::daemon
