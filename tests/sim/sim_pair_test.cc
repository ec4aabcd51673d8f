// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

#include <string>

namespace tideway::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using flow::FlowState;


TEST(SimPair, BlocksOfOneTransferCrossOnAllFlows) {
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(5)}, .flows = 4});
  sim.open({.slot = kSlot, .blocks = 60});
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(5))) << state_of(sim);
  EXPECT_TRUE(sim.is_home());
  EXPECT_EQ(sim.stored(kSlot), 60U);
  const flow::LaneStats stats = sim.lane(0).stats();
  EXPECT_EQ(stats.flows.state, FlowState::kOpen);
  EXPECT_EQ(stats.flows_usable, 4U);
  EXPECT_EQ(stats.unacked_bytes, 0U);
  for (const auto& flow : sim.lane(0).flows()) EXPECT_GT(flow->stats().bytes_sent * 8, stats.flows.bytes_sent);
}

TEST(SimPair, BothDirectionsShareTheFlows) {
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(5), .impairments = {.loss = 0.01}}, .flows = 2});
  sim.open({.slot = SlotId(1), .from = 0, .blocks = 30});
  sim.open({.slot = SlotId(2), .from = 1, .blocks = 30});
  ASSERT_TRUE(sim.run_until_done({SlotId(1), SlotId(2)}, seconds(10))) << state_of(sim);
  EXPECT_TRUE(sim.is_home());
}

TEST(SimPair, ASlowFlowTakesLess) {
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(5)},
               .link_of = {{1, {.rate = 10_Mbit, .delay = milliseconds(5)}}}, .flows = 2, .window = 256_KiB});
  sim.open({.slot = kSlot, .blocks = 200});
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(10))) << state_of(sim);
  const auto flows = sim.lane(0).flows();
  EXPECT_GT(flows[0]->stats().bytes_sent, 5 * flows[1]->stats().bytes_sent);
  EXPECT_LT(sim.now() - Time(), milliseconds(2200));  // 20 MB at 110 Mbit/s are 1.5 s
}

// Acks by their count come too seldom for a window of 400 packets: it used to stand still until they were due by time.
TEST(SimPair, AFlowHeldByItsWindowAsksForTheAckThatOpensIt) {
  constexpr Duration kRtt = milliseconds(5);
  constexpr Bytes kWindow(400 * 1452);
  SimPair sim({.link = {.rate = 2_Gbit, .delay = kRtt / 2}, .flows = 1, .window = kWindow, .credit_blocks = 64});
  sim.open({.slot = kSlot, .blocks = 20, .length = 4'000'000});
  ASSERT_TRUE(sim.run_for(milliseconds(200))) << state_of(sim);
  const uint64_t before = sim.lane(1).stats().flows.bytes_received;
  ASSERT_TRUE(sim.run_for(milliseconds(300))) << state_of(sim);
  const Rate arrived = Rate::of(Bytes(sim.lane(1).stats().flows.bytes_received - before), milliseconds(300));
  RecordProperty("mbit_per_second", std::to_string(arrived.bits_per_second() / 1'000'000));
  EXPECT_GE(arrived, Rate::of(kWindow, kRtt) * 0.9);
}

TEST(SimPair, WhatADyingFlowHadIsCarriedByTheOthers) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 3});
  sim.open({.slot = kSlot, .blocks = 100});
  sim.at(milliseconds(200), [&] { sim.set_flow_dead(1, true); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(10))) << state_of(sim);
  EXPECT_TRUE(sim.is_home());
  EXPECT_LT(sim.now() - Time(), milliseconds(1500));  // 10 MB at 100 Mbit/s are 0.8 s
  EXPECT_FALSE(sim.lane(0).is_dead(sim.now()));
}

TEST(SimPair, AFlowThatComesBackIsUsedAgain) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 2});
  sim.open({.slot = kSlot, .blocks = 800});
  sim.at(milliseconds(200), [&] { sim.set_flow_dead(1, true); });
  uint64_t before = 0;
  sim.at(milliseconds(2000), [&] {
    sim.set_flow_dead(1, false);
    before = sim.lane(1).flows()[1]->stats().bytes_received;
  });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30))) << state_of(sim);
  EXPECT_GT(sim.lane(1).flows()[1]->stats().bytes_received, before + 1'000'000);
}

TEST(SimPair, ALaneIsDeadOnceAllItsFlowsAreForASecond) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 2});
  sim.open({.slot = kSlot, .blocks = 500});
  ASSERT_TRUE(sim.run_for(milliseconds(300))) << state_of(sim);
  const Time cut = sim.now();
  for (size_t flow = 0; flow < 2; ++flow) sim.set_flow_dead(flow, true);
  while (!sim.lane(0).is_dead(sim.now()) && sim.now() < cut + seconds(20))
    ASSERT_TRUE(sim.run_for(milliseconds(50))) << state_of(sim);
  ASSERT_TRUE(sim.lane(0).is_dead(sim.now()));
  EXPECT_GT(sim.now(), cut + flow::Lane::kDeadAfter);
  EXPECT_EQ(sim.lane(0).stats().flows_usable, 0U);

  // All that was not completely acked goes to another lane, from its first byte on.
  const size_t under_way = sim.lane(0).stats().blocks_sending;
  size_t taken = 0;
  while (const auto block = sim.lane(0).take_back(sim.now())) {
    EXPECT_EQ(block->key.slot, kSlot);
    ++taken;
  }
  EXPECT_GT(taken, 0U);
  EXPECT_EQ(taken, under_way);
  sim.drop_lane(1);
  sim.close(kSlot);
  EXPECT_TRUE(sim.is_home());
}

TEST(SimPair, AStuckStoreHoldsUpOnlyItsOwnTransfer) {
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(5)}, .flows = 2, .credit_blocks = 24});
  for (uint16_t slot = 1; slot <= 5; ++slot)
    sim.open({.slot = SlotId(slot), .blocks = 100, .store = SimTransfer::Store::kStuck});
  sim.open({.slot = SlotId(6), .blocks = 100});
  ASSERT_TRUE(sim.run_until_done({SlotId(6)}, seconds(10))) << state_of(sim);
  EXPECT_GT(sim.lane(0).stats().credit.stalls, 0U);
  for (uint16_t slot = 1; slot <= 5; ++slot) {
    EXPECT_LT(sim.stored(SlotId(slot)), 1U);
    sim.close(SlotId(slot));
  }
  EXPECT_TRUE(sim.is_home());
}

// Time of 40 blocks while `stuck` other transfers, opened around it, cannot go on.
Duration time_beside(size_t stuck, uint64_t seed) {
  // Three blocks fill the link, one more than the reserve.
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(60)}, .flows = 1, .seed = seed, .window = 4_MiB,
               .credit_blocks = 256});
  Random random(seed);
  const auto healthy = static_cast<uint16_t>(random.below(stuck + 1));
  for (uint16_t slot = 0; slot <= stuck; ++slot) {
    if (slot == healthy) continue;
    const auto blocks = static_cast<uint32_t>(1 + random.below(1000));
    sim.open({.slot = SlotId(slot), .blocks = blocks, .length = 2000, .store = SimTransfer::Store::kStuck});
    const Duration pause = milliseconds(random.below(3) * 100);
    EXPECT_TRUE(sim.run_for(pause)) << state_of(sim);
  }
  EXPECT_TRUE(sim.run_for(seconds(1))) << state_of(sim);  // they take all they can get
  const Time start = sim.now();
  sim.open({.slot = SlotId(healthy), .blocks = 40, .length = 500'000, .store_delay = milliseconds(2)});
  EXPECT_TRUE(sim.run_until_done({SlotId(healthy)}, seconds(60))) << state_of(sim);
  const Duration took = sim.now() - start;
  for (uint16_t slot = 0; slot <= stuck; ++slot) sim.close(SlotId(slot));
  EXPECT_TRUE(sim.is_home());
  return took;
}

TEST(SimPair, TheLastOf64TransfersKeepsFourFifthsOfItsRateWhile63AreStuck) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const Duration alone = time_beside(0, seed), beside = time_beside(63, seed);
    EXPECT_LE(beside * 4, alone * 5) << "seed " << seed << ": " << alone / milliseconds(1) << " ms alone, "
                                     << beside / milliseconds(1) << " ms beside 63";
  }
}

TEST(SimPair, AbandonedBlocksGiveTheirCreditAndBuffersBack) {
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(10), .impairments = {.loss = 0.02}}, .flows = 2,
               .credit_blocks = 8});
  sim.open({.slot = kSlot, .blocks = 120});
  for (int i = 1; i <= 15; ++i) sim.at(milliseconds(37 * i), [&] { sim.abandon_under_way(kSlot, 3); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(20))) << state_of(sim);
  EXPECT_GT(sim.abandoned(kSlot), 20U);
  EXPECT_GE(sim.stored(kSlot) + sim.abandoned(kSlot), 120U);
  ASSERT_TRUE(sim.run_for(seconds(1))) << state_of(sim);  // the last ABANDON arrives
  EXPECT_TRUE(sim.is_home());
}

TEST(SimPair, ClosingInTheMiddleBringsAllBuffersHome) {
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(10)}, .flows = 2});
  sim.open({.slot = SlotId(1), .blocks = 200, .store_delay = milliseconds(30)});
  sim.open({.slot = SlotId(2), .blocks = 60});
  sim.at(milliseconds(150), [&] { sim.close(SlotId(1)); });
  ASSERT_TRUE(sim.run_until_done({SlotId(2)}, seconds(10))) << state_of(sim);
  ASSERT_TRUE(sim.run_for(milliseconds(100))) << state_of(sim);
  EXPECT_TRUE(sim.is_home());
  EXPECT_LT(sim.stored(SlotId(1)), 200U);
  EXPECT_EQ(sim.lane(1).stats().credit.blocks_promised, sim.lane(1).credit_given(SlotId(2)).count() / kBufferSize - 60);
}

TEST(SimPair, PacketsOfNobodyHereAreCountedAndChangeNothing) {
  SimPair sim({.link = {.rate = 100_Mbit, .delay = milliseconds(5)}, .flows = 2, .stray = 0.05});
  sim.open({.slot = kSlot, .blocks = 30});
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(10))) << state_of(sim);
  EXPECT_GT(sim.table(1).stats().packets_unknown, 0U);
  EXPECT_GT(sim.table(1).stats().packets_foreign, 0U);
  EXPECT_EQ(sim.lane(1).stats().flows.dropped_auth, 0U);
}

}  // namespace
}  // namespace tideway::test
