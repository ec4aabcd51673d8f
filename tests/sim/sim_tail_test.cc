// SPDX-License-Identifier: Apache-2.0
//
// The end of a transfer: how long after its last byte left for the first time it is all acked. One round trip is the
// least; what is lost then costs another one.
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

namespace tideway::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kRtt = milliseconds(100);

struct Tail {
  Rate rate;
  uint32_t blocks;
  double loss;
};

// In round trips.
double tail_of(const Tail& tail, uint64_t seed) {
  SimPair sim({.link = {.rate = tail.rate, .delay = kRtt / 2, .impairments = {.loss = tail.loss}}, .flows = 2, .seed = seed,
               .controller = "bbr", .credit_blocks = 64});
  sim.open({.slot = kSlot, .blocks = tail.blocks, .length = 500'000});
  Time all_left{};
  while (sim.lane(0).stats().blocks_sending > 0 || sim.now() < Time(kRtt)) {
    if (!sim.run_for(milliseconds(1)) || sim.now() > Time(seconds(20))) return 1e9;
    if (sim.lane(0).unsent_bytes() > 0 || all_left == Time()) all_left = sim.now();
  }
  EXPECT_EQ(sim.stored(kSlot), tail.blocks) << state_of(sim);
  return static_cast<double>((sim.now() - all_left).count()) / static_cast<double>(kRtt.count());
}

TEST(SimTail, TheLastLossesAreRepairedInTwoRoundTrips) {
  for (const auto& [loss, typical, most] : {std::tuple(0.0, 1.15, 1.3), std::tuple(0.01, 2.1, 3.4), std::tuple(0.03, 2.15, 4.5)}) {
    std::vector<double> tails;
    for (uint64_t seed = 1; seed <= 5; ++seed) tails.push_back(tail_of({100_Mbit, 12, loss}, seed));
    std::ranges::sort(tails);
    RecordProperty("median_" + std::to_string(loss), std::to_string(tails[tails.size() / 2]));
    EXPECT_LE(tails[tails.size() / 2], typical) << "at a loss of " << loss;
    EXPECT_LE(tails.back(), most) << "at a loss of " << loss;
  }
}

// At 3 % a hundred packets are lost in the last round trip, and three of their resends.
TEST(SimTail, ManyLossesAreRepairedInTwoRoundTrips) {
  std::vector<double> tails;
  for (uint64_t seed = 1; seed <= 3; ++seed) tails.push_back(tail_of({400_Mbit, 48, 0.03}, seed));
  std::ranges::sort(tails);
  EXPECT_LE(tails[1], 2.3);
}

// A transfer long enough to have some bytes to spare for copies of its last ones: most losses are repaired before they are known.
TEST(SimTail, LossesOfALongTransferAreRepairedBeforeTheyAreKnown) {
  std::vector<double> tails;
  for (uint64_t seed = 1; seed <= 3; ++seed) tails.push_back(tail_of({100_Mbit, 60, 0.01}, seed));
  std::ranges::sort(tails);
  EXPECT_LE(tails[1], 1.8);
}

// A source that brings a block now and then, behind a transfer that was long: each block is an end, and none of them the last.
TEST(SimTail, ASlowSourceIsNotCopiedWhole) {
  constexpr uint32_t kSlowBlocks = 100, kSlowLength = 50'000;
  SimPair sim({.link = {.rate = 20_Mbit, .delay = kRtt / 2, .impairments = {.loss = 0.01}}, .flows = 2, .controller = "bbr", .credit_blocks = 64});
  sim.open({.slot = kSlot, .blocks = 160, .length = 500'000});
  ASSERT_TRUE(sim.run_until_done({kSlot}, seconds(60))) << state_of(sim);
  const flow::FlowStats before = sim.lane(0).stats().flows;
  for (uint16_t i = 0; i < kSlowBlocks; ++i) {
    const SlotId slot(static_cast<uint16_t>(kSlot.value() + 1 + i));
    const Duration when = sim.now() - Time() + milliseconds(40) * i;
    sim.at(when, [&sim, slot] { sim.open({.slot = slot, .length = kSlowLength}); });
    sim.at(when + 4 * kRtt, [&sim, slot] { sim.close(slot); });
  }
  ASSERT_TRUE(sim.run_for(seconds(6))) << state_of(sim);
  const flow::FlowStats after = sim.lane(0).stats().flows;
  const double data = double{kSlowBlocks} * kSlowLength;
  const double sent = static_cast<double>(after.bytes_sent - before.bytes_sent);
  RecordProperty("sent", std::to_string(sent / data));
  EXPECT_LE(sent, data * 1.5) << "headers, acks and the repair of a hundred ends make a third";
}

}  // namespace
}  // namespace tideway::test
