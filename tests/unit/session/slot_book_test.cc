// SPDX-License-Identifier: Apache-2.0
#include "session/slot_book.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

using std::chrono::seconds;
const Time kStart = Time(seconds(100));

TEST(SlotBook, OurSlotsRise) {
  SlotBook book;
  EXPECT_EQ(book.take(kStart), SlotId(0));
  book.give_back(kStart, SlotId(0));
  EXPECT_EQ(book.take(kStart), SlotId(1));
}

TEST(SlotBook, APeerMayNotChooseASlotInUseOrUsedWithinAMinute) {
  SlotBook book;
  EXPECT_TRUE(book.claim(kStart, SlotId(7)));
  EXPECT_FALSE(book.claim(kStart + seconds(300), SlotId(7)));
  book.give_back(kStart, SlotId(7));
  EXPECT_FALSE(book.claim(kStart + seconds(59), SlotId(7)));
  EXPECT_TRUE(book.claim(kStart + seconds(60), SlotId(7)));
}

TEST(SlotBook, AfterTheLastSlotTheFirstComesAgainUnlessItIsInUse) {
  SlotBook book;
  ASSERT_EQ(book.take(kStart), SlotId(0));
  for (uint32_t i = 1; i <= 0xFFFF; ++i) {
    const auto slot = book.take(kStart);
    ASSERT_TRUE(slot.has_value());
    if (i != 5) book.give_back(kStart, *slot);
  }
  EXPECT_EQ(book.take(kStart + seconds(1)), std::nullopt);
  EXPECT_EQ(book.take(kStart + seconds(60)), SlotId(1)) << "0 is still in use";
}

}  // namespace
}  // namespace tideway::session
