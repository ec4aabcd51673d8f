// SPDX-License-Identifier: Apache-2.0
#include "wan/delay_store.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace tideway::wan {
namespace {

using namespace std::chrono_literals;

void add(DelayStore& store, Duration due, uint8_t mark, Order order = Order::kKept) {
  const auto room = store.add(Time(due), 100, order);
  ASSERT_TRUE(room);
  std::ranges::fill(*room, std::byte{mark});
}

int take(DelayStore& store, Duration now) {
  const auto frame = store.front(Time(now));
  if (!frame) return 0;
  const auto mark = static_cast<uint8_t>(frame->front());
  store.pop();
  return mark;
}

TEST(DelayStore, AFrameComesOutWhenItIsDueAndNotBefore) {
  DelayStore store(64_KiB);
  add(store, 5ms, 1);
  EXPECT_EQ(store.next_deadline(), Time(5ms));
  EXPECT_FALSE(store.front(Time(5ms - 1ns)));
  EXPECT_EQ(take(store, 5ms), 1);
  EXPECT_TRUE(store.is_empty());
  EXPECT_EQ(store.next_deadline(), kNever);
}

TEST(DelayStore, AnOvertakenFrameComesOutAtItsOwnTime) {
  DelayStore store(64_KiB);
  add(store, 9ms, 1, Order::kOvertaken);
  add(store, 5ms, 2);
  add(store, 7ms, 3, Order::kOvertaken);
  add(store, 8ms, 4);
  for (const int mark : {2, 3, 4, 1}) EXPECT_EQ(take(store, 10ms), mark);
}

TEST(DelayStore, FullMeansNoRoomUntilTheOldestIsGone) {
  DelayStore store(1_KiB);
  int added = 0;
  while (store.add(Time(), 100, Order::kKept)) ++added;
  EXPECT_EQ(added, 8);  // 128 bytes each with the slot
  store.pop();
  EXPECT_TRUE(store.add(Time(), 100, Order::kKept));
  EXPECT_FALSE(store.add(Time(), 100, Order::kKept));
  EXPECT_FALSE(DelayStore(1_KiB).add(Time(), 1020, Order::kKept));
}

TEST(DelayStore, ARandomHistoryMatchesASortedList) {
  Random random(42);
  DelayStore store(32_KiB);
  std::multimap<int64_t, std::pair<uint8_t, size_t>> model;
  int64_t in_order = 0;
  for (int step = 0; step < 50'000; ++step) {
    if (random.happens(0.55)) {
      const bool late = random.happens(0.1);
      in_order += static_cast<int64_t>(1 + random.below(10));
      const int64_t due = in_order + (late ? static_cast<int64_t>(random.below(500)) : 0);
      const size_t size = 1 + random.below(2000);
      const auto mark = static_cast<uint8_t>(random.below(256));
      const auto room = store.add(Time(Duration(due)), size, late ? Order::kOvertaken : Order::kKept);
      if (!room) continue;
      ASSERT_EQ(room->size(), size);
      std::ranges::fill(*room, std::byte{mark});
      model.emplace(due, std::pair(mark, size));
    } else if (!model.empty()) {
      ASSERT_EQ(store.next_deadline(), Time(Duration(model.begin()->first)));
      const auto frame = store.front(kNever);
      ASSERT_TRUE(frame);
      const auto [first, last] = model.equal_range(model.begin()->first);  // equal times come in any order
      const auto same = std::find_if(first, last, [&](const auto& entry) {
        return entry.second == std::pair(static_cast<uint8_t>(frame->front()), frame->size());
      });
      ASSERT_NE(same, last);
      EXPECT_EQ(frame->front(), frame->back());
      model.erase(same);
      store.pop();
    }
    ASSERT_EQ(store.frames(), model.size());
  }
}

}  // namespace
}  // namespace tideway::wan
