// SPDX-License-Identifier: Apache-2.0
#include "mem/buffer_pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tideway {
namespace {

TEST(BufferPool, AnEmptyPoolLendsNothingUntilOneComesHome) {
  auto pool = BufferPool::create(2).value();
  Buffer a = pool->take(), b = pool->take();
  EXPECT_FALSE(b.is_empty());
  EXPECT_TRUE(pool->take().is_empty());
  a.reset();
  EXPECT_EQ(pool->free(), 1U);
  EXPECT_FALSE(pool->take().is_empty());
}

TEST(BufferPool, P08WhatTheKernelHasNoRoomForIsRefusedAtTheStart) {
  constexpr uint32_t kOfMoreThanThereIs = uint32_t{1} << 31;  // 2^53 bytes, and there are 2^47 addresses
  const auto pool = BufferPool::create(kOfMoreThanThereIs);
  ASSERT_FALSE(pool.ok());
  EXPECT_EQ(pool.error().fault, Fault::kNoMemory);
  EXPECT_NE(pool.error().next, "");
}

TEST(BufferPool, DataIsPageAlignedBehindTheHeadRoom) {
  auto pool = BufferPool::create(3).value();
  Buffer first = pool->take(), second = pool->take();
  for (const Buffer* buffer : {&first, &second}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data().data()) % 4096, 0U);
    EXPECT_EQ(buffer->data().size(), kLeafSize.count());
  }
}

TEST(BufferPool, BuffersDroppedOnForeignThreadsComeHome) {
  auto pool = BufferPool::create(8).value();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        Buffer buffer = pool->take();
        if (!buffer.is_empty()) buffer.data()[0] = std::byte{1};
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool->free(), 8U);
}

}  // namespace
}  // namespace tideway
