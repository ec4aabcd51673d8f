// SPDX-License-Identifier: Apache-2.0
#include "congestion/contracted.h"

#include "support/path_simulation.h"

#include <gtest/gtest.h>

namespace tideway::congestion::contracted_test {
namespace {

using namespace std::chrono_literals;
using test::PathSimulation;

ControllerConfig config(Rate rate) {
  return {.packet_size = PathSimulation::kPayload, .rtt_initial = 20ms, .rate_contracted = rate};
}

TEST(Contracted, PacesAtItsShareFromTheFirstPacket) {
  ControllerConfig four = config(100_Mbit);
  EXPECT_EQ(Contracted(four).pacing_rate(), 100_Mbit);
  four.flows = 4;
  EXPECT_EQ(Contracted(four).pacing_rate(), 25_Mbit);
  EXPECT_EQ(Contracted(four).window(), (25_Mbit * 1.25).over(45ms));
}

TEST(Contracted, GivesWayToAPathThatTakesLess) {
  Contracted controller(config(100_Mbit));
  const wan::LinkConfig policed{.rate = 60_Mbit, .delay = 10ms, .queue = 153'800_B};
  wan::LinkModel link(Time(), policed, 1);
  PathSimulation path(link, controller);
  path.run(5s);
  const test::PathResult steady = path.run(10s);
  EXPECT_LT(controller.pacing_rate(), 70_Mbit);
  EXPECT_GT(steady.goodput(), PathSimulation::payload_rate(policed) * 0.85);
}

TEST(Contracted, NeverGoesUnderATenth) {
  Contracted controller(config(100_Mbit));
  Time now(1s);
  for (uint64_t round = 0; round < 100; ++round) {
    now += 20ms;
    controller.on_loss({.now = now, .lost = 1408_B, .packets_lost = 1, .in_flight = 0_B, .in_flight_before = 1408_B, .round = round,
                        .cause = LossCause::kProbeTimeout});
  }
  EXPECT_EQ(controller.pacing_rate(), 10_Mbit);
}

TEST(Contracted, ClimbsBackInSmallSteps) {
  Contracted controller(config(100_Mbit));
  wan::LinkModel link(Time(), {.rate = 200_Mbit, .delay = 10ms, .impairments = {.blackout = {.from = 1s, .length = 2s}}}, 1);
  PathSimulation path(link, controller);
  path.run(3s);
  const Rate low = controller.pacing_rate();
  ASSERT_LT(low, 90_Mbit);
  path.run(150ms);
  EXPECT_LT(controller.pacing_rate().bits_per_second(), low.bits_per_second() + 5e6);
  path.run(8s);
  EXPECT_EQ(controller.pacing_rate(), 100_Mbit);
}

TEST(Contracted, OneMarkPerRoundLowersTheRateOnce) {
  Contracted controller(config(100_Mbit));
  AckSample sample{.now = Time(1s), .acked = 1408_B, .in_flight = 0_B, .in_flight_before = 1408_B, .rtt = 20ms, .rtt_min = 20ms,
                   .rtt_smoothed = 20ms, .delivery_rate = 50_Mbit, .round = 1, .packets_acked = 1, .ce_marked = 1,
                   .limited_by = LimitedBy::kNetwork};
  controller.on_ack(sample);
  controller.on_ack(sample);
  EXPECT_EQ(controller.pacing_rate(), 100_Mbit * 0.85);
}

}  // namespace
}  // namespace tideway::congestion::contracted_test
