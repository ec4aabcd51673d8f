// SPDX-License-Identifier: Apache-2.0
#include "engine/doorbell.h"

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
