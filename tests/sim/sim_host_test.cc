// SPDX-License-Identifier: Apache-2.0
//
// A limited transfer on a host that lets our worker run only now and then. What leaves late is no sign of a slow path: taken for
// one, the rate would fall, and with it what shows that the path could carry more.
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

namespace tideway::test {
namespace {

using namespace std::chrono_literals;

// What arrives in `length`, on the two flows of a transfer that are limited to `each`.
Rate arrives(SimPair& sim, Rate each, Duration length) {
  for (const auto& flow : sim.lane(0).flows()) flow->limit_rate(each);
  const uint64_t before = sim.lane(1).stats().flows.bytes_received;
  EXPECT_TRUE(sim.run_for(length)) << sim.problem();
  return Rate::of(Bytes(sim.lane(1).stats().flows.bytes_received - before), length);
}

TEST(SimHost, ALowRateHoldsThoughTheHostIsBusy) {
  SimPair sim({.link = {.rate = 1_Gbit, .delay = 50us}, .controller = "bbr", .credit_blocks = 64, .receive_every = 30ms, .run_every = 30ms});
  sim.open({.slot = kSlot, .blocks = 100, .length = 500'000});
  arrives(sim, 8_Mbit, 2s);
  EXPECT_GE(arrives(sim, 8_Mbit, 10s), 14_Mbit);
}

}  // namespace
}  // namespace tideway::test
