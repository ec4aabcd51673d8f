// SPDX-License-Identifier: Apache-2.0
#include "storage/request_slots.h"

#include <gtest/gtest.h>

namespace tideway::storage {
namespace {

TEST(RequestSlots, AnswersNobodyFetchesTakeRoomToo) {
  RequestSlots slots;
  for (uint32_t i = 0; i < kInFlightMax / 2; ++i) slots.answer(i, success());
  for (uint32_t i = 0; i < kInFlightMax / 2; ++i) slots.take({StoreOp::kRead, 100 + i, {}, {}, {}});
  EXPECT_FALSE(slots.has_room());
  StoreDone done{0, success()};
  ASSERT_EQ(slots.take_done({&done, 1}), 1U);
  EXPECT_EQ(done.token, 0U);
  EXPECT_TRUE(slots.has_room());
}

TEST(RequestSlots, ASlotIsAnsweredWithItsToken) {
  RequestSlots slots;
  const uint32_t index = slots.take({StoreOp::kWrite, 42, {}, {}, {}});
  EXPECT_EQ(slots.used(), 1U);
  slots.finish(index, Error{Fault::kDestIo, "", ""});
  EXPECT_EQ(slots.used(), 0U);
  StoreDone done{0, success()};
  ASSERT_EQ(slots.take_done({&done, 1}), 1U);
  EXPECT_EQ(done.token, 42U);
  EXPECT_FALSE(done.status.ok());
}

}  // namespace
}  // namespace tideway::storage
