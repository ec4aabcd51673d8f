// SPDX-License-Identifier: Apache-2.0
//
// Each controller over simulated links: does it fill them, and does it leave no standing queue?
#include "congestion/registry.h"
#include "support/path_simulation.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace tideway::congestion {
namespace {

using namespace std::chrono_literals;

struct LinkCase {
  const char* name;
  Rate rate;
  Duration rtt;
  double loss, burst;
  double queue_bdp;  // of the queue, in BDP; at least 100 packets
  double utilisation;  // at least this share of the payload rate, once started
};

wan::LinkConfig config_of(const LinkCase& c) {
  const Bytes bdp = c.rate.over(c.rtt);
  const auto queue = static_cast<uint64_t>(static_cast<double>(bdp.count()) * c.queue_bdp);
  return {.rate = c.rate, .delay = c.rtt / 2, .queue = Bytes(std::max<uint64_t>(queue, 153'800)),
          .impairments = {.loss = c.loss, .loss_burst = c.burst}};
}

ControllerConfig controller_for(const LinkCase& c) {
  return {.packet_size = test::PathSimulation::kPayload, .rtt_initial = c.rtt,
          .rate_contracted = test::PathSimulation::payload_rate(config_of(c)) * 0.99};
}

class Links : public ::testing::TestWithParam<std::tuple<const char*, LinkCase>> {};

TEST_P(Links, AreFilledWithoutAStandingQueue) {
  const auto& [controller_name, c] = GetParam();
  const wan::LinkConfig link = config_of(c);
  const auto controller = find_controller(controller_name, 1_Gbit).value().make(controller_for(c));
  test::PathSimulation path(link, *controller);
  path.run(std::max<Duration>(2s, c.rtt * 20));
  const test::PathResult steady = path.run(std::max<Duration>(8s, c.rtt * 40));
  const double utilisation = steady.goodput().bits_per_second() / path.payload_rate(link).bits_per_second();
  std::printf("%s %s: %.3f, queue %.2f ms of rtt %.0f ms, lost %.3f %%\n", controller_name, c.name, utilisation,
              static_cast<double>(steady.queue_delay_mean.count()) / 1e6, static_cast<double>(c.rtt.count()) / 1e6,
              100.0 * static_cast<double>(steady.packets_lost) / static_cast<double>(steady.packets_sent));
  EXPECT_GE(utilisation, c.utilisation);
  EXPECT_LT(steady.queue_delay_mean, std::max<Duration>(c.rtt, 5ms));
}

constexpr LinkCase kLinks[] = {
    {"ShortClean", 200_Mbit, 1ms, 0, 1, 5, 0.93},
    {"ShortLossy", 200_Mbit, 1ms, 0.01, 1, 5, 0.9},
    {"MiddleClean", 200_Mbit, 50ms, 0, 1, 1, 0.95},
    {"MiddleLossy", 200_Mbit, 50ms, 0.001, 1, 1, 0.94},
    {"MiddleVeryLossy", 200_Mbit, 50ms, 0.01, 1, 1, 0.92},
    {"MiddleThreePercent", 200_Mbit, 50ms, 0.03, 1, 1, 0.88},
    {"MiddleBursts", 200_Mbit, 50ms, 0.01, 10, 1, 0.9},
    {"MiddleShallow", 200_Mbit, 50ms, 0, 1, 0.1, 0.88},
    {"MiddleDeep", 200_Mbit, 50ms, 0, 1, 4, 0.95},
    {"LongClean", 100_Mbit, 300ms, 0, 1, 1, 0.93},
    {"LongLossy", 100_Mbit, 300ms, 0.01, 1, 1, 0.9},
};

INSTANTIATE_TEST_SUITE_P(Bbr, Links, ::testing::Combine(::testing::Values("bbr"), ::testing::ValuesIn(kLinks)),
                         [](const auto& test) { return std::get<1>(test.param).name; });
INSTANTIATE_TEST_SUITE_P(Contracted, Links, ::testing::Combine(::testing::Values("contracted"), ::testing::ValuesIn(kLinks)),
                         [](const auto& test) { return std::get<1>(test.param).name; });

}  // namespace
}  // namespace tideway::congestion
