// SPDX-License-Identifier: Apache-2.0
#include "flow/sent_packets.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <map>

namespace tideway::flow::sent_packets_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;
constexpr uint64_t kFirst = 0x1234'5678;

SentPacket data(uint16_t length = 1408) {
  return {.block = 3, .offset = 512, .slot = 7, .length = length, .kind = PacketKind::kData};
}

BurstRecord burst_at(Time now, uint64_t first) {
  BurstRecord record;
  record.sent_at = now;
  record.first_packet = first;
  return record;
}

void send_burst(SentPackets& sent, Time now, size_t packets, const SentPacket& packet = data()) {
  ASSERT_TRUE(sent.reserve(packets));
  sent.begin_burst(burst_at(now, sent.next_number()));
  for (size_t i = 0; i < packets; ++i) sent.add(packet);
}

TEST(SentPackets, CountsWhatIsInFlightAsUdpPayload) {
  SentPackets sent(kFirst);
  send_burst(sent, kStart, 2);
  EXPECT_EQ(sent.in_flight(), Bytes(2 * (1408 + 48))) << "header and tag around a DATA payload";
  send_burst(sent, kStart, 1, {.length = 100, .kind = PacketKind::kControl});
  EXPECT_EQ(sent.in_flight(), Bytes(2 * 1456 + 100));
  EXPECT_EQ(sent.packets_in_flight(), 3U);
  EXPECT_EQ(sent.next_number(), kFirst + 3);
  EXPECT_EQ(sent.tail(), kFirst);
}

TEST(SentPackets, ATrainIsOneOverSeveralBursts) {
  SentPackets sent(kFirst);
  send_burst(sent, kStart, 2);
  send_burst(sent, kStart + 1ms, 3);
  ASSERT_TRUE(sent.reserve(4));
  sent.begin_burst(burst_at(kStart + 1ms, sent.next_number()), BurstIs::kMoreOfTrain);
  for (int i = 0; i < 4; ++i) sent.add(data());
  EXPECT_EQ(sent.train_size(sent.burst_of(kFirst)), Bytes(2 * (1408 + 48)));
  EXPECT_EQ(sent.train_size(sent.burst_of(kFirst + 2)), Bytes(7 * (1408 + 48)));
  EXPECT_EQ(sent.train_size(sent.burst_of(kFirst + 8)), Bytes(7 * (1408 + 48)));
  EXPECT_NE(sent.burst_of(kFirst).train, sent.burst_of(kFirst + 8).train);
  EXPECT_EQ(sent.burst_of(kFirst + 2).train, sent.burst_of(kFirst + 8).train);
}

TEST(SentPackets, AnAckIsNeitherInFlightNorOfInterest) {
  SentPackets sent(kFirst);
  send_burst(sent, kStart, 1, {.length = 60, .kind = PacketKind::kUntracked});
  EXPECT_EQ(sent.in_flight(), Bytes());
  EXPECT_EQ(sent.packets_in_flight(), 0U);
  EXPECT_EQ(sent.next_number(), kFirst + 1) << "it takes a number all the same";
  EXPECT_EQ(sent.find(kFirst, kFirst + 1), kFirst + 1);
}

TEST(SentPackets, ALostPacketStaysOfInterestUntilItIsForgotten) {
  SentPackets sent(kFirst);
  send_burst(sent, kStart, 1);
  send_burst(sent, kStart + 1ms, 1);
  sent.on_lost(kFirst);
  EXPECT_EQ(sent.packets_in_flight(), 1U);
  EXPECT_EQ(sent.at(kFirst).where(), PacketState::kLost);
  EXPECT_EQ(sent.find(kFirst, kFirst + 2), kFirst);
  sent.forget_lost(kStart);
  EXPECT_EQ(sent.find(kFirst, kFirst + 2), kFirst) << "not sent before that";
  sent.forget_lost(kStart + 1ms);
  EXPECT_EQ(sent.find(kFirst, kFirst + 2), kFirst + 1);
  EXPECT_EQ(sent.tail(), kFirst + 1);
}

TEST(SentPackets, APacketFoundAgainIsToldAsLostAndCountsOnce) {
  SentPackets sent(kFirst);
  send_burst(sent, kStart, 2);
  sent.on_lost(kFirst);
  const SentPacket found = sent.on_acked(kFirst);
  EXPECT_EQ(found.where(), PacketState::kLost);
  EXPECT_EQ(found.range(), (Range{{SlotId(7), BlockId(3)}, 512, 1408}));
  EXPECT_EQ(sent.in_flight(), Bytes(1456));
  EXPECT_EQ(sent.on_acked(kFirst + 1).where(), PacketState::kInFlight);
  EXPECT_EQ(sent.in_flight(), Bytes());
  EXPECT_EQ(sent.tail(), sent.next_number());
}

TEST(SentPackets, ABurstWithoutAPacketIsTakenBack) {
  SentPackets sent(kFirst);
  for (size_t i = 0; i < 2 * SentPackets::kBurstsMax; ++i) {
    ASSERT_TRUE(sent.reserve(1));
    sent.begin_burst(burst_at(kStart, kFirst));
  }
  send_burst(sent, kStart + 1ms, 1);
  EXPECT_EQ(sent.burst_of(kFirst).sent_at, kStart + 1ms);
}

TEST(SentPackets, TheRingsGrowToTheirLimitAndThenRefuse) {
  SentPackets sent(kFirst);
  size_t packets = 0;
  for (; sent.reserve(64); packets += 64) {
    ASSERT_LE(packets, SentPackets::kPacketsMax);
    sent.begin_burst(burst_at(kStart + Duration(packets), sent.next_number()));
    for (int i = 0; i < 64; ++i) sent.add(data());
  }
  EXPECT_GE(packets, SentPackets::kPacketsMax - 64);
  EXPECT_EQ(sent.packets_in_flight(), packets);
  for (size_t i = 0; i < packets; i += 64) ASSERT_EQ(sent.burst_of(kFirst + i + 63).sent_at, kStart + Duration(i));
  for (size_t i = 0; i < 64; ++i) sent.on_acked(kFirst + i);
  EXPECT_TRUE(sent.reserve(64)) << "an ack makes room";
}

TEST(SentPackets, BurstsOfOnePacketHaveALimitToo) {
  SentPackets sent(kFirst);
  size_t bursts = 0;
  for (; sent.reserve(1); ++bursts) {
    ASSERT_LE(bursts, SentPackets::kBurstsMax);
    sent.begin_burst(burst_at(kStart + Duration(bursts), sent.next_number()));
    sent.add(data());
  }
  EXPECT_GE(bursts, SentPackets::kBurstsMax - 1);
  for (size_t i = 0; i < bursts; ++i) ASSERT_EQ(sent.burst_of(kFirst + i).sent_at, kStart + Duration(i));
}

TEST(SentPackets, LostPacketsDoNotStandInTheWay) {
  SentPackets sent(kFirst);
  while (sent.reserve(64)) {
    sent.begin_burst(burst_at(kStart, sent.next_number()));
    for (int i = 0; i < 64; ++i) sent.add(data());
  }
  for (int i = 0; i < 64; ++i) sent.on_lost(kFirst + static_cast<uint64_t>(i));
  EXPECT_TRUE(sent.reserve(64));
  EXPECT_GE(sent.tail(), kFirst + 64);
}

TEST(SentPackets, RandomHistoriesMatchAMap) {
  struct Entry { Time sent_at; bool is_lost; uint64_t size; };
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    SentPackets sent(kFirst);
    std::map<uint64_t, Entry> model;
    Time now = kStart;
    for (int step = 0; step < 3000; ++step) {
      now += 1us;
      const size_t count = 1 + random.below(20);
      ASSERT_TRUE(sent.reserve(count));
      sent.begin_burst(burst_at(now, sent.next_number()));
      for (size_t i = 0; i < count; ++i) {
        const bool is_ack = random.happens(0.1);
        const auto length = static_cast<uint16_t>(1 + random.below(8896));
        if (!is_ack) model[sent.next_number()] = {now, false, uint64_t{length} + 48};
        sent.add(is_ack ? SentPacket{.length = length, .kind = PacketKind::kUntracked} : data(length));
      }
      // Fewer go than come at first, so that the rings grow.
      for (uint64_t i = random.below(step < 1500 ? 16 : 24); i > 0 && !model.empty(); --i) {
        const auto at = model.lower_bound(model.begin()->first + random.below(200));
        if (at == model.end()) continue;
        if (!at->second.is_lost && random.happens(0.2)) {
          sent.on_lost(at->first);
          at->second.is_lost = true;
          continue;
        }
        ASSERT_EQ(sent.on_acked(at->first).where(), at->second.is_lost ? PacketState::kLost : PacketState::kInFlight);
        model.erase(at);
      }
      while (!model.empty() && model.begin()->second.is_lost && model.begin()->second.sent_at < now - 500us)
        model.erase(model.begin());
      sent.forget_lost(now - 500us);

      uint64_t bytes = 0, in_flight = 0;
      for (const auto& [number, entry] : model) {
        if (entry.is_lost) continue;
        bytes += entry.size;
        ++in_flight;
      }
      ASSERT_EQ(sent.in_flight(), Bytes(bytes));
      ASSERT_EQ(sent.packets_in_flight(), in_flight);
      ASSERT_LE(sent.tail(), model.empty() ? sent.next_number() : model.begin()->first);
      const uint64_t from = sent.tail() + random.below(sent.next_number() - sent.tail() + 1);
      const auto found = model.lower_bound(from);
      ASSERT_EQ(sent.find(from, sent.next_number()), found == model.end() ? sent.next_number() : found->first);
      if (found != model.end()) { ASSERT_EQ(sent.burst_of(found->first).sent_at, found->second.sent_at); }
    }
  }
}

}  // namespace
}  // namespace tideway::flow::sent_packets_test
