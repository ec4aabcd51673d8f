// SPDX-License-Identifier: Apache-2.0
#include "transfer/sender.h"

#include "transfer/receiver.h"
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
    if (plan.use == BlockPlan::Use::kHash) of.on_hashed(segments);
    else of.on_packed(plan.key, segments);
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

SkippedEntry skip(Fault fault, std::string what) { return {{}, {fault, std::move(what), ""}}; }
using Objects = std::vector<ObjectId>;

// ---- what the sink has from an earlier run ---------------------------------------------------------------------------

// What a sink says that has these leaves of an object.
messages::HeldObject held_of(ObjectId object, Bytes size, std::initializer_list<uint32_t> leaves) {
  messages::HeldObject held{object, 0, {}, {}};
  digest::ObjectHasher front;
  for (const uint32_t leaf : leaves) {
    const block::Segment segment = segment_of(object, leaf, size);
    if (leaf == held.leaves) {
      front.add_leaf(segment.length, segment.hash);
      held.leaves += 1;
    } else if (!held.runs.empty() && held.runs.back().first + held.runs.back().hashes.size() == leaf) {
      held.runs.back().hashes.push_back(segment.hash);
    } else {
      held.runs.push_back({leaf, {segment.hash}});
    }
  }
  held.tops = front.folded().tops;
  return held;
}

TEST(Sender, SendsOnlyWhatTheSinkDoesNotHoldAndSaysTheSameRoot) {
  Tree tree;
  const ObjectId whole = tree.file(9_MiB);
  const ObjectId partial = tree.file(30_MiB);
  const ObjectId small = tree.file(5_B);
  const ObjectId absent = tree.file(6_B);
  Source source;
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  source.said<messages::ManifestPage>();
  ASSERT_TRUE(source.of.on_held({kTransfer, 0, {held_of(whole, 9_MiB, {0, 1, 2}), held_of(partial, 30_MiB, {0, 1, 2, 5, 7}),
                                                held_of(small, 5_B, {0})}}).ok());
  EXPECT_FALSE(source.of.next_block()) << "before the page is answered";
  ASSERT_TRUE(source.of.on_needs({kTransfer, 0, messages::NeedsKind::kAll, {}}).ok());
  std::vector<std::pair<uint32_t, uint32_t>> sent;
  for (const BlockPlan& plan : source.pack_all())
    for (const LeafRead& leaf : plan.leaves) sent.emplace_back(leaf.object.value(), leaf.leaf);
  EXPECT_EQ(sent, (std::vector<std::pair<uint32_t, uint32_t>>{{partial.value(), 3}, {partial.value(), 4}, {partial.value(), 6}, {absent.value(), 0}}));
  EXPECT_EQ(source.of.bytes_needed(), 12_MiB + 6_B);
  EXPECT_EQ(source.of.bytes_held(), 9_MiB + 18_MiB + 5_B);
  source.close_all();
  EXPECT_EQ(source.of.root(), tree.root());
  std::vector<ObjectId> ended;
  for (const auto& ends : source.said<messages::ObjectEnds>())
    for (const auto& end : ends.ends) ended.push_back(end.object);
  EXPECT_EQ(ended, (Objects{partial, absent})) << "what is there whole has no end";
  ASSERT_TRUE(source.deliver(0, 4).ok());
  EXPECT_EQ(source.released(), (Objects{whole, small, partial, absent}));
}

// A sink that says to have a tree which nobody has; what it leaves out it asks for.
struct Claims {
  Claims() {
    EXPECT_TRUE(source.list(tree).ok());
    source.of.on_scan_end();
    source.said<messages::ManifestPage>();
  }
  Status claim(std::vector<messages::HeldObject> objects, HeldHashes hashes) {
    const auto judge = [&](const messages::HeldObject&) { return hashes; };
    if (Status status = source.of.on_held({kTransfer, 0, std::move(objects)}, judge); !status.ok()) return status;
    return source.of.on_needs({kTransfer, 0, messages::NeedsKind::kAll, {}});
  }
  std::vector<messages::HeldObject> lies() const {
    std::vector<messages::HeldObject> lies{held_of(whole, 9_MiB, {0, 1, 2}), held_of(partial, 30_MiB, {0, 1, 2, 5, 7}), held_of(small, 5_B, {0})};
    for (messages::HeldObject& lie : lies) lie.tops.front() = {std::byte{0xBA}};
    lies[1].runs.back().hashes.front() = {std::byte{0xBA}};
    return lies;
  }
  Tree tree;
  const ObjectId whole = tree.file(9_MiB), partial = tree.file(30_MiB), small = tree.file(5_B);
  Source source;
};

TEST(Sender, X25WhatASinkClaimsIsReadAgainWhereTheRootHasToBeProven) {
  Claims claims;
  Source& source = claims.source;
  ASSERT_TRUE(claims.claim(claims.lies(), HeldHashes::kReadAgain).ok());
  size_t sent = 0, hashed = 0;
  for (const BlockPlan& plan : source.pack_all()) (plan.use == BlockPlan::Use::kHash ? hashed : sent) += plan.leaves.size();
  EXPECT_EQ(hashed, 9U);
  EXPECT_EQ(sent, 3U) << "and not sent";
  EXPECT_EQ(source.of.bytes_held(), 9_MiB + 18_MiB + 5_B);
  EXPECT_FALSE(source.of.root()) << "the files were not looked at once more";
  source.close_all();
  EXPECT_EQ(source.of.root(), claims.tree.root()) << "of what is here, and not of what the sink says";
  EXPECT_TRUE(source.of.is_root_proven());
  const auto ends = source.said<messages::ObjectEnds>();
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends.front().ends.size(), 1U) << "what the sink has whole has no end";
  ASSERT_TRUE(source.deliver(0, 3).ok());
  EXPECT_EQ(source.released().size(), 3U);
}

TEST(Sender, X25ARootOverWhatASinkClaimsIsNotProven) {
  Claims claims;
  ASSERT_TRUE(claims.claim(claims.lies(), HeldHashes::kClaimed).ok());
  claims.source.pack_all();
  claims.source.close_all();
  ASSERT_TRUE(claims.source.of.root());
  EXPECT_NE(claims.source.of.root(), claims.tree.root());
  EXPECT_FALSE(claims.source.of.is_root_proven());
}

TEST(Sender, WhatIsKnownOfASinkIsProvenWithoutBeingRead) {
  Claims claims;
  ASSERT_TRUE(claims.claim({held_of(claims.whole, 9_MiB, {0, 1, 2})}, HeldHashes::kKnown).ok());
  for (const BlockPlan& plan : claims.source.pack_all()) EXPECT_EQ(plan.use, BlockPlan::Use::kSend);
  claims.source.close_all();
  EXPECT_EQ(claims.source.of.root(), claims.tree.root());
  EXPECT_TRUE(claims.source.of.is_root_proven());
}

// They make the root of nothing: reading what others bring would be in vain.
TEST(Sender, X25StandInsAreNotReadAndTheirRootIsNotProven) {
  Claims claims;
  digest::ObjectHasher zeros;
  for (uint32_t leaf = 0; leaf < 3; ++leaf) zeros.add_leaf(leaf_length(9_MiB, leaf), Hash128{});
  ASSERT_TRUE(claims.claim({{claims.whole, 3, zeros.folded().tops, {}}}, HeldHashes::kReadAgain).ok());
  for (const BlockPlan& plan : claims.source.pack_all()) EXPECT_EQ(plan.use, BlockPlan::Use::kSend);
  EXPECT_FALSE(claims.source.of.is_root_proven());
}

TEST(Sender, WhatIsHashedLeavesTheDiskToWhatIsSentAndMayFail) {
  Claims claims;
  Source& source = claims.source;
  ASSERT_TRUE(claims.claim(claims.lies(), HeldHashes::kReadAgain).ok());
  std::vector<BlockPlan> plans;
  while (plans.size() < kHashingMax + 3) plans.push_back(source.of.next_block().value());
  EXPECT_EQ(std::ranges::count(plans, BlockPlan::Use::kHash, &BlockPlan::use), static_cast<ptrdiff_t>(kHashingMax)) << "the rest is sent meanwhile";
  plans.push_back(source.of.next_block().value());
  EXPECT_EQ(plans.back().use, BlockPlan::Use::kHash) << "nothing is left to send";
  source.of.on_entry_failed(claims.whole, {Fault::kSourceIo, "", ""});
  for (const BlockPlan& plan : plans) {
    if (plan.leaves.front().object == claims.whole) source.of.on_hashed({});  // nothing of it could be read
    else source.pack(plan);
  }
  source.pack_all();
  source.close_all();
  EXPECT_TRUE(source.of.root());
  EXPECT_EQ(source.of.failed(), 1U);
}

TEST(Sender, WhatTheSinkHasWholeMayFailWhenItIsReadAgain) {
  Tree tree;
  const ObjectId whole = tree.file(9_MiB);
  Source source;
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  Receiver sink({.transfer = kTransfer, .answers = Answers::kPerPage, .limits = {}});
  const HeldLeaves held = [](const ManifestEntry& entry, const TakeLeaves& take) {
    for (uint32_t leaf = 0; leaf < leaf_count(entry.size); ++leaf) take(leaf, std::vector{segment_of(entry.number, leaf, entry.size).hash});
  };
  for (const auto& page : source.said<messages::ManifestPage>()) ASSERT_TRUE(sink.on_page(page, {}, held).ok());
  ASSERT_TRUE(sink.on_manifest_end({kTransfer, tree.entries.size(), tree.bytes(), 0}).ok());
  const auto judge = [](const messages::HeldObject&) { return HeldHashes::kReadAgain; };
  Status status = success();
  for (auto message = sink.next_message(); status.ok() && message; message = sink.next_message()) {
    if (const auto* has = std::get_if<messages::ObjectsHeld>(&*message)) status = source.of.on_held(*has, judge);
    if (const auto* needs = std::get_if<messages::Needs>(&*message)) status = source.of.on_needs(*needs);
  }
  source.of.on_entry_failed(whole, {Fault::kSourceIo, "it cannot be read", ""});
  for (auto message = source.of.next_message(); status.ok() && message; message = source.of.next_message()) {
    if (const auto* error = std::get_if<messages::PeerError>(&*message)) status = sink.on_entry_failed(error->object, {Fault::kSourceIo, error->detail, ""});
    if (const auto* root = std::get_if<messages::TransferRoot>(&*message)) status = sink.on_root(*root);
  }
  ASSERT_TRUE(status.ok()) << status.error().what;
  ASSERT_TRUE(sink.is_complete());
  EXPECT_EQ(sink.verdict().error().fault, Fault::kEntriesFailed) << "and not that the roots differ";
  EXPECT_EQ(source.of.next_report()->object, whole);
}

TEST(Sender, HeldObjectsThatCannotBeAreProtocolErrors) {
  Tree tree;
  const ObjectId file = tree.file(9_MiB);
  const ObjectId later = tree.file(9_MiB);
  const auto told = [&](uint32_t page, std::vector<messages::HeldObject> objects) {
    Source source;
    EXPECT_TRUE(source.list(tree).ok());
    source.of.on_scan_end();
    return source.of.on_held({kTransfer, page, std::move(objects)}).ok();
  };
  EXPECT_TRUE(told(0, {held_of(file, 9_MiB, {0}), held_of(later, 9_MiB, {0, 1, 2})}));
  EXPECT_FALSE(told(1, {held_of(file, 9_MiB, {0})})) << "of a page that was not told";
  EXPECT_FALSE(told(0, {held_of(ObjectId(0), 9_MiB, {0})})) << "of a directory";
  EXPECT_FALSE(told(0, {held_of(later, 9_MiB, {0}), held_of(file, 9_MiB, {0})})) << "out of order";
  EXPECT_FALSE(told(0, {held_of(file, 90_MiB, {0, 1, 2, 3})})) << "more than it has";
  EXPECT_FALSE(told(0, {held_of(file, 90_MiB, {0, 3})})) << "behind its end";
}

TEST(Sender, WhatIsHeldOfAnObjectMayComeInSeveralMessages) {
  constexpr uint32_t kLeaves = 5000;
  Tree tree;
  const ObjectId file = tree.file(kLeafSize * kLeaves);
  Source source;
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  source.said<messages::ManifestPage>();
  const auto run_of = [&](uint32_t begin, uint32_t end) {
    messages::HeldObject part{file, 0, {}, {{begin, {}}}};
    for (uint32_t leaf = begin; leaf < end; ++leaf) part.runs.front().hashes.push_back(segment_of(file, leaf, kLeafSize * kLeaves).hash);
    return part;
  };
  ASSERT_TRUE(source.of.on_held({kTransfer, 0, {run_of(1, 2000)}}).ok());
  ASSERT_TRUE(source.of.on_held({kTransfer, 0, {run_of(2000, 4000)}}).ok());
  ASSERT_TRUE(source.of.on_held({kTransfer, 0, {run_of(4500, kLeaves)}}).ok());
  EXPECT_FALSE(source.of.on_held({kTransfer, 0, {run_of(4400, 4500)}}).ok()) << "they ascend";
  ASSERT_TRUE(source.of.on_needs({kTransfer, 0, messages::NeedsKind::kAll, {}}).ok());
  EXPECT_EQ(source.of.bytes_needed(), kLeafSize * 501);
  source.pack_all();
  source.close_all();
  EXPECT_EQ(source.of.root(), tree.root());
}

TEST(Sender, ASinkThatNamesMoreLeavesThanOneMayIsCutOff) {
  constexpr Bytes kSize = kLeafSize * 2100;
  Tree tree;
  std::vector<ObjectId> files;
  for (size_t i = 0; i <= kHeldAskedMax / messages::kHeldHashesMax; ++i) files.push_back(tree.file(kSize));
  Source source;
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  source.said<messages::ManifestPage>();
  Status status = success();
  for (const ObjectId file : files) {
    ASSERT_TRUE(status.ok()) << "one message more is too much";
    status = source.of.on_held({kTransfer, 0, {{file, 0, {}, {{1, std::vector<Hash128>(messages::kHeldHashesMax)}}}}});
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kLimitExceeded);
}

// ---- a transfer that goes well -------------------------------------------------------------------------------------

TEST(Sender, SaysPageEndsListEndAndRootInThatOrder) {
  Tree tree;
  tree.file(17_MiB);
  tree.file(5_B);
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  EXPECT_EQ(source.pack_all().size(), 5U) << "four full leaves, and the rest with the small file";
  EXPECT_FALSE(source.of.root()) << "no object was looked at again";
  source.close_all();
  std::vector<size_t> kinds;
  while (const auto message = source.of.next_message()) kinds.push_back(message->index());
  EXPECT_EQ(kinds, (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_EQ(source.of.root(), tree.root());
  EXPECT_TRUE(source.of.is_all_said());
}

TEST(Sender, NothingIsReadBeforeTheSinkHasSaidWhatItNeeds) {
  Tree tree;
  const ObjectId kept = tree.file(5_B);
  const ObjectId needed = tree.file(6_B);
  Source source;
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  EXPECT_FALSE(source.of.next_block());
  source.of.on_accepted(Answers::kPerPage);
  EXPECT_FALSE(source.of.next_block());
  ASSERT_TRUE(source.of.on_needs({kTransfer, 0, messages::NeedsKind::kAllBut, {kept}}).ok());
  const auto plans = source.pack_all();
  ASSERT_EQ(plans.size(), 1U);
  ASSERT_EQ(plans[0].leaves.size(), 1U);
  EXPECT_EQ(plans[0].leaves[0].object, needed);
  EXPECT_EQ(source.of.kept(), 1U);
  EXPECT_EQ(source.released(), Objects{kept});
}

TEST(Sender, APageThatIsNotNeededAtAllEndsTheTransfer) {
  Tree tree;
  tree.file(5_B);
  Source source;
  source.of.on_accepted(Answers::kPerPage);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  EXPECT_FALSE(source.of.is_all_said());
  ASSERT_TRUE(source.of.on_needs({kTransfer, 0, messages::NeedsKind::kNone, {}}).ok());
  EXPECT_TRUE(source.of.is_all_said());
}

TEST(Sender, AListIsNamedAndNotRead) {
  Tree tree;
  tree.file(5_B);
  tree.directory();
  Source source(Source::Content::kManifestOnly);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  EXPECT_FALSE(source.of.next_block());
  const auto first = source.of.next_message();
  ASSERT_TRUE(first && std::holds_alternative<messages::ManifestPage>(*first));
  EXPECT_EQ(source.said<messages::ManifestEnd>().size(), 1U);
  EXPECT_TRUE(source.of.is_all_said());
  EXPECT_TRUE(source.released().empty());
}

// ---- memory --------------------------------------------------------------------------------------------------------

// Names small files until the scan is to rest, without taking messages for longer than needed.
size_t list_until_rest(Source& source, Tree& tree, Bytes size, size_t most) {
  size_t listed = source.of.entries();
  while (source.of.wants_entries() && listed < most) {
    while (tree.entries.size() < listed + 256) tree.file(size);
    EXPECT_TRUE(source.of.on_listed(std::span(tree.entries).subspan(listed)).ok());
    listed = tree.entries.size();
    while (source.of.next_message()) {}
  }
  return listed;
}

TEST(Sender, TheScanRestsWhileTheSinkHasNotVerifiedAnOldObject) {
  Tree tree;
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  tree.file(1_B);
  ASSERT_TRUE(source.list(tree).ok());
  const auto oldest = source.of.next_block();  // read, and on its way for long
  ASSERT_FALSE(oldest) << "more is coming";
  size_t listed = 2;
  for (size_t turn = 0; turn < 2000 && source.of.wants_entries(); ++turn) {
    while (tree.entries.size() < listed + 256) tree.file(1_B);
    ASSERT_TRUE(source.of.on_listed(std::span(tree.entries).subspan(listed)).ok());
    listed = tree.entries.size();
    for (const BlockPlan& plan : source.pack_all()) {
      if (plan.key.block == BlockId(0)) continue;
      ASSERT_TRUE(source.deliver(plan.key.block.value(), 1).ok());
    }
    source.close_all();
    while (source.of.next_message()) {}
  }
  EXPECT_GE(listed, kUnresolvedMax);
  EXPECT_LE(listed, kUnresolvedMax + 512) << "the sink keeps as much";
  ASSERT_TRUE(source.deliver(0, 1).ok());
  EXPECT_TRUE(source.of.wants_entries());
}

TEST(Sender, TheScanRestsWhilePagesHaveNoAnswer) {
  Tree tree;
  Source source;
  source.of.on_accepted(Answers::kPerPage);
  const size_t listed = list_until_rest(source, tree, 0_B, 1'000'000);
  EXPECT_FALSE(source.of.wants_entries());
  EXPECT_LT(listed, kPagesAskedMax * 4096);
}

TEST(Sender, AListNeedsNoAnswers) {
  Tree tree;
  Source source(Source::Content::kManifestOnly);
  list_until_rest(source, tree, 5_B, 200'000);
  EXPECT_TRUE(source.of.wants_entries());
}

TEST(Sender, APageThatIsNotFullIsToldWhenTheScanRests) {
  Tree tree;
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  size_t told = 0;
  while (source.of.wants_entries()) {
    const size_t listed = tree.entries.size();
    while (tree.entries.size() < listed + 256) tree.file(1_B);
    ASSERT_TRUE(source.of.on_listed(std::span(tree.entries).subspan(source.of.entries())).ok());
    for (const auto& page : source.said<messages::ManifestPage>()) told += page.entries.size();
  }
  EXPECT_EQ(told, tree.entries.size()) << "else the sink might hold blocks whose page never comes";
}

TEST(Sender, HowAnObjectEndedIsToldBehindThePageThatNamesItAndBeforeTheNext) {
  for (const bool fails : {false, true}) {
    Tree tree;
    const ObjectId file = tree.file(4_MiB);
    Source source;
    source.of.on_accepted(Answers::kEverythingNeeded);
    ASSERT_TRUE(source.list(tree).ok());
    ASSERT_EQ(source.pack_all().size(), 1U) << "while the list goes on";
    if (fails) source.of.on_entry_failed(file, {Fault::kSourceIo, "", ""});
    source.close_all();
    while (tree.entries.size() < 3000) tree.file(0_B);
    ASSERT_TRUE(source.of.on_listed(std::span(tree.entries).subspan(2)).ok());
    std::vector<size_t> kinds;
    while (const auto message = source.of.next_message()) kinds.push_back(message->index());
    ASSERT_GE(kinds.size(), 3U);
    EXPECT_EQ(kinds[0], 0U) << "ManifestPage";
    EXPECT_EQ(kinds[1], fails ? 4U : 2U) << "PeerError, or ObjectEnds";
    EXPECT_EQ(kinds[2], 0U);
  }
}

TEST(Sender, AnEndDoesNotOvertakeThePageThatIsBeingFilled) {
  Tree tree;
  tree.file(4_MiB);
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  source.pack_all();
  source.close_all();
  const auto first = source.of.next_message();
  EXPECT_TRUE(first && std::holds_alternative<messages::ManifestPage>(*first));
  EXPECT_EQ(source.said<messages::ObjectEnds>().size(), 1U);
}

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

TEST(Sender, ADamagedHeadMakesAllOfTheBlockAgain) {
  Tree tree;
  for (int i = 0; i < 5; ++i) tree.file(5_B);
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  ASSERT_EQ(source.pack_all().size(), 1U);
  ASSERT_TRUE(source.of.on_rejected({kTransfer, BlockId(0), {}, "hash_mismatch"}).ok());
  EXPECT_EQ(source.pack_all().at(0).leaves.size(), 5U);
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

TEST(Sender, WhatWasNeverOfferedIsProtocolError) {
  Tree tree;
  const ObjectId file = tree.file(5_B);
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  ASSERT_EQ(source.pack_all().size(), 1U);
  const auto refused = [](const Status& status) { return !status.ok() && status.error().fault == Fault::kProtocolError; };
  EXPECT_TRUE(refused(source.deliver(1, 1)));
  EXPECT_TRUE(refused(source.deliver(0, UINT32_MAX)));
  EXPECT_TRUE(refused(source.of.on_needs({kTransfer, 0, messages::NeedsKind::kAll, {}}))) << "nothing was asked";
  EXPECT_TRUE(refused(source.of.on_rejected({kTransfer, BlockId(5), {}, "x"})));
  EXPECT_TRUE(refused(source.of.on_rejected({kTransfer, BlockId(0), {{file, 1}}, "x"})));
}

// ---- failures and skips --------------------------------------------------------------------------------------------

TEST(Sender, KnowsWhatIsDurableAndNoMoreThanItNamed) {
  Tree tree;
  tree.file(9_MiB);  // three leaves
  tree.file(5_B);
  Source source;
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  ASSERT_TRUE(source.of.on_durable({kTransfer, {{0, 2}, {3, 1}}, 8_MiB + 5_B}).ok());
  EXPECT_EQ(source.of.bytes_durable(), 8_MiB + 5_B);
  EXPECT_EQ(source.of.on_durable({kTransfer, {{3, 2}}, 9_MiB}).error().fault, Fault::kProtocolError) << "a leaf behind the last";
  EXPECT_EQ(source.of.on_durable({kTransfer, {{2, 1}}, 10_MiB}).error().fault, Fault::kProtocolError) << "more bytes than there are";
  EXPECT_EQ(source.of.bytes_durable(), 8_MiB + 5_B);
}

TEST(Sender, AFailedObjectIsToldReportedReleasedAndLeftOut) {
  Tree tree;
  const ObjectId bad = tree.file(9_MiB);
  tree.file(5_B);
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_scan_end();
  const auto first = source.of.next_block();
  source.of.on_entry_failed(bad, {Fault::kSourceChanged, "changed", ""});
  source.of.on_entry_failed(bad, {Fault::kSourceChanged, "changed", ""});
  source.pack(*first);
  EXPECT_EQ(source.of.failed(), 1U) << "it fails once";
  EXPECT_EQ(source.released(), Objects{bad});
  EXPECT_EQ(source.of.next_report()->object, bad);
  EXPECT_FALSE(source.of.next_report());
  const auto plans = source.pack_all();
  ASSERT_EQ(plans.size(), 1U);
  EXPECT_EQ(plans[0].leaves.size(), 1U) << "the rest of it is not read";
  source.close_all();
  EXPECT_EQ(source.said<messages::PeerError>().at(0).object, bad);
  EXPECT_TRUE(source.of.root());
}

TEST(Sender, SkipsGoWithAPageAndAreCountedAtTheEnd) {
  Tree tree;
  Source source;
  source.of.on_accepted(Answers::kEverythingNeeded);
  ASSERT_TRUE(source.list(tree).ok());
  for (size_t i = 0; i < 2 * kEntryErrorsReported; ++i) source.of.on_skipped(skip(Fault::kSpecialFile, std::to_string(i)));
  source.of.on_scan_end();
  const auto first = source.of.next_message();
  ASSERT_TRUE(first && std::holds_alternative<messages::ManifestPage>(*first));
  const auto& skipped = std::get<messages::ManifestPage>(*first).skipped;
  ASSERT_EQ(skipped.size(), kEntryErrorsReported);
  EXPECT_EQ(skipped[7], (messages::SkippedItem{"special_file", "7"}));
  EXPECT_EQ(source.said<messages::ManifestEnd>().at(0).skipped, 2 * kEntryErrorsReported);
  EXPECT_EQ(source.of.failed(), 0U);
}

TEST(Sender, WhatTheScanCouldNotReadIsAFailure) {
  Tree tree;
  Source source;
  ASSERT_TRUE(source.list(tree).ok());
  source.of.on_skipped(skip(Fault::kSourceIo, "cannot read"));
  EXPECT_EQ(source.of.failed(), 1U);
  const auto told = source.said<messages::PeerError>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].reaction, messages::Reaction::kEntryFailed);
  EXPECT_FALSE(told[0].object);
}

TEST(Sender, AnEntryTheSinkRefusesIsReported) {
  Source source;
  source.of.on_refused({"dest_exists", messages::Reaction::kEntryFailed, "\"a\" differs", kTransfer, ObjectId(3), 0});
  EXPECT_EQ(source.of.failed(), 1U);
  EXPECT_EQ(source.of.next_report()->why.fault, Fault::kDestExists);
}

}  // namespace
}  // namespace tideway::transfer
