// SPDX-License-Identifier: Apache-2.0
#include "base/spsc_ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace tideway {
namespace {

TEST(SpscRing, FullRingLeavesTheValueWithTheCaller) {
  SpscRing<std::unique_ptr<int>> ring(2);
  EXPECT_TRUE(ring.push(std::make_unique<int>(1)));
  EXPECT_TRUE(ring.push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_TRUE(ring.is_full());
  EXPECT_FALSE(ring.push(std::move(third)));
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(**ring.pop(), 1);
  EXPECT_TRUE(ring.push(std::move(third)));
}

TEST(SpscRing, WhatIsLeftInsideEndsWithIt) {
  const auto counted = std::make_shared<int>(1);
  {
    SpscRing<std::shared_ptr<int>> ring(2);
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(ring.push(std::shared_ptr(counted)));
      if (i < 1) {
        EXPECT_EQ(ring.pop(), counted);
      }
    }
    EXPECT_EQ(counted.use_count(), 3);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(SpscRing, TwoThreadsSeeEveryValueOnceAndInOrder) {
  SpscRing<uint64_t> ring(8);
  constexpr uint64_t kCount = 100'000;
  std::thread producer([&] {
    for (uint64_t i = 0; i < kCount;)
      if (ring.push(uint64_t{i})) ++i; else std::this_thread::yield();
  });
  for (uint64_t expected = 0; expected < kCount;) {
    const auto value = ring.pop();
    if (!value) { std::this_thread::yield(); continue; }
    ASSERT_EQ(*value, expected);
    ++expected;
  }
  producer.join();
  EXPECT_TRUE(ring.is_empty());
}

}  // namespace
}  // namespace tideway
