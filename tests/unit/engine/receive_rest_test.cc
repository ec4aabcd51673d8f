// SPDX-License-Identifier: Apache-2.0
#include "engine/receive_rest.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLongWay = 1h;

TEST(ReceiveRest, BeginsBehindTheStart) {
  ReceiveRest rest;
  Time now(1s);
  for (uint64_t sum = 0; sum < ReceiveRest::kBegun; sum += 16, now += 200us) {
    EXPECT_LE(rest.until(kLongWay), now) << sum;
    rest.on_received(now, 16);
  }
  EXPECT_EQ(rest.until(kLongWay), now - 200us + 1ms) << "ninety-six take 1.2 ms";
}

TEST(ReceiveRest, IsAsLongAsTheRateAndTheRoundTripLet) {
  ReceiveRest rest;
  rest.on_received(Time(1s), ReceiveRest::kBegun);
  const Time now = Time(1s) + 1ms;
  rest.on_received(now, 960);
  EXPECT_EQ(rest.until(kLongWay), now + 100us);
  EXPECT_EQ(rest.until(200us), now + 50us);
}

TEST(ReceiveRest, EndsWhereNothingCameForAWhile) {
  ReceiveRest rest;
  rest.on_received(Time(1s), ReceiveRest::kBegun);
  Time now = Time(1s) + 5ms;
  rest.on_received(now, 1);
  EXPECT_EQ(rest.until(kLongWay), now + 1ms);
  rest.on_received(now + 100us, 0);
  EXPECT_EQ(rest.until(kLongWay), now + 1ms) << "a look that finds nothing is no news";
  now += ReceiveRest::kPause + 1us;
  rest.on_received(now, 16);
  EXPECT_LT(rest.until(kLongWay), now) << "this may be another one's start";
}

}  // namespace
}  // namespace tideway::engine
