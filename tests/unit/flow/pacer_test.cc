// SPDX-License-Identifier: Apache-2.0
#include "flow/pacer.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace tideway::flow::pacer_test {
namespace {

using namespace std::chrono_literals;
const Time kStart = Time{} + 1s;
constexpr Bytes kPacket(1452);

Pacer pacer_at(Rate rate) {
  Pacer pacer(kStart);
  pacer.on_rate(kStart, rate, kPacket);
  return pacer;
}

void send_all(Pacer& pacer, Time now) {
  pacer.on_wake(now);
  pacer.on_sent(pacer.available(now));
  pacer.on_wait();
}

// Sends what is available whenever asked, and asks `late` after next_send(). Returns the bytes of `time`.
Bytes sent_in(Pacer& pacer, Time start, Duration time, const std::function<Duration()>& late) {
  Bytes sent;
  for (Time now = start; now < start + time; now = std::max(now, pacer.next_send()) + late()) {
    pacer.on_wake(now);
    const Bytes available = pacer.available(now);
    pacer.on_sent(available);
    pacer.on_wait();
    sent += available;
  }
  return sent;
}

void expect_rate(Bytes sent, Rate rate, Duration time) {
  const double expected = static_cast<double>(rate.over(time).count());
  EXPECT_NEAR(static_cast<double>(sent.count()), expected, expected * 0.01) << rate.bits_per_second();
}

TEST(Pacer, TimersThatComeOnTimeGiveTheRate) {
  for (const Rate rate : {10_Mbit, 1_Gbit, 10_Gbit, 100_Gbit}) {
    Pacer pacer = pacer_at(rate);
    expect_rate(sent_in(pacer, kStart, 2s, [] { return Duration(1); }), rate, 2s);
  }
}

TEST(Pacer, TimersThatComeLateDoNotCapTheRate) {
  for (const Duration late : {100us, 300us, 1000us}) {
    for (const Rate rate : {100_Mbit, 1_Gbit, 10_Gbit}) {
      Random random(7);
      Pacer pacer = pacer_at(rate);
      sent_in(pacer, kStart, 1s, [&] { return Duration(random.below(uint64_t(late.count()))); });  // it learns how late
      pacer.on_rate(kStart + 1s, rate, kPacket);
      const Time start = std::max(kStart + 1s, pacer.next_send());
      expect_rate(sent_in(pacer, start, 1s, [&] { return Duration(random.below(uint64_t(late.count()))); }), rate, 1s);
    }
  }
}

TEST(Pacer, ABusyHostDoesNotCapALowRate) {
  for (const Rate rate : {1_Mbit, 16_Mbit}) {
    Random random(7);
    Pacer pacer = pacer_at(rate);
    sent_in(pacer, kStart, 2s, [&] { return Duration(random.below(30'000'000)); });  // it learns how late
    const Time start = std::max(kStart + 2s, pacer.next_send());
    expect_rate(sent_in(pacer, start, 10s, [&] { return Duration(random.below(30'000'000)); }), rate, 10s);
  }
}

TEST(Pacer, WhatWaitedForAGateSaysNothingOfTimers) {
  Pacer pacer = pacer_at(16_Mbit);
  const Bytes bucket = pacer.available(kStart + 1s);
  send_all(pacer, kStart + 1s);
  pacer.on_hold();
  send_all(pacer, pacer.next_send() + 400ms);
  EXPECT_EQ(pacer.available(kStart + 5s), bucket);
  pacer.on_wake(pacer.next_send() + 20ms);
  EXPECT_GT(pacer.available(kStart + 9s), bucket);
}

TEST(Pacer, NothingLeavesBeforeAQuantumHasComeTogether) {
  Pacer pacer = pacer_at(1_Gbit);  // 200 us of it are 25,000 bytes
  send_all(pacer, kStart + 1s);
  ASSERT_EQ(pacer.available(kStart + 1s), Bytes());
  const Time next = pacer.next_send();
  EXPECT_NEAR(double((next - (kStart + 1s)).count()), 200'000, 10);
  EXPECT_EQ(pacer.available(next - 1us), Bytes());
  EXPECT_GE(pacer.available(next), Bytes(25'000));
}

TEST(Pacer, AQuantumIsAtLeastAPacketAndNeverALongBurst) {
  const auto quantum_of = [](Rate rate) {
    Pacer pacer = pacer_at(rate);
    send_all(pacer, kStart + 1s);
    return pacer.available(pacer.next_send());
  };
  EXPECT_GE(quantum_of(1_Mbit), kPacket);
  EXPECT_LT(quantum_of(1_Mbit), kPacket * 2);
  EXPECT_GE(quantum_of(1_Gbit), kPacket * 16) << "a wake-up costs as much as several packets";
  EXPECT_LT(quantum_of(1_Gbit), kPacket * 20);
  EXPECT_GE(quantum_of(100_Gbit), Bytes(45'000));
  EXPECT_LT(quantum_of(100_Gbit), Bytes(60'000)) << "32 packets";
}

TEST(Pacer, AnIdleFlowMaySendOneBucketAtOnce) {
  Pacer pacer = pacer_at(1_Gbit);
  const Bytes bucket = pacer.available(kStart + 1s);
  EXPECT_GE(bucket, Bytes(25'000)) << "a quantum";
  EXPECT_LE(bucket, Bytes(25'000) + (1_Gbit).over(2 * Pacer::kWakeLatencyStart) + Bytes(1));
  EXPECT_EQ(pacer.available(kStart + 1h), bucket) << "not more after a long time";
}

TEST(Pacer, NeverLetsMoreThanABucketAboveTheRateLeave) {
  Random random(3);
  Pacer pacer = pacer_at(1_Gbit);
  const Bytes bucket_max = Pacer::kQuantumMax + (1_Gbit).over(2 * Pacer::kWakeLatencyMax);
  Bytes sent;
  for (Time now = kStart; now < kStart + 1s; now += Duration(random.below(3'000'000))) {
    pacer.on_wake(now);
    const Bytes available = pacer.available(now);
    pacer.on_sent(available);
    sent += available;
    ASSERT_LE(sent, (1_Gbit).over(now - kStart) + bucket_max);
  }
}

TEST(Pacer, WhatIsSentWithoutAskingEmptiesTheBucketAndNoMore) {
  Pacer pacer = pacer_at(1_Gbit);
  const Time now = kStart + 1s;
  pacer.on_wake(now);
  pacer.on_sent(pacer.available(now) + Bytes(125'000));
  EXPECT_NEAR(double((pacer.next_send() - now).count()), 200'000, 10);
}

TEST(Pacer, WithoutALimitEverythingIsAvailable) {
  Pacer pacer = pacer_at(Rate::unlimited());
  for (int i = 0; i < 3; ++i) {
    pacer.on_wake(kStart);
    EXPECT_GE(pacer.available(kStart), Bytes(uint64_t{1} << 40));
    EXPECT_LE(pacer.next_send(), kStart);
    pacer.on_sent(Bytes(uint64_t{1} << 40));
  }
}

TEST(Pacer, ANewRateHoldsFromItsTimeOn) {
  Pacer pacer = pacer_at(1_Gbit);
  const Time now = kStart + 1s;
  send_all(pacer, now);
  pacer.on_rate(now, 10_Mbit, kPacket);
  EXPECT_EQ(pacer.available(now + 50us), Bytes());
  EXPECT_NEAR(double((pacer.next_send() - now).count()), 1452 * 800.0, 1000);
  pacer.on_rate(now, 10_Gbit, kPacket);
  EXPECT_LE(pacer.next_send(), now + 51us);
}

TEST(Pacer, AStallIsNoHabit) {
  Pacer pacer = pacer_at(1_Gbit);
  send_all(pacer, kStart + 1s);
  pacer.on_wake(pacer.next_send() + 5s);
  pacer.on_rate(kStart + 7s, 1_Gbit, kPacket);
  EXPECT_LE(pacer.available(kStart + 8s), Bytes(25'000) + (1_Gbit).over(2 * Pacer::kWakeLatencyMax) + Bytes(1));
}

TEST(Pacer, ATrainLeavesAtOnceAndTheRateStaysTheSame) {
  constexpr Rate kRate = 30_Mbit;
  Pacer pacer(kStart);
  pacer.on_rate(kStart, kRate, kPacket, 64_KiB);
  EXPECT_GE(pacer.available(kStart), 64_KiB);
  send_all(pacer, kStart);
  EXPECT_EQ(pacer.available(kStart + kRate.time_for(60_KiB)), Bytes()) << "not before a train has come together";
  EXPECT_GE(pacer.available(kStart + kRate.time_for(65_KiB)), 64_KiB);
  expect_rate(sent_in(pacer, kStart + 1ms, 20s, [] { return Duration(1); }), kRate, 20s);
}

TEST(Pacer, ALongTrainMayLeaveInSeveralBursts) {
  Pacer pacer(kStart);
  pacer.on_rate(kStart, 30_Mbit, kPacket, 256_KiB);
  ASSERT_FALSE(pacer.is_in_train());
  pacer.on_data_sent(kPacket * 60);
  EXPECT_TRUE(pacer.is_in_train());
  EXPECT_EQ(pacer.available(kStart), 256_KiB - kPacket * 60) << "and no more: then the next one has to come together";
  EXPECT_LE(pacer.next_send(), kStart);
  pacer.on_data_sent(pacer.available(kStart));
  EXPECT_FALSE(pacer.is_in_train());
  EXPECT_GT(pacer.next_send(), kStart + (30_Mbit).time_for(250_KiB));
}

TEST(Pacer, AnAckOrAProbeBeginsNoTrain) {
  Pacer pacer(kStart);
  pacer.on_rate(kStart, 30_Mbit, kPacket, 256_KiB);
  pacer.on_sent(100_B);
  EXPECT_FALSE(pacer.is_in_train());
}

}  // namespace
}  // namespace tideway::flow::pacer_test
