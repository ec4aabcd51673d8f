// SPDX-License-Identifier: Apache-2.0
#include "transfer/receiver.h"

#include "unit/transfer/trees.h"

namespace tideway::transfer {
namespace {

constexpr BlockKey key_of(uint32_t block) { return {SlotId(1), BlockId(block)}; }

// A receiver, and what an engine does with it.
struct Sink {
  explicit Sink(Answers answers = Answers::kEverythingNeeded, ReceiverLimits limits = {})
      : of({.transfer = kTransfer, .answers = answers, .limits = limits}) {}

  Status page(const Tree& tree, std::span<const Existing> existing = {}) { return of.on_page(tree.page(), existing); }
  // A block of one leaf arrives and is written.
  Status store(const block::Segment& segment) {
    const auto claimed = of.claim(segment);
    if (!claimed.ok()) return claimed.error();
    std::vector<block::Segment> written;
    if (claimed.value()) written.push_back(segment);
    return of.on_stored(key_of(next_block++), written, hashes);
  }
  Status store_all(const Tree& tree) {
    for (const ManifestEntry& entry : tree.entries)
      for (uint32_t leaf = 0; leaf < leaf_count(entry.size); ++leaf)
        if (Status status = store(segment_of(entry.number, leaf, entry.size)); !status.ok()) return status;
    return success();
  }
  Status end_object(ObjectId object, Bytes size) {
    return of.on_object_end({kTransfer, {{object, 0, size, root_of(object, size)}}});
  }
  Status end_all(const Tree& tree) {
    for (const ManifestEntry& entry : tree.entries)
      if (entry.size > 0_B)
        if (Status status = end_object(entry.number, entry.size); !status.ok()) return status;
    return success();
  }
  Status end_list(const Tree& tree, uint64_t skipped = 0) {
    return of.on_manifest_end({kTransfer, tree.entries.size(), tree.bytes(), skipped});
  }
  size_t close_all() {
    size_t closed = 0;
    for (; of.next_close(); ++closed) of.on_closed();
    return closed;
  }
  template <typename Message>
  std::vector<Message> said() {
    std::vector<Message> found;
    while (auto message = of.next_message())
      if (auto* one = std::get_if<Message>(&*message)) found.push_back(*one);
    return found;
  }

  Receiver of;
  uint32_t next_block = 0;
  std::vector<Receiver::StoredLeaf> hashes;
};

Fault fault_of(const Status& status) { return status.ok() ? Fault::kNothingToDo : status.error().fault; }

// ---- a transfer that goes well -------------------------------------------------------------------------------------

TEST(Receiver, IsCompleteWhenEverythingNamedIsClosedAndTheRootAgrees) {
  Tree tree;
  tree.file(9_MiB);
  tree.file(0_B);
  tree.file(5_B);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  ASSERT_TRUE(sink.store_all(tree).ok());
  EXPECT_FALSE(sink.of.next_close()) << "no object has ended";
  ASSERT_TRUE(sink.end_all(tree).ok());
  ASSERT_TRUE(sink.end_list(tree).ok());
  ASSERT_TRUE(sink.of.on_root({kTransfer, tree.root()}).ok());
  EXPECT_FALSE(sink.of.is_complete()) << "while the store closes files";
  EXPECT_EQ(sink.close_all(), 2U);
  ASSERT_TRUE(sink.of.is_complete());
  EXPECT_EQ(sink.of.verdict().value(), tree.root());
  EXPECT_EQ(sink.of.bytes_stored(), tree.bytes());
  EXPECT_EQ(sink.hashes.size(), 4U);
}

TEST(Receiver, EndsMayComeBeforeTheData) {
  Tree tree;
  tree.file(9_MiB);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  ASSERT_TRUE(sink.end_all(tree).ok());
  EXPECT_FALSE(sink.of.next_close());
  ASSERT_TRUE(sink.store_all(tree).ok());
  EXPECT_TRUE(sink.of.next_close());
}

TEST(Receiver, ABlockThatOvertakesItsPageWaitsForIt) {
  Tree tree;
  const ObjectId file = tree.file(5_B);
  Sink sink;
  const block::Segment leaf = segment_of(file, 0, 5_B);
  EXPECT_EQ(sink.of.judge({&leaf, 1}).value(), Receiver::Verdict::kWaits);
  ASSERT_TRUE(sink.page(tree).ok());
  EXPECT_EQ(sink.of.judge({&leaf, 1}).value(), Receiver::Verdict::kWrite);
}

TEST(Receiver, LeavesAreNumberedThroughTheTransfer) {
  Tree tree;
  tree.file(9_MiB);
  const ObjectId second = tree.file(5_B);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  ASSERT_TRUE(sink.store(segment_of(second, 0, 5_B)).ok());
  EXPECT_EQ(sink.hashes.back().leaf, 3U);
  EXPECT_EQ(sink.of.leaves(), 4U);
}

// ---- what it says --------------------------------------------------------------------------------------------------

TEST(Receiver, AnswersPerPageWhatIsThereAlready) {
  Tree tree;
  const ObjectId same = tree.file(5_B);
  const ObjectId other = tree.file(6_B);
  tree.file(7_B);
  Sink sink(Answers::kPerPage);
  const Existing existing[] = {Existing::kSame, Existing::kSame, Existing::kDifferent, Existing::kAbsent};
  ASSERT_TRUE(sink.page(tree, existing).ok());
  EXPECT_EQ(sink.of.kept(), 1U);
  EXPECT_EQ(sink.of.failed(), 1U);
  const auto first = sink.of.next_message();
  ASSERT_TRUE(first && std::holds_alternative<messages::PeerError>(*first));
  EXPECT_EQ(std::get<messages::PeerError>(*first).object, other);
  EXPECT_EQ(std::get<messages::PeerError>(*first).reaction, messages::Reaction::kEntryFailed);
  const auto needs = sink.said<messages::Needs>();
  ASSERT_EQ(needs.size(), 1U);
  EXPECT_EQ(needs[0].kind, messages::NeedsKind::kAllBut);
  EXPECT_EQ(needs[0].kept, (std::vector{same, other}));
  EXPECT_FALSE(sink.of.claim(segment_of(same, 0, 5_B)).value()) << "what is kept is not written";
}

TEST(Receiver, NamesWhatDiffersByItsPath) {
  Tree tree;
  tree.put(EntryType::kDirectory, "sub");
  tree.put(EntryType::kFile, "b", 5_B);
  tree.entries.back().parent = ObjectId(1);
  Sink sink(Answers::kPerPage);
  const Existing existing[] = {Existing::kSame, Existing::kSame, Existing::kDifferent};
  ASSERT_TRUE(sink.page(tree, existing).ok());
  EXPECT_EQ(sink.said<messages::PeerError>().at(0).detail, "\"sub/b\" is at the destination already and differs");
}

TEST(Receiver, AsksForAllOfAPageWhenNothingIsThere) {
  Tree tree;
  tree.file(5_B);
  Sink sink(Answers::kPerPage);
  const Existing existing[] = {Existing::kSame, Existing::kAbsent};
  ASSERT_TRUE(sink.page(tree, existing).ok());
  EXPECT_EQ(sink.said<messages::Needs>().at(0).kind, messages::NeedsKind::kAll);
}

TEST(Receiver, TellsDeliveredBlocksTogetherAndInOrder) {
  Tree tree;
  const ObjectId file = tree.file(40_MiB);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  for (const uint32_t block : {4U, 0U, 1U, 7U, 2U}) {
    const block::Segment leaf = segment_of(file, block, 40_MiB);
    ASSERT_TRUE(sink.of.claim(leaf).value());
    ASSERT_TRUE(sink.of.on_stored(key_of(block), {&leaf, 1}, sink.hashes).ok());
  }
  sink.of.flush_delivered();
  const auto told = sink.said<messages::BlocksDelivered>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].ranges, (std::vector<messages::BlockRange>{{BlockId(0), 3}, {BlockId(4), 1}, {BlockId(7), 1}}));
}

TEST(Receiver, DeliveredBlocksGatherWhileTheLastWordWaits) {
  Tree tree;
  const ObjectId file = tree.file(400_MiB);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  for (uint32_t leaf = 0; leaf < 100; ++leaf) {
    ASSERT_TRUE(sink.store(segment_of(file, leaf, 400_MiB)).ok());
    sink.of.flush_delivered();
  }
  EXPECT_EQ(sink.said<messages::BlocksDelivered>().size(), 1U);
  sink.of.flush_delivered();
  const auto rest = sink.said<messages::BlocksDelivered>();
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].ranges, (std::vector<messages::BlockRange>{{BlockId(1), 99}}));
}

TEST(Receiver, BadSegmentsAreAskedForAgain) {
  Tree tree;
  const ObjectId file = tree.file(9_MiB);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  const block::Segment bad = segment_of(file, 1, 9_MiB);
  ASSERT_TRUE(sink.of.on_damaged(key_of(3), {&bad, 1}, Fault::kHashMismatch).ok());
  const auto rejected = sink.said<messages::SegmentsRejected>();
  ASSERT_EQ(rejected.size(), 1U);
  EXPECT_EQ(rejected[0].block, BlockId(3));
  EXPECT_EQ(rejected[0].segments, (std::vector<messages::RejectedSegment>{{file, 1}}));
  EXPECT_TRUE(sink.of.claim(segment_of(file, 1, 9_MiB, 1)).value()) << "what was refused was not claimed";
}

TEST(Receiver, ASourceWhoseBlocksComeDamagedWithoutEndIsCutOffWithTheReason) {
  Tree tree;
  const ObjectId file = tree.file(4_GiB);
  for (const Fault because : {Fault::kHashMismatch, Fault::kBadCompression}) {
    Sink sink;
    ASSERT_TRUE(sink.page(tree).ok());
    const block::Segment bad = segment_of(file, 1000, 4_GiB);
    for (uint64_t block = 1; block <= kDamagedBlocksMax; ++block) ASSERT_TRUE(sink.of.on_damaged(key_of(0), {&bad, 1}, because).ok()) << block;
    EXPECT_EQ(sink.said<messages::SegmentsRejected>().at(0).code, row_of(because).name);
    // One more for so many that were sound, and as many as it likes that are no fault of the source.
    for (uint32_t leaf = 0; leaf < kSoundBlocksEach; ++leaf) ASSERT_TRUE(sink.store(segment_of(file, leaf, 4_GiB)).ok());
    ASSERT_TRUE(sink.of.on_damaged(key_of(0), {&bad, 1}, because).ok());
    for (uint64_t block = 0; block < 200; ++block) sink.of.on_unknown(key_of(0), {&bad, 1});
    for (uint64_t block = 0; block < 200; ++block) sink.of.on_read_back_wrong(key_of(0), {&bad, 1});
    for (uint64_t block = 0; block < 200; ++block) ASSERT_TRUE(sink.of.on_stored(key_of(0), {}, sink.hashes).ok());  // what was there already
    const Status status = sink.of.on_damaged(key_of(0), {}, because);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().fault, because);
    EXPECT_EQ(status.error().what, "66 blocks of the source came damaged, beside 64 that were sound");
  }
}

TEST(Receiver, WhatTheSourceSkippedIsReportedAndCounted) {
  Tree tree;
  messages::ManifestPage page = tree.page();
  page.skipped = {{"special_file", "\"pipe\" is a FIFO"}, {"unsafe_link", "\"l\" points away"}, {"denied", "odd"}};
  Sink sink;
  ASSERT_TRUE(sink.of.on_page(page, {}).ok());
  EXPECT_EQ(sink.of.next_report()->why.fault, Fault::kSpecialFile);
  const auto second = sink.of.next_report();
  EXPECT_EQ(second->why.fault, Fault::kUnsafeLink);
  EXPECT_EQ(second->why.what, "\"l\" points away");
  EXPECT_EQ(sink.of.next_report()->why.exit_code(), 12) << "a skip is no failure, whatever the peer calls it";
  EXPECT_FALSE(sink.of.next_report());
  ASSERT_TRUE(sink.end_list(tree, 1234).ok());
  EXPECT_EQ(sink.of.skipped(), 1234U);
  EXPECT_EQ(sink.of.failed(), 0U);
  ASSERT_TRUE(sink.of.on_root({kTransfer, tree.root()}).ok());
  EXPECT_TRUE(sink.of.is_complete() && sink.of.verdict().ok()) << "the rest is published";
}

TEST(Receiver, AListReportsSkipsToo) {
  Tree tree;
  messages::ManifestPage page = tree.page();
  page.skipped = {{"special_file", "a"}};
  Sink sink;
  ASSERT_TRUE(sink.of.on_listed_page(page).ok());
  EXPECT_TRUE(sink.of.next_report());
}

TEST(Receiver, X08AListEndsAtItsLimits) {
  Tree tree;
  for (int i = 0; i < 9; ++i) tree.file(1_MiB);
  for (const ReceiverLimits& limits : {ReceiverLimits{.entries_max = 9}, ReceiverLimits{.bytes_max = 8_MiB}}) {
    Receiver sink({.transfer = kTransfer, .limits = limits});
    const Status status = sink.on_listed_page(tree.page());
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().fault, Fault::kLimitExceeded);
  }
  Receiver sink({.transfer = kTransfer, .limits = {.entries_max = 10, .bytes_max = 9_MiB}});
  EXPECT_TRUE(sink.on_listed_page(tree.page()).ok());
}

// ---- what an earlier run left --------------------------------------------------------------------------------------

// A run before this one left these leaves of each object.
HeldLeaves left(const std::map<ObjectId, std::vector<uint32_t>>& leaves) {
  return [&leaves](const ManifestEntry& entry, const TakeLeaves& take) {
    const auto found = leaves.find(entry.number);
    if (found == leaves.end()) return;
    for (const uint32_t leaf : found->second) {
      const Hash128 hash = segment_of(entry.number, leaf, entry.size).hash;
      take(leaf, {&hash, 1});
    }
  };
}

TEST(Receiver, TakesWhatIsHeldAndAsksForTheRest) {
  Tree tree;
  const ObjectId whole = tree.file(9_MiB);
  const ObjectId partial = tree.file(30_MiB);
  const ObjectId small = tree.file(5_B);
  const ObjectId absent = tree.file(6_B);
  const std::map<ObjectId, std::vector<uint32_t>> leaves = {{whole, {0, 1, 2}}, {partial, {0, 1, 5, 7}}, {small, {0}}};
  Sink sink(Answers::kPerPage);
  const std::vector<Existing> existing(tree.entries.size(), Existing::kAbsent);
  ASSERT_TRUE(sink.of.on_page(tree.page(), existing, left(leaves)).ok());
  EXPECT_FALSE(sink.of.is_open(whole));
  EXPECT_TRUE(sink.of.is_open(partial));
  EXPECT_EQ(sink.of.bytes_held(), 9_MiB + 14_MiB + 5_B);
  auto first = sink.of.next_message();
  ASSERT_TRUE(first && std::holds_alternative<messages::ObjectsHeld>(*first)) << "before the answer to the page";
  const auto& objects = std::get<messages::ObjectsHeld>(*first).objects;
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects[0].leaves, 3U);
  EXPECT_EQ(objects[0].tops.size(), 2U);
  EXPECT_EQ(objects[1].leaves, 2U);
  ASSERT_EQ(objects[1].runs.size(), 2U);
  EXPECT_EQ(objects[1].runs[1].first, 7U);
  EXPECT_EQ(sink.said<messages::Needs>().at(0).kind, messages::NeedsKind::kAll);
  for (const uint32_t leaf : {2U, 3U, 4U, 6U}) ASSERT_TRUE(sink.store(segment_of(partial, leaf, 30_MiB)).ok());
  ASSERT_TRUE(sink.store(segment_of(absent, 0, 6_B)).ok());
  EXPECT_FALSE(sink.of.claim(segment_of(partial, 1, 30_MiB)).value()) << "what is held is not written again";
  ASSERT_TRUE(sink.end_object(partial, 30_MiB).ok());
  ASSERT_TRUE(sink.end_object(absent, 6_B).ok());
  ASSERT_TRUE(sink.end_list(tree).ok());
  ASSERT_TRUE(sink.of.on_root({kTransfer, tree.root()}).ok());
  EXPECT_EQ(sink.close_all(), 2U);
  ASSERT_TRUE(sink.of.is_complete());
  EXPECT_EQ(sink.of.verdict().value(), tree.root());
}

TEST(Receiver, TheLeafThatCompletesAnObjectCountsWhenItIsClosed) {
  Tree tree;
  const ObjectId file = tree.file(9_MiB);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  for (const uint32_t leaf : {2U, 0U, 1U}) ASSERT_TRUE(sink.store(segment_of(file, leaf, 9_MiB)).ok());
  using Counts = Receiver::StoredLeaf::Counts;
  EXPECT_EQ(sink.hashes[0].counts, Counts::kNow);
  EXPECT_EQ(sink.hashes[1].counts, Counts::kNow);
  EXPECT_EQ(sink.hashes[2].counts, Counts::kWhenClosed);
  ASSERT_TRUE(sink.end_object(file, 9_MiB).ok());
  EXPECT_EQ(sink.of.next_close()->last_leaf, 1U);
}

TEST(Receiver, WhatIsHeldFitsItsMessages) {
  Tree tree;
  std::map<ObjectId, std::vector<uint32_t>> leaves;
  constexpr Bytes kSize = kLeafSize * 1024;
  for (int i = 0; i < 300; ++i) {  // ten subtrees each
    auto& all = leaves[tree.file(kSize)];
    for (uint32_t leaf = 0; leaf < 1023; ++leaf) all.push_back(leaf);
  }
  auto& odd = leaves[tree.file(kLeafSize * 10'000)];
  for (uint32_t leaf = 1; leaf < 10'000; leaf += 2) odd.push_back(leaf);
  auto& behind_one = leaves[tree.file(kLeafSize * 50'000)];
  for (uint32_t leaf = 1; leaf < 50'000; ++leaf) behind_one.push_back(leaf);
  Sink sink(Answers::kPerPage);
  const std::vector<Existing> existing(tree.entries.size(), Existing::kAbsent);
  ASSERT_TRUE(sink.of.on_page(tree.page(), existing, left(leaves)).ok());
  std::set<ObjectId> objects;
  size_t hashes = 0;
  for (const auto& held : sink.said<messages::ObjectsHeld>()) {
    const std::string body = messages::serialize(held);
    EXPECT_TRUE(messages::parse_objects_held(std::as_bytes(std::span(body))).ok());
    for (const auto& object : held.objects) {
      objects.insert(object.object);
      for (const auto& run : object.runs) hashes += run.hashes.size();
    }
  }
  EXPECT_EQ(objects.size(), 302U);
  EXPECT_EQ(hashes, kHeldEarlyMax) << "what lies further behind the gap is sent again";
  EXPECT_EQ(sink.of.bytes_held(), kSize * 300 - kLeafSize * 300 + kLeafSize * kHeldEarlyMax);
}

// ---- failures ------------------------------------------------------------------------------------------------------

TEST(Receiver, AFailedEntryIsReportedAndNothingIsPublished) {
  Tree tree;
  const ObjectId bad = tree.file(5_B);
  tree.file(6_B);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  ASSERT_TRUE(sink.of.on_entry_failed(bad, {Fault::kSourceChanged, "changed", ""}).ok());
  EXPECT_EQ(sink.of.next_report()->why.fault, Fault::kSourceChanged);
  EXPECT_FALSE(sink.of.claim(segment_of(bad, 0, 5_B)).value()) << "its late data is not written";
  ASSERT_TRUE(sink.store(segment_of(ObjectId(2), 0, 6_B)).ok());
  ASSERT_TRUE(sink.end_object(ObjectId(2), 6_B).ok());
  ASSERT_TRUE(sink.end_list(tree).ok());
  ASSERT_TRUE(sink.of.on_root({kTransfer, {}}).ok());
  sink.close_all();
  ASSERT_TRUE(sink.of.is_complete());
  EXPECT_EQ(sink.of.verdict().error().fault, Fault::kEntriesFailed);
}

TEST(Receiver, AnotherRootThanTheSourcesIsNotPublished) {
  Tree tree;
  tree.file(5_B);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  ASSERT_TRUE(sink.store_all(tree).ok());
  ASSERT_TRUE(sink.end_all(tree).ok());
  ASSERT_TRUE(sink.end_list(tree).ok());
  ASSERT_TRUE(sink.of.on_root({kTransfer, {}}).ok());
  sink.close_all();
  ASSERT_TRUE(sink.of.is_complete());
  EXPECT_EQ(sink.of.verdict().error().fault, Fault::kManifestMismatch);
}

TEST(Receiver, AnObjectWithAnotherRootIsHashMismatch) {
  Tree tree;
  const ObjectId file = tree.file(5_B);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  ASSERT_TRUE(sink.store_all(tree).ok());
  EXPECT_EQ(fault_of(sink.of.on_object_end({kTransfer, {{file, 0, 5_B, {}}}})), Fault::kHashMismatch);
}

TEST(Receiver, WhatThePeerMayNotSayIsProtocolError) {
  Tree tree;
  const ObjectId file = tree.file(9_MiB);
  const auto fresh = [&] {
    Sink sink;
    EXPECT_TRUE(sink.page(tree).ok());
    return sink;
  };
  const auto refused = [](const auto& result) { return !result.ok() && result.error().fault == Fault::kProtocolError; };
  const auto judged = [&](Sink sink, const block::Segment& segment) { return sink.of.judge({&segment, 1}); };
  EXPECT_TRUE(refused(fresh().page(tree))) << "a page twice";
  EXPECT_TRUE(refused(fresh().of.on_manifest_end({kTransfer, 3, tree.bytes()}))) << "a wrong count";
  EXPECT_TRUE(refused(fresh().of.on_root({kTransfer, {}}))) << "before the end of the list";
  EXPECT_TRUE(refused(fresh().end_object(ObjectId(0), 1_B))) << "of a directory";
  EXPECT_TRUE(refused(fresh().end_object(file, 1_B))) << "with another size";
  EXPECT_TRUE(refused(fresh().of.on_entry_failed(ObjectId(9), {Fault::kSourceIo, "", ""})));
  EXPECT_TRUE(refused(judged(fresh(), {file, 3, 1, {}}))) << "a leaf beyond the end";
  EXPECT_TRUE(refused(judged(fresh(), {file, 2, 2, {}}))) << "of another length";
  Sink ended = fresh();
  ASSERT_TRUE(ended.end_object(file, 9_MiB).ok());
  EXPECT_TRUE(refused(ended.end_object(file, 9_MiB))) << "ended twice";
  ASSERT_TRUE(ended.end_list(tree).ok());
  EXPECT_TRUE(refused(judged(std::move(ended), {ObjectId(99), 0, 1, {}}))) << "data for what was never named";
}

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

// ---- limits --------------------------------------------------------------------------------------------------------

TEST(Receiver, TheLargestFilesCostNoMemoryUntilTheirDataComes) {
  Tree tree;
  for (int i = 0; i < 1000; ++i) tree.file(kObjectSizeMax);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok()) << "a bit per leaf would be 500 GB";
  const ObjectId last(1000);
  EXPECT_TRUE(sink.store(segment_of(last, UINT32_MAX - 1, kObjectSizeMax)).ok());
  EXPECT_FALSE(sink.of.claim(segment_of(last, UINT32_MAX - 1, kObjectSizeMax)).value());
}

TEST(Receiver, SizesThatRunOverAreRefusedAndNotAdded) {
  Tree tree;
  for (int i = 0; i < 1025; ++i) tree.file(kObjectSizeMax);
  EXPECT_EQ(fault_of(Sink().page(tree)), Fault::kLimitExceeded) << "2^64 and more";
}

TEST(Receiver, TheGrantsLimitsHold) {
  Tree tree;
  tree.file(5_B);
  tree.file(6_B);
  EXPECT_TRUE(Sink(Answers::kEverythingNeeded, {.entries_max = 3, .bytes_max = 11_B}).page(tree).ok());
  EXPECT_EQ(fault_of(Sink(Answers::kEverythingNeeded, {.entries_max = 2}).page(tree)), Fault::kLimitExceeded);
  EXPECT_EQ(fault_of(Sink(Answers::kEverythingNeeded, {.bytes_max = 10_B}).page(tree)), Fault::kLimitExceeded);
}

TEST(Receiver, WhatDoesNotFitIsRefusedBeforeItComes) {
  Tree tree;
  tree.file(5_B);
  tree.file(6_B);
  EXPECT_TRUE(Sink(Answers::kEverythingNeeded, {.free_space = 11_B}).page(tree).ok());
  EXPECT_EQ(fault_of(Sink(Answers::kEverythingNeeded, {.free_space = 10_B}).page(tree)), Fault::kDestFull);
  const Existing existing[] = {Existing::kSame, Existing::kSame, Existing::kAbsent};
  EXPECT_TRUE(Sink(Answers::kPerPage, {.free_space = 6_B}).page(tree, existing).ok()) << "what is there needs no room";
}

TEST(Receiver, ASourceTooFarAheadOfItsDataIsRefused) {
  Sink sink;
  Tree tree;
  tree.file(1_B);  // never comes; behind it even what needs no data is kept
  Status status = success();
  uint32_t number = 0;
  size_t named = 0;
  for (; status.ok() && number < 200; ++number) {
    while (tree.entries.size() % 1000 != 0) tree.file(0_B);
    const messages::ManifestPage page{.transfer = kTransfer, .page = number, .entries = {tree.entries.begin() + static_cast<std::ptrdiff_t>(named), tree.entries.end()}};
    named = tree.entries.size();
    tree.file(0_B);
    status = sink.of.on_page(page, {});
  }
  EXPECT_EQ(fault_of(status), Fault::kLimitExceeded);
  EXPECT_EQ(named, kOpenEntriesMax / 1000 * 1000 + 1000);
}

TEST(Receiver, LeavesBehindAGapAreBounded) {
  Tree tree;
  const Bytes size = kLeafSize * 200'000;
  const ObjectId file = tree.file(size);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  uint32_t leaf = 1;
  while (leaf <= kEarlyLeavesMax) ASSERT_TRUE(sink.store(segment_of(file, leaf++, size)).ok());
  EXPECT_EQ(fault_of(sink.store(segment_of(file, leaf, size))), Fault::kLimitExceeded);
}

TEST(Receiver, ASourceThatDoesNotReadIsNotTalkedToForEver) {
  Tree tree;
  const ObjectId file = tree.file(9_MiB);
  Sink sink;
  ASSERT_TRUE(sink.page(tree).ok());
  const block::Segment bad = segment_of(file, 1, 9_MiB);
  for (size_t i = 0; i < 2 * kReceiverMessagesMax; ++i) sink.of.on_unknown(key_of(3), {&bad, 1});
  EXPECT_EQ(fault_of(sink.store(segment_of(file, 0, 9_MiB))), Fault::kLimitExceeded);
  EXPECT_EQ(sink.said<messages::SegmentsRejected>().size(), kReceiverMessagesMax);
}

TEST(Receiver, PagesWithoutAnEndToTheirAnswersAreRefused) {
  Sink sink(Answers::kPerPage);
  Tree tree;
  const Existing absent[] = {Existing::kAbsent};
  Status status = success();
  uint32_t number = 0;
  for (; status.ok() && number < 100; ++number) {
    if (number > 0) tree.file(0_B);
    const messages::ManifestPage page{.transfer = kTransfer, .page = number, .entries = {tree.entries.back()}};
    status = sink.of.on_page(page, absent);
  }
  EXPECT_EQ(fault_of(status), Fault::kProtocolError);
  EXPECT_EQ(number, kPagesUnansweredMax + 1);
}

TEST(Receiver, OnlyTheFirstRefusedEntriesAreTold) {
  Tree tree;
  for (int i = 0; i < 3000; ++i) tree.file(1_B);
  Sink sink(Answers::kPerPage);
  const std::vector<Existing> existing(tree.entries.size(), Existing::kDifferent);
  ASSERT_TRUE(sink.page(tree, existing).ok());
  EXPECT_EQ(sink.said<messages::PeerError>().size(), kEntryErrorsReported);
  EXPECT_EQ(sink.of.failed(), 3001U) << "the verdict counts them all";
}

}  // namespace
}  // namespace tideway::transfer
