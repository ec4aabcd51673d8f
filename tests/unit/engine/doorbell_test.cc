// SPDX-License-Identifier: Apache-2.0
#include "engine/doorbell.h"

#include "base/clock.h"
#include "base/spsc_ring.h"

#include <gtest/gtest.h>

#include <poll.h>
#include <unistd.h>

#include <thread>

namespace tideway::engine {
namespace {

using namespace std::chrono_literals;

bool is_readable(int fd) {
  pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&watched, 1, 0) == 1;
}

TEST(Doorbell, RingReachesOnlyASleeperThatArmed) {
  const auto bell = Doorbell::create().value();
  bell->ring();
  EXPECT_FALSE(is_readable(bell->fd()));
  bell->arm();
  EXPECT_FALSE(is_readable(bell->fd()));
  bell->ring();
  EXPECT_TRUE(is_readable(bell->fd()));
}

TEST(Doorbell, DisarmTakesTheRingBack) {
  const auto bell = Doorbell::create().value();
  bell->arm();
  bell->ring();
  bell->ring();
  bell->disarm();
  EXPECT_FALSE(is_readable(bell->fd()));
  bell->ring();
  EXPECT_FALSE(is_readable(bell->fd()));
  bell->arm();
  EXPECT_FALSE(is_readable(bell->fd())) << "a ring while awake must not wake the next sleep";
}

TEST(Doorbell, SleepEndsWhenTheOtherDescriptorIsReadable) {
  const auto bell = Doorbell::create().value();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  bell->arm();
  bell->sleep(1h, {ends[0], -1});  // an hour would end in the test's own timeout
  bell->disarm();
  EXPECT_TRUE(is_readable(ends[0]));
  close(ends[0]);
  close(ends[1]);
}

TEST(Doorbell, ASleepEndsInTime) {
  const auto bell = Doorbell::create().value();
  for (const Duration length : {Duration(5ms), Duration(1ms), Duration(3ms)}) {
    const Time start = read_clock();
    bell->arm();
    bell->sleep(length);
    bell->disarm();
    EXPECT_GE(read_clock() - start, length);
  }
  EXPECT_EQ(bell->alarms_set(), 3U);
  bell->sleep(0ms);  // would hang if it waited
}

TEST(Doorbell, SleepsThatPacketsEndShareAnAlarm) {
  const auto bell = Doorbell::create().value();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  for (int i = 0; i < 10; ++i) bell->sleep(1h, {ends[0], -1});
  EXPECT_EQ(bell->alarms_set(), 1U);
  bell->sleep(1min, {ends[0], -1});
  EXPECT_EQ(bell->alarms_set(), 2U) << "the next deadline is nearer";
  close(ends[0]);
  close(ends[1]);
}

TEST(Doorbell, AnAlarmThatHasRungEndsNoLaterSleep) {
  const auto bell = Doorbell::create().value();
  bell->sleep(1ms);
  const Time start = read_clock();
  bell->sleep(20ms);
  EXPECT_GE(read_clock() - start, 20ms);
}

TEST(Doorbell, NoRingIsLostBetweenTwoThreads) {
  constexpr int kValues = 20000;
  const auto bell = Doorbell::create().value();
  SpscRing<int> ring(4);
  std::thread worker([&] {
    for (int i = 0; i < kValues; ++i) {
      while (!ring.push(int{i})) std::this_thread::yield();
      bell->ring();
    }
  });
  int expected = 0;
  while (expected < kValues) {
    bell->arm();
    if (ring.is_empty()) bell->sleep(1h);  // a lost ring hangs here
    bell->disarm();
    while (const auto value = ring.pop()) EXPECT_EQ(*value, expected++);
  }
  worker.join();
  EXPECT_EQ(expected, kValues);
}

}  // namespace
}  // namespace tideway::engine
