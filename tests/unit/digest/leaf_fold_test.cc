// SPDX-License-Identifier: Apache-2.0
#include "digest/leaf_fold.h"

#include <gtest/gtest.h>

namespace tideway::digest::leaf_fold_test {
namespace {

Hash128 filled(uint32_t byte) {
  Hash128 hash;
  hash.fill(static_cast<std::byte>(byte));
  return hash;
}

TEST(LeafFold, AnyOrderGivesTheRootOfTheOrderedOne) {
  constexpr Bytes kSize = kLeafSize * 4 + 7_B;
  ObjectHasher ordered;
  for (uint32_t leaf = 0; leaf < 5; ++leaf) ordered.add_leaf(leaf < 4 ? kLeafSize.count() : 7, filled(leaf));
  LeafFold fold(kSize);
  EXPECT_EQ(fold.leaves(), 5U);
  for (const uint32_t leaf : {3U, 1U, 4U, 0U}) EXPECT_TRUE(fold.add(leaf, filled(leaf)));
  EXPECT_EQ(fold.early(), 2U) << "0 and 1 are in order, 3 and 4 wait for 2";
  EXPECT_EQ(fold.hash_of(3), filled(3));
  EXPECT_TRUE(fold.has(1));
  EXPECT_FALSE(fold.has(2));
  EXPECT_FALSE(fold.is_whole());
  EXPECT_TRUE(fold.add(2, filled(2)));
  EXPECT_TRUE(fold.is_whole());
  EXPECT_EQ(fold.root(), ordered.finish());
}

TEST(LeafFold, GoesOnBehindWhatAnotherOneFolded) {
  constexpr uint32_t kLeaves = 11;
  constexpr Bytes kSize = kLeafSize * (kLeaves - 1) + 7_B;
  LeafFold all(kSize);
  for (uint32_t leaf = 0; leaf < kLeaves; ++leaf) all.add(leaf, filled(leaf));
  for (uint32_t first = 0; first < kLeaves; ++first) {
    LeafFold front(kSize);
    for (uint32_t leaf = 0; leaf < first; ++leaf) front.add(leaf, filled(leaf));
    LeafFold rest(kSize, front.folded());
    EXPECT_EQ(rest.has(first), false);
    EXPECT_EQ(first == 0 || rest.has(first - 1), true);
    for (uint32_t leaf = kLeaves; leaf-- > first;) EXPECT_TRUE(rest.add(leaf, filled(leaf)));
    EXPECT_EQ(rest.root(), all.root()) << "behind " << first << " leaves";
  }
  EXPECT_EQ(ObjectHasher(kSize, all.folded()).finish(), all.root()) << "behind all of them";
}

TEST(LeafFold, OfOneLeafIsFoldedAsAWhole) {
  LeafFold fold(5_B);
  EXPECT_EQ(fold.folded(), FoldedLeaves{});
  fold.add(0, filled(1));
  EXPECT_EQ(ObjectHasher(5_B, fold.folded()).finish(), fold.root());
}

TEST(LeafFold, ALeafThatIsThereStaysAsItIs) {
  for (const Bytes size : {5_B, kLeafSize + 5_B}) {
    LeafFold fold(size);
    EXPECT_TRUE(fold.add(0, filled(1)));
    EXPECT_FALSE(fold.add(0, filled(2)));
    if (fold.leaves() == 2) {
      EXPECT_TRUE(fold.add(1, filled(3)));
    }
    ObjectHasher ordered;
    ordered.add_leaf(static_cast<uint32_t>(std::min(size, kLeafSize).count()), filled(1));
    if (fold.leaves() == 2) ordered.add_leaf(5, filled(3));
    EXPECT_EQ(fold.root(), ordered.finish());
  }
}

TEST(LeafFold, OfOneLeafRemembersItsHash) {
  LeafFold fold(kLeafSize);
  EXPECT_EQ(fold.hash_of(0), std::nullopt);
  EXPECT_TRUE(fold.add(0, filled(9)));
  EXPECT_EQ(fold.hash_of(0), filled(9));
}

TEST(LeafFold, IsSmallForASmallObjectAndAsSmallForTheLargest) {
  EXPECT_LE(sizeof(LeafFold), 48U);
  LeafFold largest(kObjectSizeMax);
  EXPECT_EQ(largest.leaves(), UINT32_MAX);
  EXPECT_TRUE(largest.add(UINT32_MAX - 1, filled(1)));
  EXPECT_EQ(largest.early(), 1U);
}

}  // namespace
}  // namespace tideway::digest::leaf_fold_test
