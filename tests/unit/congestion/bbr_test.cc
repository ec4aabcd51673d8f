// SPDX-License-Identifier: Apache-2.0
#include "congestion/bbr.h"

#include "support/path_simulation.h"

#include <gtest/gtest.h>

namespace tideway::congestion::bbr_test {
namespace {

using namespace std::chrono_literals;
using test::PathSimulation;

constexpr wan::LinkConfig kLink{.rate = 100_Mbit, .delay = 10ms};

ControllerConfig config() { return {.packet_size = PathSimulation::kPayload, .rtt_initial = 20ms}; }
double share_of(const test::PathResult& result, const wan::LinkConfig& link) {
  return result.goodput().bits_per_second() / PathSimulation::payload_rate(link).bits_per_second();
}

TEST(Bbr, PacesItsFirstWindowOverTheMeasuredRoundTrip) {
  const Bbr bbr(config());
  EXPECT_EQ(bbr.window(), 256_KiB);
  const Duration time = bbr.pacing_rate().time_for(bbr.window());
  EXPECT_LE(time, 20ms);
  EXPECT_GT(time, 5ms);
}

TEST(Bbr, LeavesTheStartWhenTheRateStopsGrowing) {
  Bbr bbr(config());
  wan::LinkModel link(Time(), kLink, 1);
  PathSimulation path(link, bbr);
  EXPECT_EQ(bbr.phase(), Bbr::Phase::kStartup);
  path.run(400ms);
  EXPECT_NE(bbr.phase(), Bbr::Phase::kStartup);
  EXPECT_NE(bbr.phase(), Bbr::Phase::kDrain);
}

TEST(Bbr, RandomLossDoesNotEndTheStartEarly) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .window_initial = 32_KiB, .rtt_initial = 100ms});
  const wan::LinkConfig lossy{.rate = 1_Gbit, .delay = 50ms, .impairments = {.loss = 0.04}};
  wan::LinkModel link(Time(), lossy, 1);
  PathSimulation path(link, bbr);
  path.run(1500ms);
  EXPECT_GT(share_of(path.run(500ms), lossy), 0.8);
}

TEST(Bbr, LearnsWhatThePathLosesAtAnyRate) {
  Bbr bbr(config());
  wan::LinkModel link(Time(), {.rate = 100_Mbit, .delay = 10ms, .impairments = {.loss = 0.03}}, 1);
  PathSimulation path(link, bbr);
  path.run(3s);
  EXPECT_NEAR(bbr.loss_base(), 0.03, 0.01);
}

// Packets of a round of 100 ms on which no queue shows.
void lose(Bbr& bbr, Time now, uint64_t round, uint64_t packets) {
  bbr.on_loss({.now = now, .lost = 1408_B * packets, .packets_lost = packets, .in_flight = 1_MiB, .in_flight_before = 2_MiB, .round = round,
               .cause = LossCause::kTimeThreshold});
}
void ack(Bbr& bbr, Time now, uint64_t round, uint64_t packets) {
  bbr.on_ack({.now = now, .acked = 1408_B * packets, .in_flight = 1_MiB, .in_flight_before = 2_MiB, .rtt = 100ms, .rtt_min = 100ms,
              .rtt_smoothed = 100ms, .delivery_rate = 100_Mbit, .round = round, .packets_acked = packets, .ce_marked = 0,
              .limited_by = LimitedBy::kNetwork});
}

// Before it has cruised: at 200 ms that would take a second, in which a bound on what is on its way would have been set.
TEST(Bbr, LossWithoutAQueueIsThePathsOwnFromTheFirstSampleOn) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 100ms});
  Time now(1s);
  for (uint64_t round = 1; round <= 4 && bbr.loss_base() == 0; ++round) {
    lose(bbr, now, round, 300);
    ack(bbr, now, round, 9700);
    now += 100ms;
  }
  EXPECT_NEAR(bbr.loss_base(), 0.03, 0.002);
}

// A shallow queue overflows within a round, of which the least round trip shows nothing.
TEST(Bbr, LossOfAStartThatFindsNoMoreIsNotThePathsOwn) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 100ms});
  Time now(1s);
  for (uint64_t round = 1; round <= 4; ++round) {
    if (round == 3) lose(bbr, now, round, 300);
    ack(bbr, now, round, 3000);
    now += 100ms;
  }
  EXPECT_EQ(bbr.loss_base(), 0);
  EXPECT_NE(bbr.phase(), Bbr::Phase::kStartup);
}

// The probes of a queue of a tenth of a BDP lose some, and that is all.
TEST(Bbr, LosesLittleAtAShallowQueue) {
  for (const Rate rate : {100_Mbit, 20_Mbit}) {
    for (const Duration rtt : {50ms, 100ms, 200ms}) {
      const wan::LinkConfig shallow{.rate = rate, .delay = rtt / 2, .queue = Bytes(rate.over(rtt).count() / 10)};
      Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = rtt});
      wan::LinkModel link(Time(), shallow, 1);
      PathSimulation path(link, bbr);
      path.run(20s);
      const test::PathResult steady = path.run(20s);
      EXPECT_LT(static_cast<double>(steady.packets_lost), 0.015 * static_cast<double>(steady.packets_sent)) << rtt / 1ms;
      EXPECT_LT(bbr.loss_base(), 0.01) << rtt / 1ms;
    }
  }
}

TEST(Bbr, FindsCapacityThatAppears) {
  Bbr bbr({.packet_size = PathSimulation::kPayload, .rtt_initial = 20ms});
  wan::LinkModel narrow(Time(), {.rate = 20_Mbit, .delay = 10ms}, 1);
  PathSimulation before(narrow, bbr);
  before.run(10s);
  // The same controller goes on over a link five times as fast.
  wan::LinkModel wide(before.now(), kLink, 1);
  PathSimulation after(wide, bbr);
  after.jump_to(before.now());
  after.run(10s);
  EXPECT_GT(share_of(after.run(5s), kLink), 0.9);
}

TEST(Bbr, GivesUpCapacityThatIsGone) {
  Bbr bbr(config());
  wan::LinkModel wide(Time(), kLink, 1);
  PathSimulation before(wide, bbr);
  before.run(5s);
  const wan::LinkConfig narrower{.rate = 20_Mbit, .delay = 10ms};
  wan::LinkModel narrow(before.now(), narrower, 1);
  PathSimulation after(narrow, bbr);
  after.jump_to(before.now());
  after.run(12s);
  const test::PathResult settled = after.run(10s);
  EXPECT_GT(share_of(settled, narrower), 0.9);
  EXPECT_LT(settled.queue_delay_mean, 20ms);
  EXPECT_LT(static_cast<double>(settled.packets_lost), 0.03 * static_cast<double>(settled.packets_sent));
}

TEST(Bbr, NoticesThatThePathGotLonger) {
  Bbr bbr(config());
  wan::LinkModel near_link(Time(), kLink, 1);
  PathSimulation before(near_link, bbr);
  before.run(5s);
  const wan::LinkConfig far{.rate = 100_Mbit, .delay = 60ms};
  wan::LinkModel far_link(before.now(), far, 1);
  PathSimulation after(far_link, bbr);
  after.jump_to(before.now());
  after.run(30s);
  EXPECT_GT(share_of(after.run(10s), far), 0.9);
}

TEST(Bbr, GoesOnAfterABlackout) {
  Bbr bbr(config());
  const wan::LinkConfig dying{.rate = 100_Mbit, .delay = 10ms, .impairments = {.blackout = {.from = 2s, .length = 1s}}};
  wan::LinkModel link(Time(), dying, 1);
  PathSimulation path(link, bbr);
  path.run(3s + 500ms);
  EXPECT_GT(share_of(path.run(2s), dying), 0.85);
}

// Neither on an empty path nor beside the queue of others.
TEST(Bbr, AnIdleApplicationDoesNotLowerTheEstimate) {
  for (const Duration rtt : {20ms, 22ms, 30ms}) {
    Bbr bbr(config());
    wan::LinkModel link(Time(), kLink, 1);
    PathSimulation path(link, bbr);
    path.run(3s);
    const Rate before = bbr.pacing_rate();
    AckSample sample{.now = path.now(), .acked = 1408_B, .in_flight = 0_B, .in_flight_before = 1408_B, .rtt = rtt, .rtt_min = 20ms,
                     .rtt_smoothed = rtt, .delivery_rate = 1_Mbit, .round = 1000, .packets_acked = 1, .ce_marked = 0,
                     .limited_by = LimitedBy::kApplication};
    for (int i = 0; i < 30; ++i) {
      sample.now += 100ms;
      ++sample.round;
      bbr.on_ack(sample);
    }
    EXPECT_GT(bbr.pacing_rate(), before * 0.7) << rtt / 1ms << " ms";
  }
}

// A path that got longer looks like a queue of others until a round trip was probed, but all that is sent still arrives.
TEST(Bbr, AQueueThatItDoesNotFeedHardlyLowersTheEstimate) {
  for (const Duration longer : {1ms, 5ms}) {
    for (const double loss : {0.0, 0.01, 0.03}) {
      Bbr bbr(config());
      wan::LinkModel near_link(Time(), {.rate = 100_Mbit, .delay = 10ms, .impairments = {.loss = loss}}, 1);
      PathSimulation before(near_link, bbr);
      before.run(5s);
      const Rate found = bbr.pacing_rate();
      wan::LinkModel far_link(before.now(), {.rate = 100_Mbit, .delay = 10ms + longer / 2, .impairments = {.loss = loss}}, 1);
      PathSimulation after(far_link, bbr);
      after.go_on_after(before);
      Rate least = found;
      while (after.now() < Time(14s)) {  // before the old minimum is given up
        after.run(20ms);
        if (bbr.phase() == Bbr::Phase::kCruise) least = std::min(least, bbr.pacing_rate());
      }
      EXPECT_GT(least, found * 0.83) << longer / 1ms << " ms, loss " << loss;  // it paces at 0.98 then and makes up for no loss
    }
  }
}

TEST(Bbr, AnUndoneLossLeavesNoTrace) {
  Bbr bbr(config());
  wan::LinkModel link(Time(), kLink, 1);
  PathSimulation path(link, bbr);
  path.run(3s);
  const Bytes before = bbr.window();
  bbr.on_loss({.now = path.now(), .lost = before, .packets_lost = 100, .in_flight = 0_B, .in_flight_before = before, .round = 5000,
               .cause = LossCause::kProbeTimeout});
  ASSERT_LT(bbr.window(), before / 4);
  bbr.on_spurious_loss(path.now());
  EXPECT_EQ(bbr.window(), before);
}

}  // namespace
}  // namespace tideway::congestion::bbr_test
