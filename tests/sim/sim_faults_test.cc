// SPDX-License-Identifier: Apache-2.0
//
// The large single faults, each by itself, and the bugs that seeds have found.
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

namespace tideway::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using flow::FlowState;


TEST(SimFaults, KeyEpochsChangeUnderLossAndReorderingBothWays) {
  for (const char* provider : {"", "evp"}) {
    SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10),
                          .impairments = {.loss = 0.03, .reorder = {.share = 0.2, .extra_max = milliseconds(20)}}},
                 .key_limits = {.packets = 40}, .provider = provider, .receive_every = milliseconds(1)});
    sim.open({.slot = SlotId(1), .from = 0, .blocks = 20});
    sim.open({.slot = SlotId(2), .from = 1, .blocks = 20});
    ASSERT_TRUE(sim.run_until_done({SlotId(1), SlotId(2)}, seconds(30))) << state_of(sim);
    for (size_t end = 0; end < 2; ++end)
      for (size_t flow = 0; flow < 2; ++flow) EXPECT_GT(sim.keys().epochs_used({end, flow}), 5U);
  }
}

TEST(SimFaults, ManyForgeriesMakeTheReceiverAskForTheNextKeyEpoch) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(5)}, .flows = 1, .key_limits = {.forgeries = 10}, .forged = 0.3});
  sim.open({.slot = kSlot, .blocks = 20});
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30))) << state_of(sim);
  EXPECT_GT(sim.keys().epochs_used({0, 0}), 3U);  // no other limit is near
}

TEST(SimFaults, ABlackoutOfFiveSecondsIsSurvivedAndTheTransferGoesOn) {
  for (const char* controller : {"bbr", "contracted"}) {
    SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .controller = controller});
    sim.open({.slot = kSlot, .blocks = 60});
    const auto set_dead = [&sim](bool is_dead) { for (size_t f = 0; f < 2; ++f) sim.set_flow_dead(f, is_dead); };
    sim.at(milliseconds(200), [&] { set_dead(true); });
    sim.at(milliseconds(5200), [&] { set_dead(false); });
    ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30))) << state_of(sim);
    EXPECT_LT(sim.now() - Time(), milliseconds(8000));  // 6 MB at 100 Mbit/s are 0.5 s, the blackout 5, a revival 2
    EXPECT_TRUE(sim.is_home());
  }
}

// A session is given up after ten seconds of silence; what is below it would do without that.
TEST(SimFaults, N05FlowsFindTheirPathAgainAfterMinutes) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}});
  sim.open({.slot = kSlot, .blocks = 60});
  const auto set_dead = [&sim](bool is_dead) { for (size_t f = 0; f < 2; ++f) sim.set_flow_dead(f, is_dead); };
  const Duration back = milliseconds(200) + std::chrono::minutes(2);
  sim.at(milliseconds(200), [&] { set_dead(true); });
  sim.at(back, [&] { set_dead(false); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, back + seconds(60))) << state_of(sim);
  EXPECT_LT(sim.now() - Time(), back + seconds(6)) << "five seconds to find it, and 6 MB at 100 Mbit/s";
  EXPECT_TRUE(sim.is_home());
}

TEST(SimFaults, AnMtuCutFallsBackToTheBaseAndGoesOn) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 1});
  sim.open({.slot = kSlot, .blocks = 80});
  ASSERT_TRUE(sim.run_for(milliseconds(300))) << state_of(sim);
  EXPECT_EQ(sim.lane(0).stats().flows.path_mtu, 1500_B);
  sim.set_mtu(0, 1300_B);
  ASSERT_TRUE(sim.run_for(seconds(1))) << state_of(sim);
  const Bytes fallen = sim.lane(0).stats().flows.path_mtu;
  EXPECT_GE(fallen, 1280_B);
  EXPECT_LE(fallen, 1300_B);
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30))) << state_of(sim);
  sim.set_mtu(0, Bytes::max());
  sim.open({.slot = SlotId(2), .blocks = 10});
  ASSERT_TRUE(sim.run_for(std::chrono::minutes(11))) << state_of(sim);
  EXPECT_EQ(sim.lane(0).stats().flows.path_mtu, 1500_B);
}

TEST(SimFaults, ARebindingIsProvenByAChallengeAndFollowed) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 1});
  sim.open({.slot = kSlot, .blocks = 60});
  const Endpoint before = sim.endpoint(0, 0);
  sim.at(milliseconds(300), [&] { sim.rebind(0, 0); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30))) << state_of(sim);
  const Endpoint after = sim.endpoint(0, 0);
  EXPECT_NE(before, after);
  EXPECT_EQ(sim.lane(1).flows()[0]->peer(), after);
  EXPECT_TRUE(sim.has_proven(1, 0, after));
}

TEST(SimFaults, PacketsThatArriveFirstFromElsewhereDoNotMoveAFlowForGood) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 1, .raced = 0.05});
  sim.open({.slot = kSlot, .blocks = 60});
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30))) << state_of(sim);
  EXPECT_FALSE(sim.has_proven(1, 0, sim_endpoint(0, 0, 55)));
}

TEST(SimFaults, AFloodOfForgeriesChangesNothingButItsCounter) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}});
  sim.open({.slot = kSlot, .blocks = 30});
  for (int i = 1; i < 100; ++i) sim.at(milliseconds(5 * i), [&] { sim.forge(20); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30)) && sim.run_for(milliseconds(600))) << state_of(sim);
  EXPECT_GT(sim.forgeries(), 1500U);
}

TEST(SimFaults, AReplayOfAnOldPacketIsDropped) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .key_limits = {.packets = 100}});
  sim.open({.slot = kSlot, .blocks = 60});
  for (int i = 1; i < 100; ++i) sim.at(milliseconds(50 * i), [&] { sim.replay_old(); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(30)) && sim.run_for(seconds(5))) << state_of(sim);
  EXPECT_GT(sim.replays_refused(), 80U);
}

// ---- what seeds have found -----------------------------------------------------------------------------------------

// CREDIT frames went to a dead flow as long as each of them put off the timeout that would have shown it dead.
TEST(SimFaults, AFlowThatAlwaysHasSomethingToSendStillNoticesThatItsPathIsDead) {
  SimPair sim({.link = {.rate = 20_Mbit, .delay = milliseconds(20)}, .flows = 2, .credit_blocks = 16});
  sim.open({.slot = kSlot, .blocks = 60, .length = 20'000});
  sim.at(milliseconds(100), [&] { sim.set_flow_dead(0, true); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(15))) << state_of(sim);
  EXPECT_NE(sim.lane(1).flows()[0]->state(), FlowState::kOpen);
}

// Acks used up the 16 packets an unproven address may get before a lost challenge was repeated.
TEST(SimFaults, AnUnprovenAddressIsProvenThoughItsFirstChallengeIsLost) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10), .impairments = {.loss = 0.3}}, .flows = 1, .seed = seed,
                 .address = flow::FlowConfig::Address::kUnproven});
    sim.open({.slot = kSlot, .blocks = 2, .length = 20'000});
    ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(60))) << state_of(sim) << ", seed " << seed;
    EXPECT_TRUE(sim.has_proven(1, 0, sim.endpoint(0, 0)));
  }
}

// One burst of data took all sixteen, and a short outage took the burst: the address could never be proven (seed 410115).
TEST(SimFaults, AnUnprovenAddressIsProvenThoughTheFirstBurstToItIsLost) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(14)}, .flows = 1, .controller = "bbr",
               .address = flow::FlowConfig::Address::kUnproven, .receive_every = milliseconds(2)});
  for (const SlotId slot : {kSlot, SlotId(2)}) sim.open({.slot = slot, .from = slot == kSlot ? 0U : 1U, .blocks = 4, .length = 40'000});
  sim.at(milliseconds(14), [&] { sim.set_flow_dead(0, true); });
  sim.at(milliseconds(73), [&] { sim.set_flow_dead(0, false); });
  ASSERT_TRUE(sim.run_until_done({kSlot, SlotId(2)}, seconds(10))) << state_of(sim);
  EXPECT_TRUE(sim.has_proven(1, 0, sim.endpoint(0, 0)));
}

// A flow at rest sends empty probes, and three times one of them was less than the least allowance.
TEST(SimFaults, ARebindingWithinABlackoutIsFoundByEmptyProbes) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 1});
  sim.open({.slot = kSlot, .blocks = 60});
  sim.at(milliseconds(200), [&] { sim.set_flow_dead(0, true); });
  sim.at(milliseconds(1500), [&] { sim.rebind(0, 0); });
  sim.at(milliseconds(3000), [&] { sim.set_flow_dead(0, false); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(15))) << state_of(sim);
  EXPECT_TRUE(sim.has_proven(1, 0, sim.endpoint(0, 0)));
}

// An end that only receives has nothing to send when it hears nothing any more, and nobody knew where it was for 15 s (seed 48696).
TEST(SimFaults, ARebindingOfAnEndThatOnlyReceivesIsFoundWithinSeconds) {
  SimPair sim({.link = {.rate = 50_Mbit, .delay = milliseconds(10)}, .flows = 1});
  sim.open({.slot = kSlot, .from = 1, .blocks = 1, .length = 1'000'000});  // one block: there is no credit to give, either
  sim.at(milliseconds(60), [&] { sim.set_flow_dead(0, true); });
  sim.at(milliseconds(300), [&] { sim.rebind(0, 0); });
  sim.at(milliseconds(600), [&] { sim.set_flow_dead(0, false); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(6))) << state_of(sim);
  EXPECT_TRUE(sim.has_proven(1, 0, sim.endpoint(0, 0)));
}

// The other way's data made a path of 0.7 ms one of 20 ms, and a flow forgot what it had sent before any ack of it could come (seed 11075).
TEST(SimFaults, APathThatBecomesHundredsOfTimesAsLongIsLearntFromLateAcks) {
  SimPair sim({.link = {.rate = 400_Mbit, .delay = microseconds(300)}, .flows = 1});
  sim.open({.slot = kSlot, .blocks = 60});
  sim.at(milliseconds(20), [&] { sim.set_detour(0, milliseconds(100)); });
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(10))) << state_of(sim);
}

}  // namespace
}  // namespace tideway::test
