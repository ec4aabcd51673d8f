// SPDX-License-Identifier: Apache-2.0
#include "transfer/receiver.h"

#include "unit/transfer/trees.h"

namespace tideway::transfer {
namespace {

constexpr BlockKey key_of(uint32_t block) { return {SlotId(1), BlockId(block)}; }

struct Sink {
  Receiver of{{.transfer = kTransfer, .answers = Answers::kEverythingNeeded, .limits = {}}};
  Status page(const Tree& tree) { return of.on_page(tree.page(), {}); }
  std::vector<Receiver::LeafHash> hashes;
};

TEST(Receiver, ALeafUnderWayIsNotWrittenASecondTime) {
  Tree tree;
  const ObjectId file = tree.file(9_MiB);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  const block::Segment leaf = segment_of(file, 1, 9_MiB);
  EXPECT_TRUE(sink.of.claim(leaf).value());
  EXPECT_FALSE(sink.of.claim(leaf).value()) << "while the first copy is being written";
  ASSERT_TRUE(sink.of.on_stored(key_of(0), {&leaf, 1}, sink.hashes).ok());
  EXPECT_FALSE(sink.of.claim(leaf).value());
  EXPECT_EQ(sink.hashes.size(), 1U);
}

TEST(Receiver, ALeafThatComesAgainWithOtherContentEndsTheTransfer) {
  for (const Bytes size : {5_B, 9_MiB}) {
    Tree tree;
    const ObjectId file = tree.file(size);
    Sink sink;
    ASSERT_TRUE(sink.page(tree).ok());
    ASSERT_TRUE(sink.of.claim(segment_of(file, 0, size)).value());
    const auto other = sink.of.claim(segment_of(file, 0, size, 1));
    ASSERT_FALSE(other.ok()) << "both could be written, and only one be verified";
    EXPECT_EQ(other.error().fault, Fault::kProtocolError);
  }
}

}  // namespace
}  // namespace tideway::transfer
