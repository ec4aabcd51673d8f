// SPDX-License-Identifier: Apache-2.0
//
// What every congestion controller promises, whatever its model. Tests every entry of the registry, by
// congestion_conformance.cc beside this file.
#pragma once
#include "congestion/registry.h"
#include "support/path_simulation.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace tideway::test {

class CongestionSuite : public ::testing::TestWithParam<congestion::ControllerEntry> {
 protected:
  static constexpr wan::LinkConfig kLink{.rate = 100_Mbit, .delay = std::chrono::milliseconds(10)};
  static constexpr Duration kRtt = std::chrono::milliseconds(20);

  static congestion::ControllerConfig config() {
    return {.packet_size = PathSimulation::kPayload, .rtt_initial = kRtt, .rate_contracted = 90_Mbit};
  }
  std::unique_ptr<CongestionController> make() const { return make(config()); }
  std::unique_ptr<CongestionController> make(const congestion::ControllerConfig& config) const {
    return congestion::find_controller(GetParam().name, config.rate_contracted).value().make(config);
  }
};

TEST_P(CongestionSuite, StartsWithAWindowAndARate) {
  const auto controller = make();
  EXPECT_GE(controller->window(), PathSimulation::kPayload * 2);
  EXPECT_GT(controller->pacing_rate(), Rate());
}

TEST_P(CongestionSuite, KeepsTwoPacketsAndARateWhateverIsLost) {
  const auto controller = make();
  Time now(std::chrono::seconds(1));
  for (uint64_t round = 1; round < 500; ++round) {
    now += kRtt;
    controller->on_loss({.now = now, .lost = 1_MiB, .packets_lost = 700, .in_flight = 0_B, .in_flight_before = 1_MiB,
                         .round = round, .cause = round % 3 == 0 ? LossCause::kProbeTimeout : LossCause::kTimeThreshold});
    controller->on_ack({.now = now, .acked = 1408_B, .in_flight = 0_B, .in_flight_before = 1408_B, .rtt = kRtt, .rtt_min = kRtt,
                        .rtt_smoothed = kRtt, .delivery_rate = Rate::bytes_per_second(round % 2), .round = round,
                        .packets_acked = 1, .ce_marked = 1, .limited_by = LimitedBy::kNetwork});
    ASSERT_GE(controller->window(), PathSimulation::kPayload * 2);
    ASSERT_GT(controller->pacing_rate(), Rate());
  }
}

TEST_P(CongestionSuite, FallsWhenThePathTakesLessAndLosesTheRest) {
  const auto controller = make();
  wan::LinkModel wide(Time(), kLink, 1);
  PathSimulation before(wide, *controller);
  before.run(std::chrono::seconds(3));
  const Rate rate = controller->pacing_rate();
  wan::LinkModel narrow(before.now(), {.rate = 30_Mbit, .delay = kLink.delay, .queue = 150'000_B}, 1);
  PathSimulation after(narrow, *controller);
  after.jump_to(before.now());
  after.run(std::chrono::seconds(10));
  EXPECT_LT(controller->pacing_rate(), rate * 0.6);
}

TEST_P(CongestionSuite, RecoversAfterABlackout) {
  const auto controller = make();
  const wan::LinkConfig dying{.rate = 100_Mbit, .delay = kLink.delay,
                              .impairments = {.blackout = {.from = std::chrono::seconds(2), .length = std::chrono::seconds(1)}}};
  wan::LinkModel link(Time(), dying, 1);
  PathSimulation path(link, *controller);
  path.run(std::chrono::seconds(10));
  EXPECT_GT(path.run(std::chrono::seconds(5)).goodput(), 70_Mbit);
}

TEST_P(CongestionSuite, FillsALinkThatIsItsOwnWithoutLosingMuch) {
  const auto controller = make();
  wan::LinkModel link(Time(), kLink, 1);
  PathSimulation path(link, *controller);
  path.run(std::chrono::seconds(2));
  const PathResult steady = path.run(std::chrono::seconds(8));
  EXPECT_GT(steady.goodput(), 80_Mbit);
  EXPECT_LT(static_cast<double>(steady.packets_lost), 0.01 * static_cast<double>(steady.packets_sent));
  EXPECT_LT(steady.queue_delay_mean, kRtt);
}

TEST_P(CongestionSuite, TheSameSamplesGiveTheSameDecisions) {
  const wan::LinkConfig lossy{.rate = 100_Mbit, .delay = kLink.delay, .impairments = {.loss = 0.01}};
  std::vector<std::pair<uint64_t, uint64_t>> decisions[2];
  for (auto& trace : decisions) {
    const auto controller = make();
    wan::LinkModel link(Time(), lossy, 7);
    PathSimulation path(link, *controller);
    for (int i = 0; i < 500; ++i) {
      path.run(std::chrono::milliseconds(10));
      trace.emplace_back(controller->window().count(), controller->pacing_rate().bytes_per_second());
    }
  }
  EXPECT_EQ(decisions[0], decisions[1]);
}

TEST_P(CongestionSuite, UndoNeverLowersAnything) {
  const auto controller = make();
  wan::LinkModel link(Time(), kLink, 1);
  PathSimulation path(link, *controller);
  path.run(std::chrono::seconds(2));
  const Bytes window = controller->window();
  const Rate rate = controller->pacing_rate();
  controller->on_spurious_loss(path.now());
  EXPECT_GE(controller->window(), window);
  EXPECT_GE(controller->pacing_rate(), rate);
}

}  // namespace tideway::test
