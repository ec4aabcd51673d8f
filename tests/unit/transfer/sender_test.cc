// SPDX-License-Identifier: Apache-2.0
#include "transfer/sender.h"

#include "unit/transfer/trees.h"

namespace tideway::transfer {
namespace {

// A sender, and what an engine does with it.
struct Source {
  using Content = Sender::Options::Content;
  explicit Source(Content content = Content::kWithData) : of({.transfer = kTransfer, .content = content}) {}

  Status list(const Tree& tree) { return of.on_listed(tree.entries); }
  // All blocks that are at hand, read and packed.
  std::vector<BlockPlan> pack_all() {
    std::vector<BlockPlan> plans;
    while (auto plan = of.next_block()) {
      pack(*plan);
      plans.push_back(std::move(*plan));
    }
    return plans;
  }
  void pack(const BlockPlan& plan) {
    block::SegmentList segments;
    for (const LeafRead& leaf : plan.leaves)
      segments.push_back({leaf.object, leaf.leaf, leaf.length, hash_of(leaf.object.value() * 17 + leaf.leaf)});
    of.on_packed(plan.key, segments);
  }
  void close_all() {
    while (const auto object = of.next_close()) of.on_closed(*object);
  }
  Status deliver(uint32_t first, uint32_t count) { return of.on_delivered({kTransfer, {{BlockId(first), count}}}); }
  std::vector<ObjectId> released() {
    std::vector<ObjectId> objects;
    while (const auto object = of.next_release()) objects.push_back(*object);
    return objects;
  }
  template <typename Message>
  std::vector<Message> said() {
    std::vector<Message> found;
    while (auto message = of.next_message())
      if (auto* one = std::get_if<Message>(&*message)) found.push_back(std::move(*one));
    return found;
  }

  Sender of;
};

using Objects = std::vector<ObjectId>;

// ---- delivered, rejected, released ---------------------------------------------------------------------------------

TEST(Sender, AnObjectIsReleasedWhenAllOfItIsVerifiedAndNotBefore) {
  Tree tree;
  const ObjectId file = tree.file(9_MiB);
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  ASSERT_EQ(source.pack_all().size(), 3U);
  ASSERT_TRUE(source.deliver(0, 2).ok());
  source.close_all();
  EXPECT_TRUE(source.released().empty()) << "its last leaf may be rejected yet";
  ASSERT_TRUE(source.of.on_rejected({kTransfer, BlockId(2), {{file, 2}}, "hash_mismatch"}).ok());
  ASSERT_TRUE(source.deliver(2, 1).ok());
  EXPECT_TRUE(source.released().empty()) << "block 2 was verified without that leaf";
  const auto again = source.pack_all();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].leaves[0].leaf, 2U);
  ASSERT_TRUE(source.deliver(3, 1).ok());
  EXPECT_EQ(source.released(), Objects{file});
  EXPECT_EQ(source.of.bytes_delivered(), 9_MiB);
  EXPECT_FALSE(source.of.next_close()) << "it is looked at once";
}

TEST(Sender, TheSameWordAgainChangesNothingAndCostsNothing) {
  Tree tree;
  tree.file(40_MiB);
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  ASSERT_EQ(source.pack_all().size(), 10U);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(source.deliver(2, 4).ok());
  EXPECT_EQ(source.of.bytes_delivered(), 16_MiB);
  ASSERT_TRUE(source.deliver(0, 10).ok());
  EXPECT_EQ(source.of.bytes_delivered(), 40_MiB);
}

}  // namespace
}  // namespace tideway::transfer
