// SPDX-License-Identifier: Apache-2.0
#include "session/replicas.h"

#include "support/manifest_entries.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

using test::entry_of;

TEST(Replicas, AreDirectoriesThatWerePublishedAndFilesWithAStep) {
  ReplicaList list("wisconsin:ckpt/runs");
  EXPECT_TRUE(list.add(entry_of(0, 0, "", EntryType::kDirectory)).ok());
  EXPECT_TRUE(list.add(entry_of(1, 0, "latest", EntryType::kFile)).ok());
  EXPECT_TRUE(list.add(entry_of(2, 0, "step-10", EntryType::kDirectory)).ok());
  EXPECT_TRUE(list.add(entry_of(3, 2, ".tideway-manifest", EntryType::kFile)).ok());
  EXPECT_TRUE(list.add(entry_of(4, 2, "shard", EntryType::kFile)).ok());
  EXPECT_TRUE(list.add(entry_of(5, 0, "step-20", EntryType::kDirectory)).ok());
  EXPECT_TRUE(list.add(entry_of(6, 5, "shard", EntryType::kFile)).ok());  // somebody copies it by other means
  EXPECT_TRUE(list.add(entry_of(7, 0, "step=30.ckpt", EntryType::kFile)).ok());
  const std::vector<Replica> expected{{"wisconsin:ckpt/runs/step-10", 10}, {"wisconsin:ckpt/runs/step=30.ckpt", 30}};
  EXPECT_EQ(list.replicas(), expected);
}

TEST(Replicas, SayHowMuchTheyAreUnlessItLiesDeeperThanIsListed) {
  ReplicaList list("a:r");
  const auto sized = [](ManifestEntry one, Bytes size) {
    one.size = size;
    return one;
  };
  EXPECT_TRUE(list.add(entry_of(0, 0, "", EntryType::kDirectory)).ok());
  EXPECT_TRUE(list.add(entry_of(1, 0, "step-1", EntryType::kDirectory)).ok());
  EXPECT_TRUE(list.add(sized(entry_of(2, 1, ".tideway-manifest", EntryType::kFile), 5_B)).ok());
  EXPECT_TRUE(list.add(sized(entry_of(3, 1, "a", EntryType::kFile), 10_B)).ok());
  EXPECT_TRUE(list.add(sized(entry_of(4, 1, "b", EntryType::kFile), 20_B)).ok());
  EXPECT_TRUE(list.add(entry_of(5, 0, "step-2", EntryType::kDirectory)).ok());
  EXPECT_TRUE(list.add(sized(entry_of(6, 5, ".tideway-manifest", EntryType::kFile), 5_B)).ok());
  EXPECT_TRUE(list.add(entry_of(7, 5, "deeper", EntryType::kDirectory)).ok());
  EXPECT_TRUE(list.add(sized(entry_of(8, 5, "z", EntryType::kFile), 10_B)).ok());
  const std::vector<Replica> found = list.replicas();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].bytes, 30_B);
  EXPECT_EQ(found[1].bytes, 0_B) << "not known";
}

TEST(Replicas, X08NoPeerMakesUsRememberWithoutEnd) {
  ReplicaList list("a:r");
  for (uint32_t number = 1; number <= kReplicaChildrenMax; ++number) ASSERT_TRUE(list.add(entry_of(number, 0, "step-" + std::to_string(number), EntryType::kFile)).ok());
  const Status status = list.add(entry_of(kReplicaChildrenMax + 1, 0, "one more", EntryType::kFile));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kLimitExceeded);
  EXPECT_EQ(list.replicas().size(), kReplicaChildrenMax);
}

TEST(Replicas, OfTheNewestStepComeInTheirOrder) {
  const std::vector<Replica> all{{"a:r/step-10", 10}, {"a:r/step-20", 20}, {"b:r/step-20", 20}, {"b:r/step-5", 5}};
  EXPECT_EQ(choose(all, {}), (std::vector<Replica>{all[1], all[2]}));
  EXPECT_EQ(choose(all, {.step = 10}), (std::vector<Replica>{all[0]}));
  EXPECT_TRUE(choose(all, {.step = 7}).empty());
  EXPECT_EQ(choose(all, {.step = 10, .older = OlderToo::kYes}), (std::vector<Replica>{all[0], all[3]}));
  EXPECT_EQ(choose(all, {.older = OlderToo::kYes}).size(), 4U);
  EXPECT_TRUE(choose({}, {}).empty());
}

TEST(Replicas, TheOneBeforeAStepIsTheNearestOfTheNewestBeforeIt) {
  using namespace std::chrono_literals;
  const std::vector<Replica> all{{"a:r/step-10", 10, 9s}, {"b:r/step-10", 10, 1s}, {"a:r/step-20", 20}, {"b:r/step-5", 5}};
  EXPECT_EQ(source_before(all, 20), "b:r/step-10");
  EXPECT_EQ(source_before(all, 10), "b:r/step-5");
  EXPECT_EQ(source_before(all, 5), "");
  EXPECT_EQ(source_before(all, 100), "a:r/step-20");
}

TEST(Replicas, TheNearestOfAStepComesFirst) {
  using namespace std::chrono_literals;
  EXPECT_LT(expected(10_Gbit, 80ms), expected(1_Gbit, 1ms)) << "a fast path is nearer than a short one";
  EXPECT_LT(expected(Rate(), 1ms), expected(Rate(), 80ms)) << "of those that nobody knows, the short one";
  const Replica far{"a:r/step-20", 20, 9s}, near{"b:r/step-20", 20, 1s}, older{"c:r/step-10", 10, 0s};
  EXPECT_EQ(choose({far, older, near}, {.older = OlderToo::kYes}), (std::vector<Replica>{near, far, older}));
}

}  // namespace
}  // namespace tideway::session
