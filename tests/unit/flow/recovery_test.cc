// SPDX-License-Identifier: Apache-2.0
#include "flow/recovery.h"

#include "mem/buffer_pool.h"
#include "support/fixed_controller.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

namespace tideway::flow::recovery_test {
namespace {

using namespace std::chrono_literals;
using wire::PacketRange;
const Time kStart = Time{} + 1s;
constexpr uint64_t kFirst = 1000;
constexpr Duration kRtt = 100ms;
constexpr uint64_t kPayload = 1152, kPacket = kPayload + 48;  // at the base MTU

struct RecoveryTest : testing::Test {
  std::unique_ptr<BufferPool> pool = BufferPool::create(4).value();
  SendWindow window;
  Credit credit{{.lane = LaneId(0), .unit = kBufferSize}};
  LaneTrains trains;
  test::ControllerRecord record;
  Recovery recovery{kStart, {.first_number = kFirst, .rtt_initial = kRtt, .mtu_max = Bytes(1500), .is_ipv4 = true},
                    std::make_unique<test::FixedController>(1_MiB, 1_Gbit, &record), window, credit, trains};

  RecoveryTest() {
    EXPECT_TRUE(window.offer({.key = {SlotId(1), BlockId(0)}, .head_units = 1, .length = 1 << 20, .buffer = pool->take()}));
  }
  void send(Time now, SentPacket packet) {
    ASSERT_TRUE(recovery.begin_burst(now, 1));
    recovery.on_sent(now, packet);
  }
  std::vector<Range> send_data(Time now, size_t packets, uint8_t state = 0) {
    std::vector<Range> ranges;
    EXPECT_TRUE(recovery.begin_burst(now, packets));
    for (size_t i = 0; i < packets; ++i) {
      const Range range = window.take(now, recovery.payload_max().count()).value().range;
      recovery.on_sent(now, {.block = range.key.block.value(), .offset = range.offset, .slot = range.key.slot.value(),
                             .length = static_cast<uint16_t>(range.length), .kind = PacketKind::kData, .state = state});
      ranges.push_back(range);
    }
    return ranges;
  }
  // `ranges` newest first, counted from kFirst.
  Recovery::AckOutcome ack(Time now, const std::vector<PacketRange>& ranges, const std::function<void(wire::AckFrame&)>& change = {}) {
    return ack_late(now, now, ranges, change);
  }
  // The same, of a frame that came to this host `at`.
  Recovery::AckOutcome ack_late(Time now, Time at, const std::vector<PacketRange>& ranges, const std::function<void(wire::AckFrame&)>& change = {}) {
    wire::AckFrame frame;
    frame.largest = kFirst + ranges.front().last;
    frame.floor = kFirst;
    for (const PacketRange& range : ranges) frame.ranges[frame.ranges_count++] = {kFirst + range.first, kFirst + range.last};
    if (change) change(frame);
    return recovery.on_ack(now, at, frame);
  }
};

TEST_F(RecoveryTest, AnAckFreesWhatItNamesAndTellsTheController) {
  send_data(kStart, 3);
  EXPECT_EQ(recovery.in_flight(), Bytes(3 * kPacket));
  const auto outcome = ack(kStart + kRtt, {{0, 1}});
  EXPECT_TRUE(outcome.is_sound);
  EXPECT_TRUE(outcome.is_news);
  EXPECT_EQ(outcome.newest, kFirst + 1);
  EXPECT_EQ(recovery.in_flight(), Bytes(kPacket));
  EXPECT_EQ(recovery.packets_in_flight(), 1U);
  EXPECT_EQ(window.unacked_bytes(), (1U << 20) - 2 * kPayload);
  EXPECT_EQ(record.acks, 1U);
  EXPECT_EQ(record.last_ack.acked, Bytes(2 * kPacket));
  EXPECT_EQ(record.last_ack.packets_acked, 2U);
  EXPECT_EQ(record.last_ack.in_flight, Bytes(kPacket));
  EXPECT_EQ(record.last_ack.in_flight_before, Bytes(3 * kPacket));
  EXPECT_EQ(record.last_ack.rtt, kRtt);
  EXPECT_EQ(record.last_ack.rtt_min, kRtt);
}

TEST_F(RecoveryTest, WhatAnAckWaitedOnThisHostIsNoPartOfTheRoundTrip) {
  send_data(kStart, 1);
  EXPECT_TRUE(ack_late(kStart + kRtt + 30ms, kStart + kRtt, {{0, 0}}).is_news);
  EXPECT_EQ(record.last_ack.rtt, kRtt);
}

TEST_F(RecoveryTest, AnAckWhoseStampIsOlderThanItsPacketTellsNoRoundTrip) {
  send_data(kStart, 1);
  EXPECT_TRUE(ack_late(kStart + kRtt, kStart - 1ms, {{0, 0}}).is_news);
  EXPECT_EQ(record.last_ack.rtt, 0ms);
  EXPECT_FALSE(recovery.rtt().has_sample());
}

TEST_F(RecoveryTest, AnAckOfTheSameIsNoNews) {
  send_data(kStart, 2);
  ack(kStart + kRtt, {{0, 1}});
  const auto again = ack(kStart + 2 * kRtt, {{0, 1}});
  EXPECT_TRUE(again.is_sound);
  EXPECT_FALSE(again.is_news);
  EXPECT_EQ(record.acks, 1U);
  EXPECT_EQ(recovery.rtt().latest(), kRtt);
}

TEST_F(RecoveryTest, AnAckOfWhatWasNeverSentIsUnsoundAndChangesNothing) {
  send_data(kStart, 2);
  EXPECT_FALSE(ack(kStart + kRtt, {{1, 2}}).is_sound);
  EXPECT_FALSE(ack(kStart + kRtt, {{0, uint64_t{1} << 40}}).is_sound);
  EXPECT_FALSE(ack(kStart + kRtt, {{1, 1}}, [](wire::AckFrame& frame) { frame.largest = ~uint64_t{0} >> 2; }).is_sound);
  EXPECT_EQ(recovery.packets_in_flight(), 2U);
  EXPECT_EQ(record.acks, 0U);
}

TEST_F(RecoveryTest, NumbersBelowTheFirstWereNeverSentEither) {
  send_data(kStart, 2);
  const auto outcome = ack(kStart + kRtt, {{1, 1}}, [](wire::AckFrame& frame) {
    frame.floor = 0;
    frame.ranges[0].first = kFirst - 1;
  });
  EXPECT_FALSE(outcome.is_sound);
}

TEST_F(RecoveryTest, TheDelayOfThePeerIsNoRoundTripTime) {
  send_data(kStart, 2);
  ack(kStart + kRtt, {{0, 0}});
  ack(kStart + kRtt + 20ms, {{0, 1}}, [](wire::AckFrame& frame) { frame.ack_delay = 20ms; });
  EXPECT_EQ(record.last_ack.rtt, kRtt);
}

TEST_F(RecoveryTest, LostRangesGoBackToTheWindowOnce) {
  const auto ranges = send_data(kStart, 100);
  send_data(kStart + 50ms, 100);  // enough in flight that no count decides
  ack(kStart + kRtt, {{99, 99}, {1, 97}});
  recovery.detect_losses(kStart + kRtt);
  EXPECT_EQ(recovery.stats().packets_lost, 0U) << "they may be late";
  const Time lost_at = recovery.next_deadline();
  EXPECT_EQ(lost_at, kStart + kRtt + kRtt / 8);
  recovery.on_deadline(lost_at);
  recovery.detect_losses(lost_at);
  EXPECT_EQ(recovery.stats().packets_lost, 2U);
  EXPECT_EQ(record.lost, Bytes(2 * kPacket));
  EXPECT_EQ(record.last_loss.cause, LossCause::kTimeThreshold);
  EXPECT_EQ(recovery.packets_in_flight(), 100U);
  const auto first = window.take(lost_at, kPayload).value(), second = window.take(lost_at, kPayload).value();
  EXPECT_EQ(first.range, ranges[0]);
  EXPECT_TRUE(first.is_resent);
  EXPECT_EQ(second.range, ranges[98]);
  EXPECT_FALSE(window.take(lost_at, kPayload).value().is_resent);
}

TEST_F(RecoveryTest, ALossThatWasOnlyLateIsUndoneAndNotSentAgain) {
  send_data(kStart, 100);
  ack(kStart + kRtt, {{98, 99}});
  recovery.detect_losses(kStart + 2 * kRtt);
  ASSERT_EQ(recovery.stats().packets_lost, 98U);
  EXPECT_EQ(record.spurious, 0U);
  ack(kStart + 2 * kRtt + 1ms, {{0, 99}});
  EXPECT_EQ(recovery.stats().packets_spurious, 98U);
  EXPECT_EQ(record.spurious, 1U);
  EXPECT_EQ(recovery.in_flight(), Bytes());
  EXPECT_FALSE(window.take(kStart + 3 * kRtt, kPayload).value().is_resent) << "new data";
}

TEST_F(RecoveryTest, ALossThatIsMostlyRealIsNotUndone) {
  send_data(kStart, 100);
  ack(kStart + kRtt, {{98, 99}});
  recovery.detect_losses(kStart + 2 * kRtt);
  ack(kStart + 2 * kRtt + 1ms, {{50, 99}});
  EXPECT_EQ(recovery.stats().packets_spurious, 48U);
  EXPECT_EQ(record.spurious, 0U);
}

TEST_F(RecoveryTest, SilenceAsksForTwoProbesAndTheThirdTimeGivesEverythingBack) {
  send_data(kStart, 10);
  EXPECT_EQ(recovery.probes_due(), 0);
  EXPECT_EQ(recovery.next_deadline(), kStart + recovery.probe_timeout());
  recovery.on_deadline(recovery.next_deadline() - 1ns);
  EXPECT_EQ(recovery.timeouts_in_row(), 0U);
  Time now = recovery.next_deadline();
  recovery.on_deadline(now);
  EXPECT_EQ(recovery.timeouts_in_row(), 1U);
  EXPECT_EQ(recovery.probes_due(), ProbeTimeout::kPackets);
  EXPECT_EQ(record.losses, 0U) << "silence alone is no loss yet";
  for (int i = ProbeTimeout::kPackets; i > 0; --i) {
    EXPECT_EQ(recovery.probes_due(), i);
    send(now, {.length = 36, .kind = PacketKind::kProbe});
  }
  EXPECT_EQ(recovery.probes_due(), 0);
  while (recovery.timeouts_in_row() < ProbeTimeout::kRestAfter) recovery.on_deadline(now = recovery.next_deadline());
  EXPECT_EQ(recovery.in_flight(), Bytes());
  EXPECT_EQ(record.last_loss.cause, LossCause::kProbeTimeout);
  EXPECT_TRUE(window.take(now, kPayload).value().is_resent) << "a sister may send it";
  EXPECT_EQ(recovery.stats().probe_timeouts, ProbeTimeout::kRestAfter);
}

TEST_F(RecoveryTest, NewsEndsTheRowOfTimeouts) {
  send_data(kStart, 1);
  recovery.on_deadline(recovery.next_deadline());
  ASSERT_EQ(recovery.timeouts_in_row(), 1U);
  ack(kStart + 1s, {{0, 0}});
  EXPECT_EQ(recovery.probes_due(), 0) << "nobody asks any more";
  EXPECT_EQ(recovery.timeouts_in_row(), 0U);
  EXPECT_EQ(recovery.next_deadline(), kNever) << "nothing is in flight";
}

TEST_F(RecoveryTest, AFlowThatRestsLearnsFromAnAckThatIsMuchTooLate) {
  send_data(kStart, 10);
  while (recovery.timeouts_in_row() < ProbeTimeout::kRestAfter) recovery.on_deadline(recovery.next_deadline());
  const Time late = kStart + 12 * recovery.probe_timeout();
  recovery.detect_losses(late);
  EXPECT_TRUE(ack(late, {{0, 9}}).is_news);
  EXPECT_EQ(recovery.rtt().latest(), late - kStart);
  EXPECT_EQ(window.unacked_bytes(), (1U << 20) - 10 * kPayload) << "and nothing of it leaves again";
}

TEST_F(RecoveryTest, GivingUpReturnsAllRanges) {
  const auto ranges = send_data(kStart, 50);
  recovery.give_up(kStart + 1ms);
  EXPECT_EQ(recovery.in_flight(), Bytes());
  EXPECT_EQ(recovery.packets_in_flight(), 0U);
  for (const Range& range : ranges) EXPECT_EQ(window.take(kStart, kPayload).value().range, range);
}

TEST_F(RecoveryTest, LostCreditFramesGoOutAgain) {
  credit.open_sending(SlotId(1), 0);
  EXPECT_FALSE(credit.try_start(SlotId(1)));
  std::array<std::byte, 100> bytes;
  Writer out(bytes);
  credit.write_frames(out);
  ASSERT_FALSE(credit.has_frames());
  send(kStart, {.length = 100, .kind = PacketKind::kControl, .state = SentPacket::kCarriesState});
  send_data(kStart, 4);
  ack(kStart + kRtt, {{1, 4}});
  recovery.detect_losses(kStart + 2 * kRtt);
  EXPECT_TRUE(credit.has_frames());
}

TEST_F(RecoveryTest, AnMtuProbeThatArrivesMakesPacketsLargerAndOneThatIsLostSaysNothing) {
  recovery.mtu().allow();
  EXPECT_EQ(recovery.payload_max(), Bytes(kPayload));
  std::vector<uint64_t> sizes;
  while (const auto mtu = recovery.mtu().next_probe(kStart)) {
    send(kStart, {.offset = static_cast<uint32_t>(mtu->count()), .length = static_cast<uint16_t>(mtu->count() - 28),
                  .kind = PacketKind::kMtuProbe});
    sizes.push_back(mtu->count());
  }
  ASSERT_EQ(sizes, (std::vector<uint64_t>{1400, 1500}));
  send_data(kStart, 5);
  ack(kStart + kRtt, {{2, 6}, {0, 0}});
  EXPECT_EQ(recovery.payload_max(), Bytes(1280));
  recovery.detect_losses(kStart + 2 * kRtt);
  EXPECT_EQ(record.losses, 0U);
  EXPECT_EQ(recovery.mtu().next_probe(kStart + 2 * kRtt), Bytes(1500)) << "tried again";
  send(kStart + 2 * kRtt, {.offset = 1500, .length = 1472, .kind = PacketKind::kMtuProbe});
  ack(kStart + 3 * kRtt, {{7, 7}});
  EXPECT_EQ(recovery.payload_max(), Bytes(1408));
  send_data(kStart + 3 * kRtt, 1);
  recovery.on_deadline(recovery.next_deadline());
  EXPECT_EQ(recovery.payload_max(), Bytes(kPayload)) << "silence may mean that full packets do not pass any more";
}

TEST_F(RecoveryTest, EcnStaysOnWhileItsCountsAddUp) {
  EXPECT_EQ(recovery.ecn(), Ecn::kEct0);
  send_data(kStart, 10, SentPacket::kIsEcnMarked);
  ack(kStart + kRtt, {{0, 4}}, [](wire::AckFrame& frame) { frame.ecn_ect0 = 5; });
  EXPECT_EQ(recovery.ecn(), Ecn::kEct0);
  EXPECT_EQ(record.last_ack.ce_marked, 0U);
  ack(kStart + kRtt, {{0, 9}}, [](wire::AckFrame& frame) { frame.ecn_ect0 = 7, frame.ecn_ce = 3; });
  EXPECT_EQ(recovery.ecn(), Ecn::kEct0);
  EXPECT_EQ(record.last_ack.ce_marked, 3U);
}

TEST_F(RecoveryTest, EcnThatThePathBleachesIsTurnedOff) {
  send_data(kStart, 10, SentPacket::kIsEcnMarked);
  ack(kStart + kRtt, {{0, 9}});
  EXPECT_EQ(recovery.ecn(), Ecn::kNotEct);
}

TEST_F(RecoveryTest, SamplesOfAFlowWithNothingToSendAreMarked) {
  recovery.on_app_limited();
  send_data(kStart, 1);
  ack(kStart + kRtt, {{0, 0}});
  EXPECT_EQ(record.last_ack.limited_by, LimitedBy::kApplication);
  send_data(kStart + kRtt, 1);
  ack(kStart + 2 * kRtt, {{0, 1}});
  EXPECT_EQ(record.last_ack.limited_by, LimitedBy::kNetwork);
}

TEST_F(RecoveryTest, WhileFrozenTheControllerLearnsNothingAndNoTimePassesForIt) {
  send_data(kStart, 6);
  ack(kStart + kRtt, {{0, 0}});
  const Time last = record.last_ack.now;
  recovery.freeze(kStart + 2 * kRtt);
  ack(kStart + 3 * kRtt, {{2, 2}, {0, 0}});
  recovery.detect_losses(kStart + 9 * kRtt);  // what was sent first is lost
  recovery.give_up(kStart + 10 * kRtt);
  EXPECT_EQ(record.acks, 1U);
  EXPECT_EQ(record.losses, 0U);
  EXPECT_GT(recovery.stats().packets_lost, 0U);  // and yet sent again
  recovery.thaw(kStart + 102 * kRtt);
  const uint64_t round = record.last_ack.round;
  send_data(kStart + 102 * kRtt, 1);
  ack(kStart + 103 * kRtt, {{6, 6}});
  EXPECT_EQ(record.acks, 2U);
  EXPECT_EQ(record.last_ack.now, last + 2 * kRtt);
  EXPECT_LE(record.last_ack.round, round + 2);
}

}  // namespace
}  // namespace tideway::flow::recovery_test
