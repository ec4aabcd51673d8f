// SPDX-License-Identifier: Apache-2.0
#include "flow/delivery_rate.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace tideway::flow::delivery_rate_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;
constexpr Bytes kBurst(10'000);

// Bursts that leave and are acked in order.
struct DeliveryRateTest : testing::Test {
  DeliveryRate rate{kStart};
  std::deque<BurstRecord> under_way;
  Bytes in_flight;

  void send(Time now) {
    under_way.push_back(rate.on_burst_sent(now, in_flight));
    in_flight += kBurst;
  }
  // The oldest `bursts` are acked by one frame.
  RateSample ack(Time now, size_t bursts = 1, Duration rtt_min = 1ms) {
    BurstRecord newest;
    for (size_t i = 0; i < bursts; ++i) {
      newest = under_way.front();
      under_way.pop_front();
      in_flight -= kBurst;
      rate.on_delivered(now, kBurst);
    }
    return rate.take_sample(now, newest, rtt_min);
  }
  static void expect_near(Rate got, Rate wanted) {
    const double expected = wanted.bits_per_second();
    EXPECT_NEAR(got.bits_per_second(), expected, expected * 0.02);
  }
};
constexpr Rate kTenBytesPerUs = Rate::bytes_per_second(10'000'000);  // one burst each millisecond

TEST_F(DeliveryRateTest, OfASteadyFlowIsItsRate) {
  for (int ms = 0; ms < 500; ++ms) {
    send(kStart + ms * 1ms);
    if (ms < 100) continue;
    const RateSample sample = ack(kStart + ms * 1ms);
    if (ms < 201) continue;  // the first flights begin with an empty pipe
    expect_near(sample.rate, kTenBytesPerUs);
    EXPECT_EQ(sample.limited_by, LimitedBy::kNetwork);
    EXPECT_EQ(sample.rate, rate.latest());
  }
}

TEST_F(DeliveryRateTest, OfAFlowThatSendsFasterThanThePathIsThePaths) {
  int acked = 0;
  for (int step = 0; step < 1000; ++step) {
    const Time now = kStart + step * 500us;  // twice the rate
    if (in_flight < kBurst * 250) send(now);
    if (step >= 200 && step % 2 == 0) {
      const RateSample sample = ack(now);
      if (++acked > 250) expect_near(sample.rate, kTenBytesPerUs);
    }
  }
  EXPECT_GT(acked, 300);
}

TEST_F(DeliveryRateTest, AcksThatComeFasterThanPacketsLeftDoNotMakeThePathFaster) {
  for (int ms = 0; ms < 600; ++ms) {
    send(kStart + ms * 1ms);
    if (ms < 150) continue;
    // The round trip falls from 150 to 100 ms, and for 50 ms two bursts are acked where one leaves.
    const RateSample sample = ack(kStart + ms * 1ms, ms >= 300 && ms < 350 ? 2 : 1);
    EXPECT_LE(sample.rate.bytes_per_second(), kTenBytesPerUs.bytes_per_second() * 102 / 100) << ms;
  }
}

TEST_F(DeliveryRateTest, OfAFlightShorterThanARoundTripIsUnknown) {
  send(kStart);
  send(kStart + 1us);
  const RateSample sample = ack(kStart + 2us, 2, 10ms);
  EXPECT_EQ(sample.rate, Rate());
}

TEST_F(DeliveryRateTest, WhatIsSentWithNothingToSendIsMarkedUntilItIsDelivered) {
  send(kStart);
  EXPECT_FALSE(rate.is_app_limited());
  rate.on_app_limited(in_flight);
  EXPECT_TRUE(rate.is_app_limited());
  send(kStart + 1ms);
  EXPECT_EQ(ack(kStart + 100ms).limited_by, LimitedBy::kNetwork) << "it left before";
  EXPECT_EQ(ack(kStart + 101ms).limited_by, LimitedBy::kApplication);
  EXPECT_FALSE(rate.is_app_limited());
  send(kStart + 102ms);
  EXPECT_EQ(ack(kStart + 202ms).limited_by, LimitedBy::kNetwork);
}

TEST_F(DeliveryRateTest, AFlowWithNothingInFlightIsLimitedUntilItSendsAgain) {
  rate.on_app_limited(Bytes());
  EXPECT_TRUE(rate.is_app_limited());
  send(kStart);
  EXPECT_EQ(ack(kStart + 100ms).limited_by, LimitedBy::kApplication);
  send(kStart + 101ms);
  EXPECT_EQ(ack(kStart + 201ms).limited_by, LimitedBy::kNetwork);
}

TEST_F(DeliveryRateTest, IdleTimeIsNotCountedAsTransfer) {
  for (int ms = 0; ms < 300; ++ms) {
    send(kStart + ms * 1ms);
    if (ms >= 100) ack(kStart + ms * 1ms);
  }
  for (int ms = 300; ms < 400; ++ms) ack(kStart + ms * 1ms);
  ASSERT_EQ(in_flight, Bytes());
  const Time later = kStart + 1h;
  for (int ms = 0; ms < 300; ++ms) {
    send(later + ms * 1ms);
    if (ms < 100) continue;
    const RateSample sample = ack(later + ms * 1ms);
    if (ms >= 201) expect_near(sample.rate, kTenBytesPerUs);
    EXPECT_GT(sample.rate.bits_per_second(), 0.0) << ms;
  }
}

TEST_F(DeliveryRateTest, RoundsAreRoundTrips) {
  const uint64_t before = rate.round();
  for (int ms = 0; ms < 1000; ++ms) {
    send(kStart + ms * 1ms);
    if (ms >= 100) ack(kStart + ms * 1ms);
  }
  EXPECT_GE(rate.round() - before, 8U) << "900 ms of acks, 100 ms round trip";
  EXPECT_LE(rate.round() - before, 10U);
}

TEST_F(DeliveryRateTest, ABurstRecordHoldsTheStateOfItsTime) {
  send(kStart);
  EXPECT_EQ(under_way.back().sent_at, kStart);
  EXPECT_EQ(under_way.back().first_sent_at, kStart);
  EXPECT_EQ(under_way.back().delivered, Bytes());
  ack(kStart + 10ms);
  send(kStart + 20ms);
  EXPECT_EQ(under_way.back().delivered, kBurst);
  EXPECT_EQ(under_way.back().sent_at, kStart + 20ms);
}

}  // namespace
}  // namespace tideway::flow::delivery_rate_test
