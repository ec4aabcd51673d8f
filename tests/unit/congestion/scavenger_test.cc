// SPDX-License-Identifier: Apache-2.0
#include "congestion/scavenger.h"

#include "base/random.h"
#include "congestion/registry.h"
#include "support/path_simulation.h"

#include <gtest/gtest.h>

namespace tideway::congestion::scavenger_test {
namespace {

using namespace std::chrono_literals;

constexpr wan::LinkConfig kLink{.rate = 200_Mbit, .delay = 10ms, .queue = 625'000_B};  // 25 ms of queue
constexpr Duration kRtt = 20ms;

ControllerConfig config(uint64_t seed = 1) { return {.packet_size = test::PathSimulation::kPayload, .rtt_initial = kRtt, .seed = seed}; }

double share(const test::PathResult& result) {
  return result.goodput().bits_per_second() / test::PathSimulation::payload_rate(kLink).bits_per_second();
}

TEST(Scavenger, FillsALinkThatIsItsOwnWithUnderAMillisecondOfQueue) {
  Scavenger scavenger(config());
  wan::LinkModel link(Time(), kLink, 1);
  test::PathSimulation path(link, scavenger);
  path.run(2s);
  const test::PathResult steady = path.run(20s);
  EXPECT_GT(share(steady), 0.95);
  EXPECT_LT(steady.queue_delay_mean, Scavenger::kTarget + 200us);  // the receiver waits 200 µs before it acks
  EXPECT_EQ(steady.packets_lost, 0u);
}

// Somebody else takes what he needs; the scavenger is what gives way.
TEST(Scavenger, LeavesTheLinkToABbrFlowAndTakesItBackAfterwards) {
  Scavenger scavenger(config());
  const auto other = find_controller("bbr", Rate()).value().make(config(2));
  wan::LinkModel link(Time(), kLink, 1);
  test::PathSimulation bulk(link, scavenger), training(link, *other);
  test::PathSimulation* const both[] = {&bulk, &training};
  training.stop_sending_at(Time());
  test::run_together(both, Time(5s));
  bulk.take_result();
  training.stop_sending_at(kNever);
  test::run_together(both, Time(8s));
  training.take_result();
  bulk.take_result();
  test::run_together(both, Time(12s));
  EXPECT_GT(share(training.take_result()), 0.75);
  EXPECT_LT(share(bulk.take_result()), 0.2);
  training.stop_sending_at(Time(12s));
  test::run_together(both, Time(13s));
  bulk.take_result();
  test::run_together(both, Time(15s));
  EXPECT_GT(share(bulk.take_result()), 0.85);
}

// Three steps down within three round trips tell the gate that somebody bursts unannounced; its own queue never does.
TEST(Scavenger, ABurstOfOthersIsSeenInThreeRoundTripsAndItsOwnQueueIsNone) {
  Scavenger scavenger(config());
  wan::LinkModel link(Time(), kLink, 1);
  test::PathSimulation bulk(link, scavenger);
  for (Time until = Time(10ms); until <= Time(6s); until += 10ms) {
    test::PathSimulation* const alone = &bulk;
    test::run_together(std::span(&alone, 1), until);
    ASSERT_LT(scavenger.backoffs(bulk.now(), Time()), 3u) << (until - Time()).count();
  }
  // A burst above the rate of the link: what TCP flows of a training do together.
  Time now = bulk.now();
  uint32_t most = 0;
  const Time begins = now;
  Random random(3);
  for (; now < begins + 6 * kRtt; now += 20us) {
    if (random.happens(0.36)) link.offer(now, test::PathSimulation::kFrame);
    test::PathSimulation* const alone = &bulk;
    test::run_together(std::span(&alone, 1), now);
    most = std::max(most, scavenger.backoffs(now, begins));
  }
  EXPECT_GE(most, 3u);
}

// Buffers of a round trip are full a round trip after a burst came, so it is believed within a millisecond of its first sign.
TEST(Scavenger, GivesWayToABurstAtFirstSightAndTakesItsRateBackWhenAGateOpens) {
  Scavenger scavenger(config());
  wan::LinkModel link(Time(), kLink, 1);
  test::PathSimulation bulk(link, scavenger);
  bulk.run(5s);
  AckSample ack{.now = bulk.now(), .acked = 14'080_B, .in_flight = 500'000_B, .in_flight_before = 500'000_B, .rtt = kRtt + 6ms, .rtt_min = kRtt,
                .rtt_smoothed = kRtt, .delivery_rate = scavenger.pacing_rate(), .round = 1000, .packets_acked = 10, .ce_marked = 0, .limited_by = LimitedBy::kNetwork};
  const auto see = [&](Duration passed, Duration waits) {
    ack.now += passed;
    ack.rtt = kRtt + 500us + waits;
    scavenger.on_ack(ack);
    return scavenger.backoffs(ack.now, Time());
  };
  EXPECT_LE(scavenger.acks_every(), 1ms);
  see(0us, 5ms);
  see(100us, 5ms);
  EXPECT_LT(see(100us, 5ms), 3u);  // together, as when a host was late
  for (int i = 0; i < 40; ++i) EXPECT_LT(see(5ms, 0ms), 3u);
  for (int i = 0; i < 10; ++i) EXPECT_LT(see(500us, 4ms - i * 50us), 3u);  // what a host leaves behind that stood still shrinks
  for (int i = 0; i < 80; ++i) EXPECT_LT(see(5ms, 0ms), 3u);
  const Rate before = scavenger.pacing_rate();
  see(500us, 3ms + 500us);
  see(500us, 4ms);
  EXPECT_EQ(see(500us, 4ms + 500us), 3u);
  EXPECT_LE(scavenger.pacing_rate(), before * 0.3);
  EXPECT_GE(scavenger.rate_known(), ack.delivery_rate);  // what a pulse asks for
  ack.now += 400ms;
  Scavenger stays = scavenger;
  stays.on_thaw({.now = ack.now, .rtt_min = kRtt, .waits = 3ms, .rested = 2s, .behind = Thaw::Behind::kOther});
  EXPECT_LE(stays.pacing_rate(), before * 0.3);  // a queue was there: only because nobody waits for ever
  scavenger.on_thaw({.now = ack.now, .rtt_min = kRtt, .waits = 0ms, .rested = 400ms, .behind = Thaw::Behind::kBurst});
  EXPECT_GE(scavenger.pacing_rate(), before * 0.7);
  EXPECT_LE(scavenger.pacing_rate(), before);
  // A path that carries less than it did shows the same each time: its rate comes down.
  for (int i = 0; i < 6; ++i) {
    for (int late = 0; late < 8; ++late) see(5ms, 0ms);
    for (int late = 0; late < 4; ++late) see(500us, 4ms + late * 500us);
    ack.now += 100ms;
    scavenger.on_thaw({.now = ack.now, .rtt_min = kRtt, .waits = 0ms, .rested = 100ms, .behind = Thaw::Behind::kOther});
  }
  EXPECT_LE(scavenger.pacing_rate(), before * 0.5);
}

TEST(Scavenger, LossWithoutAQueueIsThePathsOwn) {
  Scavenger scavenger(config());
  Time now(1s);
  AckSample ack{.now = now, .acked = 140'800_B, .in_flight = 500'000_B, .in_flight_before = 500'000_B, .rtt = kRtt, .rtt_min = kRtt,
                .rtt_smoothed = kRtt, .delivery_rate = 100_Mbit, .round = 1, .packets_acked = 100, .ce_marked = 0,
                .limited_by = LimitedBy::kApplication};
  for (int i = 0; i < 10; ++i) {
    ack.now = now += 5ms;
    scavenger.on_ack(ack);
  }
  const Rate before = scavenger.pacing_rate();
  LossSample loss{.now = now, .lost = 1408_B, .packets_lost = 1, .in_flight = 0_B, .in_flight_before = 0_B, .round = 1,
                  .cause = LossCause::kTimeThreshold};
  scavenger.on_loss(loss);
  EXPECT_EQ(scavenger.pacing_rate(), before);
  for (int i = 0; i < 10; ++i) {
    ack.now = now += 5ms;
    ack.rtt = kRtt + 1500us;
    scavenger.on_ack(ack);
  }
  EXPECT_LT(scavenger.pacing_rate(), before);
}

TEST(Scavenger, AMarkCountsAsAQueue) {
  Scavenger scavenger(config());
  AckSample ack{.now = Time(1s), .acked = 140'800_B, .in_flight = 500'000_B, .in_flight_before = 500'000_B, .rtt = kRtt, .rtt_min = kRtt,
                .rtt_smoothed = kRtt, .delivery_rate = 100_Mbit, .round = 1, .packets_acked = 100, .ce_marked = 0,
                .limited_by = LimitedBy::kApplication};
  scavenger.on_ack(ack);
  const Rate before = scavenger.pacing_rate();
  ack.now += 10ms;
  ack.ce_marked = 1;
  scavenger.on_ack(ack);
  EXPECT_LT(scavenger.pacing_rate(), before);
}

TEST(Scavenger, SeveralFlowsOfOneSessionFillTheLinkTogether) {
  wan::LinkModel link(Time(), kLink, 1);
  Scavenger a(config(1)), b(config(2));
  test::PathSimulation one(link, a), two(link, b);
  test::PathSimulation* const both[] = {&one, &two};
  test::run_together(both, Time(5s));
  one.take_result();
  two.take_result();
  test::run_together(both, Time(25s));
  const test::PathResult first = one.take_result(), second = two.take_result();
  EXPECT_GT(share(first) + share(second), 0.93);
  EXPECT_LT(first.queue_delay_mean, 2ms);
}

}  // namespace
}  // namespace tideway::congestion::scavenger_test
