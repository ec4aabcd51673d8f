// SPDX-License-Identifier: Apache-2.0
#include "transfer/leaf_deal.h"

#include <gtest/gtest.h>

namespace tideway::transfer {
namespace {

const ObjectId kMeta{1}, kLarge{2}, kLarger{3};

// A small file, one of 40 leaves, one of 100 and a bit.
LeafDeal some_deal() {
  LeafDeal deal;
  deal.add(kLarge, kLeafSize * 40, {{kLarge, 0, 40}});
  deal.add(kMeta, 100_B, {{kMeta, 0, 1}});
  deal.add(kLarger, kLeafSize * 100 + 5_B, {{kLarger, 0, 101}});
  return deal;
}

TEST(LeafDeal, SmallFilesComeFirstThenTheLargest) {
  LeafDeal deal = some_deal();
  const auto batch = deal.take(0, 2);
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch[0], (LeafRun{kMeta, 0, 1}));
  EXPECT_EQ(batch[1].object, kLarger);
  EXPECT_EQ(batch[1].first, 0u);
  EXPECT_GE(deal.size_of(batch[1]), kBatchBytesMin);
}

TEST(LeafDeal, EveryLeafIsGivenOnceAndBatchesShrink) {
  LeafDeal deal = some_deal();
  std::map<ObjectId, uint64_t> given;
  Bytes before = deal.left();
  const Bytes all = deal.left();
  Bytes sum;
  for (SourceNumber source = 0; !deal.is_empty(); source ^= 1) {
    Bytes bytes;
    for (const LeafRun& run : deal.take(source, 2)) {
      ASSERT_LT(run.first, run.end);
      given[run.object] += run.end - run.first;
      bytes += deal.size_of(run);
    }
    ASSERT_GT(bytes, 0_B);
    EXPECT_LE(bytes, std::max(before, kBatchBytesMin) + kLeafSize);
    before = bytes;
    sum += bytes;
  }
  EXPECT_EQ(sum, all);
  EXPECT_EQ(given, (std::map<ObjectId, uint64_t>{{kMeta, 1}, {kLarge, 40}, {kLarger, 101}}));
  EXPECT_EQ(deal.left(), 0_B);
}

TEST(LeafDeal, OneFileAtLeastIsLeftOutOfEachBatch) {
  LeafDeal deal;
  for (uint32_t i = 0; i < 3; ++i) deal.add(ObjectId(i), 10_B, {{ObjectId(i), 0, 1}});
  EXPECT_EQ(deal.take(0, 1).size(), 2u);
  EXPECT_EQ(deal.take(0, 1).size(), 1u);
  EXPECT_TRUE(deal.is_empty());
}

TEST(LeafDeal, WhatDidNotComeGoesToTheNext) {
  LeafDeal deal = some_deal();
  const auto batch = deal.take(0, 2);
  const Bytes left = deal.left();
  deal.give_back({kLarger, 3, 7});
  EXPECT_EQ(deal.left(), left + kLeafSize * 4);
  EXPECT_EQ(deal.take(1, 2).front(), (LeafRun{kLarger, 3, 7}));
}

TEST(LeafDeal, ASourceIsNotAskedForWhatItIsBarredFrom) {
  LeafDeal deal = some_deal();
  deal.bar(0, kLarger);
  while (true) {
    const auto batch = deal.take(0, 1);
    if (batch.empty()) break;
    for (const LeafRun& run : batch) EXPECT_NE(run.object, kLarger);
  }
  EXPECT_EQ(deal.left(), kLeafSize * 100 + 5_B);
  EXPECT_EQ(deal.take(1, 1).front().object, kLarger);
}

// What lies behind a batch costs a hash for each leaf, at the source, too.
TEST(LeafDeal, AFileOfMoreThanMayStandInIsTakenFromItsFrontInOne) {
  LeafDeal deal;
  const auto leaves = static_cast<uint32_t>(kStandInsMax + 1000);
  deal.add(kLarge, kLeafSize * leaves, {{kLarge, 0, leaves}});
  deal.add(kMeta, 1_B, {});
  const auto first = deal.take(0, 4);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_GE(first.front().end, 1000u);
  EXPECT_LE(leaves - first.front().end, kStandInsMax);
  const auto second = deal.take(1, 4);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second.front().first, first.front().end);
}

TEST(LeafDeal, WhatIsThereIsNotAskedFor) {
  LeafDeal deal;
  deal.add(kLarge, kLeafSize * 40, {{kLarge, 5, 6}, {kLarge, 10, 12}});
  deal.add(kMeta, 100_B, {});
  EXPECT_EQ(deal.left(), kLeafSize * 3);
  EXPECT_EQ(deal.take(0, 1), (std::vector<LeafRun>{{kLarge, 5, 6}, {kLarge, 10, 12}}));
}

}  // namespace
}  // namespace tideway::transfer
