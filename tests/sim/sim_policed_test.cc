// SPDX-License-Identifier: Apache-2.0
//
// What a policer of UDP does to flows, as a session counts it: it is seen where somebody drops all above a small rate, whatever controls
// the flows, and not on a lossy path that is as fast as it was.
#include "session/udp_policing.h"
#include "sim/sim_pair.h"

#include <gtest/gtest.h>

#include <functional>

namespace tideway::test {
namespace {

using session::UdpPolicing;

constexpr int kLooksMax = 28;  // seven seconds
constexpr Rate kRemembered = 20_Mbit;

// A transfer that always has something to send, until it is seen; meanwhile the path may change.
bool is_seen(const wan::LinkConfig& link, const char* controller, Rate remembered = kRemembered, const std::function<void(SimPair&, int look)>& change = {}) {
  SimPair sim({.link = link, .flows = 2, .seed = 1, .controller = controller, .credit_blocks = 64});
  sim.open({.slot = kSlot, .blocks = 2000, .length = 500'000});
  UdpPolicing policing;
  for (int look = 0; look < kLooksMax && !policing.is_likely(); ++look) {
    if (change) change(sim, look);
    EXPECT_TRUE(sim.run_for(UdpPolicing::kLookEvery)) << state_of(sim);
    const flow::FlowStats stats = sim.lane(0).stats().flows;
    const uint64_t lost = stats.packets_lost - std::min(stats.packets_lost, stats.packets_spurious);
    policing.on_traffic(sim.now(), {Bytes(stats.bytes_sent), Bytes(stats.bytes_received), stats.packets_sent, lost}, {remembered});
  }
  return policing.is_likely();
}

TEST(SimPoliced, WhatIsDroppedAboveASmallRateIsNoticed) {
  for (const char* controller : {"bbr", "scavenger"})
    EXPECT_TRUE(is_seen({.rate = kRemembered * 0.025, .delay = std::chrono::milliseconds(10), .queue = 8_KiB}, controller)) << controller;
}

TEST(SimPoliced, ALossyPathThatIsAsFastAsItWasIsNone) {
  const wan::LinkConfig lossy{.rate = kRemembered * 0.3, .delay = std::chrono::milliseconds(10), .impairments = {.loss = 0.03}};
  EXPECT_FALSE(is_seen(lossy, "bbr"));
}

// Nothing is remembered, so that losses tell alone.
TEST(SimPoliced, AHoleForLargePacketsIsNone) {
  for (const auto delay : {std::chrono::milliseconds(5), std::chrono::milliseconds(100)}) {
    uint64_t lost = 0;
    Bytes size;
    const auto hole = [&](SimPair& sim, int look) {
      if (look == 12) sim.set_mtu(0, 1300_B);
      const flow::FlowStats stats = sim.lane(0).stats().flows;
      lost = stats.packets_lost, size = stats.path_mtu;
    };
    EXPECT_FALSE(is_seen({.rate = 50_Mbit, .delay = delay}, "bbr", Rate(), hole)) << delay / std::chrono::milliseconds(1) << " ms";
    EXPECT_GT(lost, 100u);
    EXPECT_LE(size, 1300_B);
  }
}

}  // namespace
}  // namespace tideway::test
