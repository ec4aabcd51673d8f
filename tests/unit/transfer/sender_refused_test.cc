// SPDX-License-Identifier: Apache-2.0
//
// A sink that takes nothing, and asks for it again without end.
#include "transfer/sender.h"

#include "unit/transfer/trees.h"

namespace tideway::transfer {
namespace {

struct Refusals {
  Refusals() {
    tree.file(5_B);
    of.on_accepted(Answers::kEverythingNeeded);
    EXPECT_TRUE(of.on_listed(tree.entries).ok());
    of.on_scan_end();
  }
  // The next block crosses, or is named as known at the sink, and is refused.
  enum class Crosses : uint8_t { kYes, kNo };
  Status refuse(Crosses crosses) {
    const auto plan = of.next_block();
    if (!plan) return Error{Fault::kNothingToDo, "nothing is sent again", ""};
    const block::Segment segment = segment_of(plan->leaves.front().object, 0, 5_B);
    if (crosses == Crosses::kYes) of.on_packed(plan->key, {&segment, 1});
    else of.on_same(plan->key, {&segment, 1});
    return of.on_rejected({kTransfer, plan->key.block, {{segment.object, segment.leaf}}, "hash_mismatch"});
  }

  Tree tree;
  Sender of{{.transfer = kTransfer}};
};

TEST(SenderRefused, ASinkThatRefusesWithoutEndIsCutOff) {
  Refusals sink;
  for (uint64_t block = 0; block < kRefusedBlocksMax; ++block) ASSERT_TRUE(sink.refuse(Refusals::Crosses::kYes).ok()) << block;
  const Status status = sink.refuse(Refusals::Crosses::kYes);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kHashMismatch);
  EXPECT_EQ(status.error().what, "the destination refused 2049 blocks as damaged, beside 0 that it took");
}

TEST(SenderRefused, WhatWasTakenForKnownAndIsNotDoesNotCount) {
  Refusals sink;
  for (uint64_t block = 0; block < 2 * kRefusedBlocksMax; ++block) {
    const Status status = sink.refuse(Refusals::Crosses::kNo);
    ASSERT_TRUE(status.ok()) << block << ": " << status.error().what;
  }
}

}  // namespace
}  // namespace tideway::transfer
