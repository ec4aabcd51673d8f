// SPDX-License-Identifier: Apache-2.0
//
// What a closing and opening gate does to whole lanes: nothing but a trickle leaves at once, and the rate is there again
// without a start.
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

namespace tideway::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rate kLink = 100_Mbit;

uint64_t sent(SimPair& sim) { return sim.lane(0).stats().flows.bytes_sent; }
uint64_t received(SimPair& sim) { return sim.lane(1).stats().flows.bytes_received; }

void pass(SimPair& sim, const flow::Pass& pass) {
  for (const auto& flow : sim.lane(0).flows()) flow->set_pass(sim.now(), pass);
}

TEST(SimGate, LetsATrickleThroughAndIsBackAtItsRateWithinARoundTrip) {
  SimPair sim({.link = {.rate = kLink, .delay = milliseconds(10)}, .flows = 2, .seed = 1, .controller = "bbr", .credit_blocks = 256});
  sim.open({.slot = kSlot, .blocks = 400, .length = 500'000});
  ASSERT_TRUE(sim.run_for(seconds(2)));
  const uint64_t before = received(sim);
  ASSERT_TRUE(sim.run_for(milliseconds(500)));
  const uint64_t per_half_second = received(sim) - before;  // both flows have a path of this rate
  for (int burst = 0; burst < 5; ++burst) {
    pass(sim, {.most = Rate::bytes_per_second(12'500), .model = flow::Pass::Model::kRests});
    const uint64_t at_close = sent(sim);
    ASSERT_TRUE(sim.run_for(milliseconds(400)));
    EXPECT_LE(sent(sim) - at_close, 2u * (12'500 * 4 / 10 + 4 * 1500)) << "burst " << burst;
    pass(sim, {});
    ASSERT_TRUE(sim.run_for(milliseconds(20)));
    const uint64_t opened = received(sim);
    ASSERT_TRUE(sim.run_for(milliseconds(500)));
    EXPECT_GE(received(sim) - opened, per_half_second * 9 / 10) << "burst " << burst;
  }
  EXPECT_EQ(sim.problem(), "");
}

}  // namespace
}  // namespace tideway::test
