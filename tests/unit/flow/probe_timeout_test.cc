// SPDX-License-Identifier: Apache-2.0
#include "flow/probe_timeout.h"

#include "flow/ack_schedule.h"

#include <gtest/gtest.h>

namespace tideway::flow::probe_timeout_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;

RttEstimator steady(Duration rtt) {
  RttEstimator estimator(rtt);
  for (int i = 0; i < 200; ++i) estimator.on_sample(kStart, rtt, 0ms);  // the variance goes to zero
  return estimator;
}

TEST(ProbeTimeout, IsRttPlusFourVariancesPlusTheDelayOfThePeer) {
  const RttEstimator wild(40ms);  // no sample: the variance is half of it
  EXPECT_EQ(ProbeTimeout::period(wild), 40ms + 4 * 20ms + AckSchedule::delay_max(40ms));
}

TEST(ProbeTimeout, AllowsForTimersOnAPathWithoutVariance) {
  const RttEstimator rtt = steady(40ms);
  EXPECT_GE(ProbeTimeout::period(rtt), 41ms + 10ms);
  EXPECT_LE(ProbeTimeout::period(rtt), 41ms + 10ms + 1us);
}

TEST(ProbeTimeout, RunsFromTheFirstPacketInFlightAndFromEachNews) {
  const RttEstimator rtt = steady(40ms);
  ProbeTimeout timeout(kStart);
  EXPECT_EQ(timeout.deadline(rtt), kStart + ProbeTimeout::period(rtt));
  timeout.on_first_sent(kStart + 5ms);
  EXPECT_EQ(timeout.deadline(rtt), kStart + 5ms + ProbeTimeout::period(rtt));
  timeout.on_news(kStart + 9ms);
  EXPECT_EQ(timeout.deadline(rtt), kStart + 9ms + ProbeTimeout::period(rtt));
}

TEST(ProbeTimeout, DoublesWithEachSilenceUntilTheFlowRests) {
  const RttEstimator rtt = steady(10ms);
  const Duration period = ProbeTimeout::period(rtt);
  ProbeTimeout timeout(kStart);
  Time now = kStart;
  for (const int factor : {1, 2, 4}) {
    EXPECT_EQ(timeout.deadline(rtt), now + factor * period);
    now = timeout.deadline(rtt);
    timeout.fire(now);
  }
  EXPECT_EQ(timeout.count(), ProbeTimeout::kRestAfter);
  for (int i = 0; i < 20; ++i) {
    EXPECT_LE(timeout.deadline(rtt), now + ProbeTimeout::kBackoffMax * period);
    EXPECT_GE(timeout.deadline(rtt), now + period);
    now = timeout.deadline(rtt);
    timeout.fire(now);
  }
  timeout.on_news(now);
  EXPECT_EQ(timeout.count(), 0U);
  EXPECT_EQ(timeout.deadline(rtt), now + period);
}

TEST(ProbeTimeout, ARestingFlowAsksAboutOnceASecondHoweverLongThePath) {
  const RttEstimator rtt = steady(300ms);
  ProbeTimeout timeout(kStart);
  Time now = kStart;
  for (int i = 0; i < 100; ++i) {
    now = timeout.deadline(rtt);
    timeout.fire(now);
    if (timeout.count() < ProbeTimeout::kRestAfter) continue;
    EXPECT_LE(timeout.deadline(rtt) - now, ProbeTimeout::kRevivalMax);
  }
}

}  // namespace
}  // namespace tideway::flow::probe_timeout_test
