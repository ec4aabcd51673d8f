// SPDX-License-Identifier: Apache-2.0
#include "flow/rtt_estimator.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace tideway::flow::rtt_estimator_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;

TEST(RttEstimator, TheInitialValueHoldsUntilTheFirstSample) {
  RttEstimator rtt(80ms);
  EXPECT_FALSE(rtt.has_sample());
  EXPECT_EQ(rtt.smoothed(), 80ms);
  EXPECT_EQ(rtt.variance(), 40ms);
  EXPECT_EQ(rtt.min(), 80ms);
  rtt.on_sample(kStart, 200ms, 0ms);
  EXPECT_TRUE(rtt.has_sample());
  EXPECT_EQ(rtt.latest(), 200ms);
  EXPECT_EQ(rtt.smoothed(), 200ms);
  EXPECT_EQ(rtt.variance(), 100ms);
  EXPECT_EQ(rtt.min(), 200ms) << "the control channel's time is no minimum of this path";
}

TEST(RttEstimator, SmoothsAsRfc9002) {
  RttEstimator rtt(1s);
  rtt.on_sample(kStart, 100ms, 0ms);
  rtt.on_sample(kStart + 1ms, 180ms, 0ms);
  EXPECT_EQ(rtt.smoothed(), 110ms) << "7/8 of 100 and 1/8 of 180";
  EXPECT_EQ(rtt.variance(), 57500us) << "3/4 of 50 and 1/4 of 80";
  EXPECT_EQ(rtt.min(), 100ms);
}

TEST(RttEstimator, TheDelayOfThePeerIsTakenOff) {
  RttEstimator rtt(1s);
  rtt.on_sample(kStart, 100ms, 0ms);
  rtt.on_sample(kStart, 180ms, 40ms);
  EXPECT_EQ(rtt.smoothed(), 105ms) << "7/8 of 100 and 1/8 of 140";
}

TEST(RttEstimator, TheDelayOfThePeerNeverTakesASampleBelowTheMinimum) {
  RttEstimator rtt(1s);
  rtt.on_sample(kStart, 100ms, 90ms);
  EXPECT_EQ(rtt.smoothed(), 100ms) << "the first sample is the minimum";
  for (int i = 0; i < 100; ++i) {
    rtt.on_sample(kStart, 104ms, 1h);
    EXPECT_GE(rtt.latest(), 100ms);
    EXPECT_GE(rtt.smoothed(), 100ms);
    EXPECT_LE(rtt.smoothed(), 104ms);
  }
  EXPECT_EQ(rtt.min(), 100ms) << "the minimum is of what was measured, not of what the peer claims";
}

TEST(RttEstimator, TheMinimumIsForgottenAfterItsWindow) {
  RttEstimator rtt(1s);
  rtt.on_sample(kStart, 50ms, 0ms);
  for (Time now = kStart + 100ms; now < kStart + RttEstimator::kMinWindow; now += 100ms) {
    rtt.on_sample(now, 80ms, 0ms);
    ASSERT_EQ(rtt.min(), 50ms);
  }
  rtt.on_sample(kStart + RttEstimator::kMinWindow + 100ms, 80ms, 0ms);
  EXPECT_EQ(rtt.min(), 80ms);
}

TEST(RttEstimator, TheMinimumAfterALongPauseIsTheNextSample) {
  RttEstimator rtt(1s);
  rtt.on_sample(kStart, 50ms, 0ms);
  rtt.on_sample(kStart + 1h, 300ms, 0ms);
  EXPECT_EQ(rtt.min(), 300ms);
}

TEST(RttEstimator, TheMinimumIsAlwaysASampleOfTheWindow) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    RttEstimator rtt(1s);
    std::deque<std::pair<Time, Duration>> window;
    Time now = kStart;
    for (int step = 0; step < 1000; ++step) {
      now += Duration(random.below(200'000'000));
      const Duration sample = 1ms + Duration(random.below(100'000'000));
      rtt.on_sample(now, sample, 0ms);
      window.emplace_back(now, sample);
      while (window.front().first + RttEstimator::kMinWindow < now) window.pop_front();
      Duration least = Duration::max();
      for (const auto& [at, value] : window) least = std::min(least, value);
      ASSERT_GE(rtt.min(), least);
      ASSERT_LE(rtt.min(), sample);
      ASSERT_TRUE(std::ranges::any_of(window, [&](const auto& entry) { return entry.second == rtt.min(); }));
    }
  }
}

}  // namespace
}  // namespace tideway::flow::rtt_estimator_test
