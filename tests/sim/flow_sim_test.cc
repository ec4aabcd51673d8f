// SPDX-License-Identifier: Apache-2.0
#include "sim/flow_sim.h"

#include "congestion/registry.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tideway::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

FlowSimConfig config_of(const wan::LinkConfig& link, Bytes window) {
  FlowSimConfig config;
  config.there = config.back = link;
  config.rtt_initial = 2 * link.delay;
  const Rate rate = link.rate * 0.95;
  config.controllers = [window, rate] { return std::make_unique<FixedController>(window, rate); };
  return config;
}

// With a real controller: it has to find the rate by itself.
FlowSimConfig with_bbr(const wan::LinkConfig& link) {
  FlowSimConfig config = config_of(link, 1_MiB);
  const Duration rtt = 2 * link.delay;
  config.controllers = [rtt] {
    congestion::ControllerConfig control;
    control.rtt_initial = rtt;
    return congestion::find_controller("bbr", {}).value().make(control);
  };
  return config;
}

std::vector<uint32_t> blocks(size_t count, uint32_t length) { return std::vector<uint32_t>(count, length); }

std::string state_of(FlowSim& sim) {
  return sim.problem() + " after " + std::to_string(sim.elapsed().count()) + " ns, " + std::to_string(sim.blocks_delivered()) + " blocks";
}

TEST(FlowSim, BlocksCrossACleanLinkAtItsRateWithoutAResend) {
  FlowSim sim(config_of({.rate = 1_Gbit, .delay = milliseconds(10)}, 4_MiB));
  sim.put_blocks({1'000'000, 1, 4096, 500'000, 4'000'000, 4'000'000, 4'000'000});
  ASSERT_TRUE(sim.run(seconds(10))) << state_of(sim);
  EXPECT_EQ(sim.sender().stats().packets_lost, 0U);
  EXPECT_EQ(sim.receiver().stats().packets_duplicate, 0U);
  EXPECT_LT(sim.finished_after(), milliseconds(260));  // 13.5 MB at 1 Gbit/s: 108 ms, starts and credit on top
}

TEST(FlowSim, BbrFillsALongLinkItDoesNotKnow) {
  FlowSim sim(with_bbr({.rate = 200_Mbit, .delay = milliseconds(25)}));
  sim.put_blocks(blocks(20, 4'000'000));
  ASSERT_TRUE(sim.run(seconds(30))) << state_of(sim);
  EXPECT_LT(sim.finished_after(), milliseconds(4500));  // 3.46 s at the full payload rate
}

TEST(FlowSim, BbrKeepsItsRateUnderRandomLoss) {
  FlowSim sim(with_bbr({.rate = 200_Mbit, .delay = milliseconds(25), .impairments = {.loss = 0.01}}));
  sim.put_blocks(blocks(20, 4'000'000));
  ASSERT_TRUE(sim.run(seconds(30))) << state_of(sim);
  EXPECT_LT(sim.finished_after(), milliseconds(5500));
}

TEST(FlowSim, ReorderingIsNotTakenForLoss) {
  FlowSim sim(config_of({.rate = 100_Mbit, .delay = milliseconds(20), .impairments = {.reorder = {.share = 0.1, .extra_max = milliseconds(4)}}}, 1_MiB));
  sim.put_blocks(blocks(20, 1'000'000));
  ASSERT_TRUE(sim.run(seconds(30))) << state_of(sim);
  EXPECT_LT(sim.data_bytes_sent(), sim.bytes_put() * 21 / 20) << "more than 5 % sent twice";
}

TEST(FlowSim, DamagedAndReplayedPacketsAreDroppedAndChangeNothing) {
  FlowSimConfig config = config_of({.rate = 100_Mbit, .delay = milliseconds(5), .impairments = {.corrupt = 0.02}}, 1_MiB);
  config.forged = 0.05;
  config.replayed = 0.05;
  FlowSim sim(config);
  sim.put_blocks(blocks(10, 1'000'000));
  ASSERT_TRUE(sim.run(seconds(30))) << state_of(sim);
  EXPECT_GT(sim.receiver().stats().dropped_auth, 0U);
  EXPECT_GT(sim.receiver().stats().dropped_replay, 0U);
}

TEST(FlowSim, KeysChangeUnderLoadAndLossWithoutAPause) {
  FlowSimConfig config = config_of({.rate = 100_Mbit, .delay = milliseconds(10), .impairments = {.loss = 0.02, .reorder = {.share = 0.02, .extra_max = milliseconds(3)}}}, 1_MiB);
  config.key_limits.packets = 500;
  FlowSim sim(config);
  sim.put_blocks(blocks(20, 1'000'000));
  ASSERT_TRUE(sim.run(seconds(30))) << state_of(sim);
  EXPECT_GT(sim.sender().stats().key_changes, 10U);
}

TEST(FlowSim, ABlackoutOfTwoSecondsIsSurvivedWithinTheSession) {
  FlowSim sim(config_of({.rate = 50_Mbit, .delay = milliseconds(20), .impairments = {.blackout = {.from = milliseconds(500), .length = seconds(2)}}}, 500_KiB));
  sim.put_blocks(blocks(10, 1'000'000));
  ASSERT_TRUE(sim.run(seconds(60))) << state_of(sim);
  EXPECT_LT(sim.finished_after(), seconds(10)) << "it goes on within seconds of the link's return";
}

TEST(FlowSim, PacketsThatBecomeTooLargeInTheMiddleAreCutSmaller) {
  FlowSim sim(config_of({.rate = 50_Mbit, .delay = milliseconds(10)}, 500_KiB));
  sim.put_blocks(blocks(20, 500'000));
  sim.at(milliseconds(400), [&] { sim.set_mtu(1300_B); });
  ASSERT_TRUE(sim.run(seconds(60))) << state_of(sim);
  EXPECT_LE(sim.sender().stats().path_mtu, 1300_B);
}

TEST(FlowSim, AFlowFollowsItsPeerToAnotherPort) {
  FlowSim sim(config_of({.rate = 50_Mbit, .delay = milliseconds(10)}, 500_KiB));
  sim.put_blocks(blocks(20, 500'000));
  sim.at(milliseconds(300), [&] { sim.move_sender(2000); });
  ASSERT_TRUE(sim.run(seconds(60))) << state_of(sim);
  EXPECT_EQ(sim.receiver().peer().port, 2000);
}

TEST(FlowSim, AWindowBelowOneLargePacketDoesNotStopTheFlow) {
  FlowSimConfig config = config_of({.rate = 100_Mbit, .delay = milliseconds(1)}, 5'000_B);
  config.mtu_max = 9000_B;
  FlowSim sim(config);
  sim.put_blocks(blocks(2, 500'000));
  ASSERT_TRUE(sim.run(seconds(30))) << state_of(sim);
  EXPECT_EQ(sim.blocks_delivered(), 2U);
}

TEST(FlowSim, TheSameSeedGivesTheSameRun) {
  const auto run = [](uint64_t seed) {
    FlowSimConfig config = config_of({.rate = 100_Mbit, .delay = milliseconds(10), .impairments = {.loss = 0.02, .jitter = milliseconds(2)}}, 1_MiB);
    config.seed = seed;
    FlowSim sim(config);
    sim.put_blocks(blocks(5, 1'000'000));
    EXPECT_TRUE(sim.run(seconds(30))) << state_of(sim);
    return std::pair(sim.finished_after(), sim.data_bytes_sent());
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

// TIDEWAY_SIM_SEEDS=N runs N seeds, TIDEWAY_SIM_SEED=S only that one.
uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

FlowSimConfig random_config(uint64_t seed) {
  Random random(seed);
  wan::LinkConfig link{.rate = Rate::bits_per_second(5'000'000 + random.below(95'000'000)), .delay = milliseconds(1 + random.below(60))};
  link.impairments = {.loss = random.fraction() * 0.05,
                      .loss_burst = 1 + random.fraction() * 10,
                      .duplicate = random.fraction() * 0.02,
                      .corrupt = random.fraction() * 0.01,
                      .reorder = {.share = random.fraction() * 0.1, .extra_max = milliseconds(random.below(50))},
                      .jitter = milliseconds(random.below(5)),
                      .blackout = {}};
  if (random.happens(0.2)) link.impairments.blackout = {.from = milliseconds(random.below(400)), .length = milliseconds(random.below(1500))};
  FlowSimConfig config = random.happens(0.5) ? with_bbr(link) : config_of(link, Bytes(32'000 + random.below(1'000'000)));
  config.seed = seed;
  config.flows = 1 + random.below(4);
  config.credit_blocks = 2 + random.below(20);
  config.store_delay = milliseconds(random.below(40));
  config.forged = random.happens(0.3) ? 0.02 : 0;
  config.replayed = random.happens(0.3) ? 0.02 : 0;
  if (random.happens(0.3)) config.key_limits.packets = 200 + random.below(2000);
  if (random.happens(0.2)) config.address = flow::FlowConfig::Address::kUnproven;
  return config;
}

void run_seed(uint64_t seed) {
  FlowSim sim(random_config(seed));
  Random random(seed ^ 0x5EED);
  std::vector<uint32_t> lengths;
  for (size_t i = 1 + random.below(8); i > 0; --i) lengths.push_back(static_cast<uint32_t>(1 + random.below(300'000)));
  sim.put_blocks(lengths);
  if (random.happens(0.2)) sim.at(milliseconds(random.below(500)), [&sim] { sim.move_sender(2001); });
  if (random.happens(0.2)) sim.at(milliseconds(random.below(500)), [&sim] { sim.set_mtu(1280_B); });
  ASSERT_TRUE(sim.run(seconds(300))) << "seed " << seed << ": " << state_of(sim);
}

TEST(FlowSim, EverySeedDeliversEveryByteOnce) {
  if (const uint64_t only = number_from("TIDEWAY_SIM_SEED", 0); only != 0) return run_seed(only);
  const uint64_t seeds = number_from("TIDEWAY_SIM_SEEDS", 300);
  for (uint64_t seed = 1; seed <= seeds && !testing::Test::HasFatalFailure(); ++seed) run_seed(seed);
  EXPECT_FALSE(testing::Test::HasFailure());
}

}  // namespace
}  // namespace tideway::test
