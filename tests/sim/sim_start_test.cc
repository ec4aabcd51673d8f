// SPDX-License-Identifier: Apache-2.0
//
// What a cold start costs on hosts that look at their ports now and then only, because other things run on their cores: a path of
// 1 Gbit/s that loses 1 % at random, its queue one BDP. 32 MiB are little more than one of its BDP at 200 ms, so nearly all of it is
// start. With --gtest_output=xml the figures are properties.
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tideway::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr SlotId kSlot{1};
constexpr uint32_t kStartBlocks = 8, kStartLength = 4'190'000;
constexpr double kStartPayloadShare = 1408.0 / 1522.0;  // of what a full packet charges the link

struct Start {
  Duration rtt, look;
  double loss = 0.01;
  Rate rate_remembered = {};
};

// In round trips beyond the time that the bytes take on the link.
double cost_of(const Start& start, uint64_t seed) {
  SimPair sim({.link = {.rate = 1_Gbit, .delay = start.rtt / 2, .impairments = {.loss = start.loss}}, .paths = SimPairConfig::Paths::kShared,
               .seed = seed, .controller = "bbr", .rate_remembered = start.rate_remembered, .credit_blocks = 100, .unsent_max = 8 << 20, .receive_every = start.look,
               .run_every = start.look});
  sim.open({.slot = kSlot, .blocks = kStartBlocks, .length = kStartLength, .store_delay = milliseconds(5)});
  EXPECT_TRUE(sim.run_until_done({kSlot}, seconds(30))) << state_of(sim);
  const Duration ideal = ((1_Gbit) * (kStartPayloadShare * (1 - start.loss))).time_for(Bytes(uint64_t{kStartBlocks} * kStartLength));
  return static_cast<double>((sim.now() - Time() - ideal).count()) / static_cast<double>(start.rtt.count());
}

// One round trip for the first flight, one for the last packets and one for those of them that were lost; the rest is the ramp.
TEST(SimStart, FindsTheRateThoughTheHostsLookAtTheirPortsNowAndThen) {
  struct Case { Start start; double most; };
  for (const auto& [start, most] : {Case{{milliseconds(200), microseconds(20)}, 3.4}, Case{{milliseconds(200), microseconds(300)}, 4.0}}) {
    std::vector<double> costs;
    for (uint64_t seed = 1; seed <= 2; ++seed) costs.push_back(cost_of(start, seed));
    const std::string name = std::to_string(start.rtt / milliseconds(1)) + "_ms_" + std::to_string(start.look / microseconds(1)) + "_us";
    RecordProperty(name, std::to_string(*std::ranges::max_element(costs)));
    EXPECT_LE(*std::ranges::max_element(costs), most) << name;
  }
}

// A single loss in the first flight is no sign that the path is not what it was: it used to end the start from what is remembered, and
// what came instead was slower than a cold one.
TEST(SimStart, FromARememberedRateIsNoSlowerBesideLoss) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const double known = cost_of({milliseconds(200), microseconds(300), 0.03, (1_Gbit) * kStartPayloadShare}, seed);
    const double cold = cost_of({milliseconds(200), microseconds(300), 0.03}, seed);
    RecordProperty("seed_" + std::to_string(seed), std::to_string(known) + " cold " + std::to_string(cold));
    EXPECT_LE(known, 4.0) << seed;
    EXPECT_LE(known, cold) << seed;
  }
}

// A flow whose train has told the path's rate used to wait, for a sixteenth of a round trip, for the turn of another one's trains.
TEST(SimStart, SendsAtTheRateThatATrainTellsAtOnce) {
  constexpr Duration kRtt = milliseconds(200);
  SimPair sim({.link = {.rate = 1_Gbit, .delay = kRtt / 2}, .paths = SimPairConfig::Paths::kShared, .controller = "bbr", .credit_blocks = 100, .unsent_max = 8 << 20,
               .receive_every = microseconds(20), .run_every = microseconds(20)});
  sim.open({.slot = kSlot, .blocks = kStartBlocks, .length = kStartLength, .store_delay = milliseconds(5)});
  ASSERT_TRUE(sim.run_for(kRtt + milliseconds(10))) << state_of(sim);
  EXPECT_GE(sim.lane(0).stats().flows.in_flight, Bytes(500'000));
}

// Four trains that left together would be one burst of 256 KiB; and a flow whose own train told nothing, because a packet of it was lost,
// would double its way up alone.
TEST(SimStart, TrainsOfALaneLeaveInTurnAndTellAllItsFlows) {
  constexpr Duration kRtt = milliseconds(100);
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SimPair sim({.link = {.rate = 1_Gbit, .delay = kRtt / 2, .impairments = {.loss = 0.03}}, .flows = 4,
                 .paths = SimPairConfig::Paths::kShared, .seed = seed, .controller = "bbr", .credit_blocks = 100, .unsent_max = 8 << 20,
                 .receive_every = microseconds(300), .run_every = microseconds(300)});
    sim.open({.slot = kSlot, .blocks = kStartBlocks, .length = kStartLength, .store_delay = milliseconds(5)});
    ASSERT_TRUE(sim.run_for(kRtt * 3 / 4)) << state_of(sim);
    EXPECT_LE(sim.counters(0).queue_peak.count(), 100U << 10) << seed;
    ASSERT_TRUE(sim.run_for(kRtt * 3 / 2)) << state_of(sim);
    for (const auto& flow : sim.lane(0).flows()) EXPECT_GE(flow->stats().pacing_rate.bits_per_second(), 150'000'000U) << seed;
  }
}

}  // namespace
}  // namespace tideway::test
