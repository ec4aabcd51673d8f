// SPDX-License-Identifier: Apache-2.0
#include "daemon/use_meter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tideway::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rate kAllOfIt = Rate::bytes_per_second(1'000'000);
constexpr Duration kUseStep = milliseconds(10);

// One who sends all the time that his gate is open, looked at each second.
std::vector<UseMeter::Use> uses_behind(Duration period, Duration burst, Duration time) {
  UseMeter meter;
  std::vector<UseMeter::Use> uses;
  GateTime gate;
  Bytes sent;
  for (Duration now{}; now < time; now += kUseStep) {
    const bool is_open = now % period >= burst;
    gate.over += kUseStep;
    if (is_open) gate.open += kUseStep, sent += kAllOfIt.over(kUseStep);
    if (now % seconds(1) != Duration()) continue;
    if (const auto use = meter.look(&meter, Time(now), sent, gate)) uses.push_back(*use);
  }
  return uses;
}

// A second in the burst of a large model looked as if nobody wanted to send.
TEST(UseMeter, WhoSendsWhenHeMayIsNeverTakenForIdleHoweverLongTheBursts) {
  struct Row { Duration period, burst; size_t uses_min; };
  for (const Row& row : {Row{milliseconds(500), milliseconds(200), 50}, Row{seconds(1), milliseconds(400), 50}, Row{seconds(8), milliseconds(3400), 20}, Row{seconds(20), seconds(18), 3}}) {
    const auto uses = uses_behind(row.period, row.burst, seconds(60));
    EXPECT_GE(uses.size(), row.uses_min) << row.period / milliseconds(1);
    for (const UseMeter::Use& use : uses)
      EXPECT_NEAR((use.sent * (1 / use.open_share)).bits_per_second(), kAllOfIt.bits_per_second(), 0.01 * kAllOfIt.bits_per_second()) << row.period / milliseconds(1);
  }
}

TEST(UseMeter, WhoIsNotHeldIsMeasuredEachSecond) {
  UseMeter meter;
  const int first = 0, second = 0;
  EXPECT_FALSE(meter.look(&first, Time(seconds(1)), Bytes(), std::nullopt));
  EXPECT_FALSE(meter.look(&second, Time(seconds(1)), Bytes(), std::nullopt));
  EXPECT_FALSE(meter.look(&first, Time(milliseconds(1500)), Bytes(500), std::nullopt));
  const auto use = meter.look(&first, Time(seconds(2)), Bytes(1000), std::nullopt);
  ASSERT_TRUE(use);
  EXPECT_EQ(use->sent, Rate::bytes_per_second(1000));
  EXPECT_EQ(use->open_share, 1);
  meter.keep({&first});
  EXPECT_FALSE(meter.look(&second, Time(seconds(3)), Bytes(9), std::nullopt)) << "it is a new one";
  EXPECT_FALSE(meter.look(&first, Time(seconds(4)), Bytes(10), std::nullopt)) << "less than before: another one in its place";
}

TEST(UseMeter, AGateThatStaysShutEndsTheMeasuring) {
  UseMeter meter;
  for (int second = 0; second < 60; ++second)
    EXPECT_FALSE(meter.look(&meter, Time(seconds(second)), Bytes(), GateTime{Duration(), seconds(second)}));
  const auto use = meter.look(&meter, Time(seconds(60)), Bytes(), GateTime{Duration(), seconds(60)});
  ASSERT_TRUE(use);
  EXPECT_EQ(use->open_share, 0);
}

}  // namespace
}  // namespace tideway::daemon
