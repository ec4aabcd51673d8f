// SPDX-License-Identifier: Apache-2.0
#include "flow/ack_schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace tideway::flow::ack_schedule_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;
constexpr Bytes kPacket(1200);

struct AckScheduleTest : testing::Test {
  AckSchedule schedule;
  Time now = kStart;
  Duration rtt = 100ms;

  void arrive(Arrival arrival = {.size = kPacket, .is_ack_eliciting = true}) { schedule.on_packet(now, arrival, rtt); }
  bool ack_if_due() {
    if (!schedule.is_due(now)) return false;
    schedule.on_ack_sent();
    return true;
  }
  // A flow of which more is known than of a new one.
  void warm_up() {
    for (uint64_t i = 0; i < AckSchedule::kEager + AckSchedule::kPackets; ++i) {
      now += 1ms;  // 9.6 Mbit/s
      arrive();
      ack_if_due();
    }
    schedule.on_ack_sent();
    now += 1s;
  }
  // Packets between acks while `size` arrives each `interval` for `time`; the last half of it counts.
  std::vector<int> counts_between_acks(Bytes size, Duration interval, Duration time) {
    std::vector<int> counts;
    int count = 0;
    for (const Time start = now; now < start + time; now += interval) {
      arrive({.size = size, .is_ack_eliciting = true});
      ++count;
      if (!ack_if_due()) continue;
      if (now > start + time / 2) counts.push_back(count);
      count = 0;
    }
    return counts;
  }
};

TEST_F(AckScheduleTest, NothingIsDueBeforeSomethingCame) {
  EXPECT_EQ(schedule.next_deadline(), kNever);
  arrive({.size = kPacket, .is_ack_eliciting = false});
  EXPECT_EQ(schedule.next_deadline(), kNever) << "acks are not acked";
}

TEST_F(AckScheduleTest, OfTheFirstHundredPacketsEverySecondIsAcked) {
  for (uint64_t i = 1; i <= AckSchedule::kEager; ++i) {
    arrive();
    EXPECT_EQ(ack_if_due(), i % 2 == 0) << i;
  }
}

TEST_F(AckScheduleTest, ThenAnAckIsDueAfter64Packets) {
  warm_up();
  for (uint64_t i = 1; i < AckSchedule::kPackets; ++i) {
    arrive({.size = Bytes(100), .is_ack_eliciting = true});
    EXPECT_FALSE(schedule.is_due(now)) << i;
  }
  arrive({.size = Bytes(100), .is_ack_eliciting = true});
  EXPECT_TRUE(schedule.is_due(now));
  schedule.on_ack_sent();
  EXPECT_EQ(schedule.next_deadline(), kNever);
}

TEST_F(AckScheduleTest, OrAfter64KiB) {
  warm_up();
  for (int i = 1; i <= 7; ++i) {
    arrive({.size = Bytes(9000), .is_ack_eliciting = true});
    EXPECT_FALSE(schedule.is_due(now)) << i;
  }
  arrive({.size = Bytes(9000), .is_ack_eliciting = true});
  EXPECT_TRUE(schedule.is_due(now));
}

TEST_F(AckScheduleTest, OneSlowPacketIsAckedWithinAQuarterOfARoundTrip) {
  warm_up();
  rtt = 40ms;
  arrive();
  EXPECT_FALSE(schedule.is_due(now));
  EXPECT_EQ(schedule.next_deadline(), now + 10ms);
  const Time due = schedule.next_deadline();
  now += 5ms;
  arrive();
  EXPECT_EQ(schedule.next_deadline(), due) << "a second packet does not put it off";
}

TEST_F(AckScheduleTest, ButNeverLaterThanTheLongestDelay) {
  warm_up();
  rtt = 300ms;
  arrive();
  EXPECT_EQ(schedule.next_deadline(), now + AckSchedule::kDelayMax);
  EXPECT_EQ(AckSchedule::delay_max(300ms), AckSchedule::kDelayMax);
  EXPECT_EQ(AckSchedule::delay_max(40ms), 10ms);
}

TEST_F(AckScheduleTest, APacketThatWantsItIsAckedAtOnce) {
  warm_up();
  arrive({.size = kPacket, .is_ack_eliciting = true, .wants_ack_now = true});
  EXPECT_TRUE(schedule.is_due(now));
}

TEST_F(AckScheduleTest, AHoleIsToldAtOnceButNotManyTimesInARoundTrip) {
  warm_up();
  rtt = 64ms;
  const Arrival hole{.size = kPacket, .is_ack_eliciting = true, .opens_hole = true};
  arrive(hole);
  EXPECT_TRUE(ack_if_due());
  now += 1ms;
  arrive(hole);
  EXPECT_FALSE(ack_if_due()) << "an RTT / 32 is 2 ms";
  now += 1ms;
  arrive(hole);
  EXPECT_TRUE(ack_if_due());
}

TEST_F(AckScheduleTest, AHoleBetweenTheFirstPacketsIsToldAtOnce) {
  arrive({.size = kPacket, .is_ack_eliciting = true, .opens_hole = true});
  EXPECT_TRUE(schedule.is_due(now));
}

TEST_F(AckScheduleTest, Above1GbitAnAckWaitsAtMostAMillisecond) {
  warm_up();
  counts_between_acks(kPacket, 5us, 40ms);  // 1.9 Gbit/s
  schedule.on_ack_sent();
  arrive();
  EXPECT_EQ(schedule.next_deadline(), now + AckSchedule::kDelayPrompt);
  schedule.on_ack_sent();
  rtt = 1ms;
  arrive();
  EXPECT_EQ(schedule.next_deadline(), now + 250us) << "four per round trip";
}

TEST_F(AckScheduleTest, OfAFastFlowAcksAreRarer) {
  warm_up();
  for (const int count : counts_between_acks(Bytes(1400), 1us, 60ms)) EXPECT_EQ(count, 256);  // 11.2 Gbit/s
  for (const int count : counts_between_acks(Bytes(1456), 25us, 120ms)) EXPECT_EQ(count, 256) << "466 Mbit/s, of two flows on a Gigabit";
  for (const int count : counts_between_acks(Bytes(8944), 7us, 60ms)) EXPECT_EQ(count, 59) << "512 KiB";
  now += 1s;
  counts_between_acks(kPacket, 100us, 60ms);
  for (const int count : counts_between_acks(kPacket, 100us, 60ms)) EXPECT_LE(count, 64) << "slow again";
}

}  // namespace
}  // namespace tideway::flow::ack_schedule_test
