// SPDX-License-Identifier: Apache-2.0
#include "flow/ack_ranges.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace tideway::flow::ack_ranges_test {
namespace {

using wire::AckFrame;
using wire::PacketRange;
constexpr size_t kBits = AckRanges::kBitsMin;

std::vector<PacketRange> written(AckRanges& ranges) {
  AckFrame frame;
  ranges.write(frame);
  EXPECT_EQ(frame.largest, ranges.largest());
  EXPECT_EQ(frame.floor, ranges.floor());
  // What the peer's parser demands.
  std::vector<std::byte> bytes(8192);
  Writer out(bytes);
  wire::write_ack(out, frame);
  wire::FrameReader frames(out.written());
  EXPECT_TRUE(wire::parse_ack(frames.next().value().body));
  return {frame.received().begin(), frame.received().end()};
}

std::vector<PacketRange> ranges_of(const std::set<uint64_t>& numbers) {
  std::vector<PacketRange> ranges;
  for (auto at = numbers.rbegin(); at != numbers.rend(); ++at) {
    if (!ranges.empty() && ranges.back().first == *at + 1) ranges.back().first = *at;
    else ranges.push_back({*at, *at});
  }
  return ranges;
}

TEST(AckRanges, ANumberIsNewOnce) {
  AckRanges ranges(kBits);
  EXPECT_TRUE(ranges.is_empty());
  EXPECT_TRUE(ranges.is_new(7));
  EXPECT_TRUE(ranges.is_new(7)) << "asking changes nothing";
  EXPECT_TRUE(ranges.on_received(7));
  EXPECT_FALSE(ranges.is_empty());
  EXPECT_FALSE(ranges.is_new(7));
  EXPECT_FALSE(ranges.on_received(7));
  EXPECT_EQ(written(ranges), (std::vector<PacketRange>{{7, 7}}));
}

TEST(AckRanges, NumberZeroCounts) {
  AckRanges ranges(kBits);
  EXPECT_TRUE(ranges.on_received(0));
  EXPECT_FALSE(ranges.is_new(0));
  EXPECT_FALSE(ranges.is_empty());
  EXPECT_EQ(ranges.largest(), 0U);
  EXPECT_EQ(written(ranges), (std::vector<PacketRange>{{0, 0}}));
}

TEST(AckRanges, RangesAreToldNewestFirst) {
  AckRanges ranges(kBits);
  for (const uint64_t number : {100U, 102U, 101U, 110U, 105U, 106U}) EXPECT_TRUE(ranges.on_received(number));
  EXPECT_EQ(written(ranges), (std::vector<PacketRange>{{110, 110}, {105, 106}, {100, 102}}));
  EXPECT_EQ(ranges.largest(), 110U);
}

TEST(AckRanges, WhatIsWithinTheRingIsTakenAndWhatIsBelowIsRefused) {
  AckRanges ranges(kBits);
  const uint64_t largest = 1'000'000;
  ASSERT_TRUE(ranges.on_received(largest));
  EXPECT_TRUE(ranges.is_new(largest - kBits + 1));
  EXPECT_FALSE(ranges.is_new(largest - kBits));
  EXPECT_FALSE(ranges.is_new(0));
  EXPECT_TRUE(ranges.on_received(largest - kBits + 1));
  ASSERT_TRUE(ranges.on_received(largest + 1));  // the ring moves on by one
  EXPECT_FALSE(ranges.is_new(largest - kBits + 1)) << "forgotten, and refused for that";
  EXPECT_TRUE(ranges.is_new(largest - kBits + 2));
}

TEST(AckRanges, AJumpLeavesNothingOfTheOldNumbersBehind) {
  for (const uint64_t jump : {kBits - 1, kBits, kBits + 1, 3 * kBits + 5, size_t{1} << 40}) {
    AckRanges ranges(kBits);
    for (uint64_t number = 5000; number < 5000 + kBits; ++number) ranges.on_received(number);
    const uint64_t largest = ranges.largest() + jump;
    ASSERT_TRUE(ranges.on_received(largest));
    std::set<uint64_t> expected = {largest};
    for (uint64_t number = largest - kBits + 1; number < 5000 + kBits; ++number) expected.insert(number);
    EXPECT_EQ(written(ranges), ranges_of(expected)) << jump;
  }
}

TEST(AckRanges, ForgottenNumbersAreNotReportedButStillRefused) {
  AckRanges ranges(kBits);
  for (uint64_t number = 100; number <= 200; ++number) ranges.on_received(number);
  ranges.forget_below(150);
  EXPECT_EQ(ranges.floor(), 150U);
  EXPECT_EQ(written(ranges), (std::vector<PacketRange>{{150, 200}}));
  EXPECT_FALSE(ranges.is_new(120)) << "a replay";
  ranges.forget_below(130);
  EXPECT_EQ(ranges.floor(), 150U) << "an old FORGET takes nothing back";
}

TEST(AckRanges, AForgetOfWhatNeverCameKeepsTheFrameSound) {
  AckRanges ranges(kBits);
  ranges.on_received(100);
  ranges.forget_below(wire::kAckRangesMax + 100'000);
  EXPECT_TRUE(written(ranges).empty());
  EXPECT_LE(ranges.floor(), ranges.largest() + 1);
  ranges.forget_below(~uint64_t{0});
  EXPECT_TRUE(written(ranges).empty());
}

TEST(AckRanges, OfManyRangesTheNewestAreAlwaysToldAndTheOthersInTurn) {
  AckRanges ranges(kBits);
  std::set<uint64_t> numbers;
  for (uint64_t number = 1; number < 2000; number += 2) numbers.insert(number);
  for (const uint64_t number : numbers) ranges.on_received(number);
  const std::vector<PacketRange> all = ranges_of(numbers);
  std::set<uint64_t> told;
  const size_t rotating = wire::kAckRangesMax - AckRanges::kNewestAlways;
  for (size_t frame = 0; frame < (all.size() - AckRanges::kNewestAlways + rotating - 1) / rotating + 1; ++frame) {
    const auto ranges_now = written(ranges);
    ASSERT_LE(ranges_now.size(), wire::kAckRangesMax);
    ASSERT_GE(ranges_now.size(), AckRanges::kNewestAlways);
    ASSERT_TRUE(std::equal(all.begin(), all.begin() + AckRanges::kNewestAlways, ranges_now.begin()));
    for (const PacketRange& range : ranges_now) {
      ASSERT_TRUE(std::ranges::find(all, range) != all.end()) << range.first;
      told.insert(range.first);
    }
  }
  EXPECT_EQ(told, numbers);
}

TEST(AckRanges, RandomHistoriesMatchASetOfNumbers) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    AckRanges ranges(kBits);
    std::set<uint64_t> seen;
    uint64_t next = random.below(uint64_t{1} << 32), forgotten = 0;
    for (int step = 0; step < 3000; ++step) {
      if (random.happens(0.01)) next += random.below(3 * kBits);
      const uint64_t back = random.happens(0.7) ? 0 : random.below(2 * kBits);
      const uint64_t number = random.happens(0.9) ? next++ : next - std::min(next, back);
      const uint64_t end = seen.empty() ? 0 : *seen.rbegin() + 1;
      const bool is_news = !seen.contains(number) && number + kBits >= end;
      ASSERT_EQ(ranges.is_new(number), is_news) << number;
      ASSERT_EQ(ranges.on_received(number), is_news);
      if (is_news) seen.insert(number);
      if (random.happens(0.005)) forgotten = std::max(forgotten, *seen.rbegin() - random.below(100));
      ranges.forget_below(forgotten);
      if (step % 50 != 0) continue;
      const uint64_t largest = *seen.rbegin(), ring = largest + 1 > kBits ? largest + 1 - kBits : 0;
      ASSERT_GE(ranges.floor(), forgotten);
      ASSERT_LE(ranges.floor(), std::max(forgotten, ring)) << "what could be reported is";
      auto expected = ranges_of({seen.lower_bound(ranges.floor()), seen.end()});
      if (expected.size() > wire::kAckRangesMax) continue;
      ASSERT_EQ(written(ranges), expected);
    }
  }
}

}  // namespace
}  // namespace tideway::flow::ack_ranges_test
