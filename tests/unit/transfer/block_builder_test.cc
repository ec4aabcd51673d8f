// SPDX-License-Identifier: Apache-2.0
#include "transfer/block_builder.h"

#include <gtest/gtest.h>

namespace tideway::transfer {
namespace {

using More = BlockBuilder::More;
const BlockBuilder::Wanted kAll = [](ObjectId) { return true; };

// Behind the small blocks of a start.
BlockBuilder builder_under_way() {
  BlockBuilder builder;
  builder.add_object(ObjectId(0), 16_MiB);
  while (builder.next(More::kNothingAtHand, kAll)) {}
  return builder;
}

TEST(BlockBuilder, ALargeObjectBecomesOneBlockPerLeaf) {
  BlockBuilder builder;
  builder.add_object(ObjectId(1), 9_MiB);
  for (uint32_t leaf = 0; leaf < 3; ++leaf) {
    const auto plan = builder.next(More::kNothingAtHand, kAll);
    ASSERT_TRUE(plan);
    ASSERT_EQ(plan->leaves.size(), 1U);
    EXPECT_EQ(plan->leaves[0].leaf, leaf);
    EXPECT_EQ(plan->raw_size, leaf < 2 ? 4U << 20 : 1U << 20);
    EXPECT_EQ(plan->key, (BlockKey{SlotId(0), BlockId(leaf)}));
  }
  EXPECT_TRUE(builder.is_empty());
}

TEST(BlockBuilder, SmallObjectsShareABlockUpToTheSegmentLimit) {
  BlockBuilder builder;
  for (uint32_t i = 0; i < 5000; ++i) builder.add_object(ObjectId(i), 10_B);
  const auto first = builder.next(More::kComing, kAll);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->leaves.size(), kSegmentsMax);
  EXPECT_EQ(first->leaves[7].at, 70U);
  EXPECT_FALSE(builder.next(More::kComing, kAll)) << "the rest waits for more";
  EXPECT_EQ(builder.next(More::kNothingAtHand, kAll)->leaves.size(), 5000 - kSegmentsMax);
}

TEST(BlockBuilder, TheFirstBlocksOfSmallObjectsAreSmallAndGrow) {
  BlockBuilder builder;
  for (uint32_t i = 0; i < 1000; ++i) builder.add_object(ObjectId(i), 16_KiB);
  std::vector<uint32_t> sizes;
  while (const auto plan = builder.next(More::kComing, kAll)) sizes.push_back(plan->raw_size >> 10);
  EXPECT_EQ(sizes, (std::vector<uint32_t>{256, 512, 1024, 2048, 4096, 4096}));
  EXPECT_EQ(builder.next(More::kNothingAtHand, kAll)->raw_size, (16'000U - 12'032U) << 10);
}

TEST(BlockBuilder, ASegmentNeverCrossesTheEndOfABlock) {
  BlockBuilder builder = builder_under_way();
  builder.add_object(ObjectId(1), 3_MiB);
  builder.add_object(ObjectId(2), 3_MiB);
  EXPECT_EQ(builder.next(More::kComing, kAll)->leaves.size(), 1U);
  EXPECT_FALSE(builder.next(More::kComing, kAll));
}

TEST(BlockBuilder, ARejectedLeafGoesFirstInANewBlock) {
  BlockBuilder builder;
  builder.add_object(ObjectId(1), 8_MiB);
  const auto first = builder.next(More::kComing, kAll);
  builder.add_again(first->leaves[0]);
  const auto again = builder.next(More::kComing, kAll);
  EXPECT_EQ(again->leaves[0].leaf, 0U);
  EXPECT_NE(again->key, first->key);
}

TEST(BlockBuilder, AnObjectThatIsNotWantedAnyMoreLeavesTheOthersAlone) {
  BlockBuilder builder = builder_under_way();
  builder.add_object(ObjectId(1), 9_MiB);
  builder.add_object(ObjectId(2), 1_MiB);
  builder.add_object(ObjectId(3), 1_MiB);
  const auto first = builder.next(More::kComing, kAll);
  ASSERT_TRUE(first);
  builder.add_again(first->leaves[0]);
  const auto rest = builder.next(More::kNothingAtHand, [](ObjectId object) { return object != ObjectId(1); });
  ASSERT_TRUE(rest);
  ASSERT_EQ(rest->leaves.size(), 2U);
  EXPECT_EQ(rest->leaves[0].object, ObjectId(2));
  EXPECT_EQ(rest->leaves[1].object, ObjectId(3));
  EXPECT_TRUE(builder.is_empty());
}

TEST(BlockBuilder, AMillionUnwantedObjectsCostOnePass) {
  BlockBuilder builder;
  constexpr uint32_t kObjects = 1'000'000;
  for (uint32_t i = 0; i < kObjects; ++i) builder.add_object(ObjectId(i), 1_B);
  uint32_t asked = 0;
  const auto last_only = [&](ObjectId object) {
    asked += 1;
    return object.value() == kObjects - 1;
  };
  EXPECT_EQ(builder.next(More::kNothingAtHand, last_only)->leaves.size(), 1U);
  EXPECT_FALSE(builder.next(More::kNothingAtHand, last_only));
  EXPECT_EQ(builder.blocks_made(), 1U);
  EXPECT_LE(asked, kObjects + 1);
}

}  // namespace
}  // namespace tideway::transfer
