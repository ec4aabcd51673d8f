// SPDX-License-Identifier: Apache-2.0
#include "ip/outbox.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <deque>

namespace tideway::ip {
namespace {

using namespace std::chrono_literals;
using Use = ReplyLimit::Use;

TEST(Outbox, GivesFramesBackInOrderThroughManyTurns) {
  Outbox outbox;
  for (int turn = 0; turn < 100; ++turn) {
    for (int i = 0; i < 5; ++i) {
      const auto room = outbox.room();
      ASSERT_TRUE(room);
      ASSERT_EQ(room->size(), kOutboxFrameMax);
      room->front() = static_cast<std::byte>(i);
      outbox.push(static_cast<size_t>(60 + i));
    }
    for (int i = 0; i < 5; ++i) {
      ASSERT_EQ(outbox.front().size(), static_cast<size_t>(60 + i));
      ASSERT_EQ(outbox.front().front(), static_cast<std::byte>(i));
      outbox.pop();
    }
    ASSERT_TRUE(outbox.is_empty());
  }
}

TEST(Outbox, FullMeansNoRoom) {
  Outbox outbox;
  for (size_t i = 0; i < kOutboxFrames; ++i) {
    ASSERT_TRUE(outbox.room());
    outbox.push(60);
  }
  EXPECT_FALSE(outbox.room());
  outbox.pop();
  EXPECT_TRUE(outbox.room());
}

TEST(ReplyLimit, NoSecondHoldsMoreThanAHundredHoweverTheyCome) {
  Random random(5);
  ReplyLimit limit;
  std::deque<Time> window;
  Time now{};
  size_t most = 0;
  for (int step = 0; step < 200'000; ++step) {
    now += Duration(random.below(random.happens(0.001) ? 2'000'000'000 : 500'000));
    if (!limit.allows(now, Use::kResolution)) continue;
    limit.on_reply(now);
    window.push_back(now);
    while (window.front() <= now - 1s) window.pop_front();
    most = std::max(most, window.size());
  }
  EXPECT_LE(most, 100U);
  EXPECT_GT(most, 90U);
}

TEST(ReplyLimit, EchoesLeaveSomeForResolution) {
  ReplyLimit limit;
  const Time now{5s};
  int echoes = 0, resolutions = 0;
  for (; limit.allows(now, Use::kEcho); ++echoes) limit.on_reply(now);
  for (; limit.allows(now, Use::kResolution); ++resolutions) limit.on_reply(now);
  EXPECT_EQ(echoes, 15);
  EXPECT_EQ(resolutions, 5);
}

}  // namespace
}  // namespace tideway::ip
