// SPDX-License-Identifier: Apache-2.0
//
// What a sink leaves when its source goes away, and what another one makes of that. Kills, losses of power and calls that fail are tried in
// sim/copy_faults_test.cc.
#include "unit/engine/receive_copy.h"

#include <gtest/gtest.h>

#include <fstream>

namespace tideway::engine {
namespace {

TEST_F(ReceivePathTest, GoesOnAfterTheSourceVanishedAtAnyTurn) {
  const MemoryTree tree = some_tree();
  Bytes held_max;
  for (int turns = 1;; ++turns) {
    fs::remove_all(root());
    fs::create_directory(root());
    if (Copy(tree, root()).go(turns) || fs::exists(root() / "out")) break;
    ASSERT_LT(turns, 1000);
    Copy again(tree, root());
    const auto outcome = again.go();
    ASSERT_TRUE(outcome && outcome->ok()) << turns << ": " << (outcome ? outcome->error().what : "no end");
    expect_published(tree);
    held_max = std::max(held_max, again.sender().bytes_held());
  }
  EXPECT_GE(held_max, 4_MiB) << "all that was written before it vanished counts";
}

// Each run is stopped a little later than the one before it has come.
TEST_F(ReceivePathTest, ManyRunsTogetherComeToTheEnd) {
  const MemoryTree tree = some_tree();
  Bytes held;
  for (int run = 0; run < 50; ++run) {
    Copy one(tree, root());
    one.go(3);
    if (fs::exists(root() / "out")) return expect_published(tree);
    EXPECT_GE(one.sender().bytes_held(), held) << "what was safe once stays so";
    held = one.sender().bytes_held();
  }
  FAIL() << "no run came to the end";
}

TEST_F(ReceivePathTest, X04ASourceWhoseBlocksAreAllDamagedIsCutOffWithTheReason) {
  const MemoryTree tree = some_tree();
  using Damage = CopyOptions::Damage;
  for (const auto& [damage, fault] : {std::pair(Damage::kLeaf, Fault::kHashMismatch), {Damage::kFrame, Fault::kBadCompression}, {Damage::kHead, Fault::kHashMismatch}}) {
    Copy copy(tree, root(), {.damage = damage});
    const auto outcome = copy.go();
    ASSERT_TRUE(outcome && !outcome->ok());
    EXPECT_EQ(outcome->error().fault, fault) << outcome->error().what;
    EXPECT_TRUE(outcome->error().what.starts_with("65 blocks of the source came damaged, beside ")) << outcome->error().what;
    EXPECT_FALSE(fs::exists(root() / "out"));
  }
}

TEST_F(ReceivePathTest, CountsBlocksThatComeWhileOthersWaitForTheDisk) {
  MemoryTree tree;
  for (const char* name : {"a", "b", "c", "d"}) tree.put(named(name), file_of(4'194'304, 1));
  Copy slow(tree, root(), {.syncs = RottingQueue::Syncs::kHangWithWrites});
  EXPECT_FALSE(slow.go(50));
  EXPECT_EQ(slow.board().blocks.get(), 4u);
  EXPECT_EQ(slow.board().blocks_unwritten.get(), 2u);
  Copy fast(tree, root());
  const auto outcome = fast.go();
  ASSERT_TRUE(outcome && outcome->ok());
  EXPECT_EQ(fast.board().blocks_unwritten.get(), 0u);
}

// ---- what is not the same any more -----------------------------------------------------------------------------------

class ChangedSourceTest : public ReceivePathTest {
 protected:
  // All but the end of `before` arrives, then `after` is copied; gives what that run found.
  Bytes held_of(const MemoryTree& before, const MemoryTree& after) {
    fs::remove_all(root());
    fs::create_directory(root());
    EXPECT_FALSE(Copy(before, root()).go(6));
    EXPECT_EQ(staged().size(), 1U);
    Copy again(after, root());
    const auto outcome = again.go();
    EXPECT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
    if (outcome && outcome->ok()) expect_published(after);
    return again.sender().bytes_held();
  }
};

TEST_F(ChangedSourceTest, AnObjectThatChangedIsSentAnewByItself) {
  const MemoryTree before = some_tree(kLastOfTwo);
  const Bytes all = held_of(before, before);
  EXPECT_GE(all, 4_MiB + 5000_B + 4_MiB);
  MemoryTree after = before;
  after.put(named("a"), file_of(4'194'304 + 4000, 9));
  EXPECT_EQ(held_of(before, after), all - 4_MiB - 5000_B) << "another size, and as many leaves";
  after = before;
  after.put(named("a"), file_of(4'194'304 + 5000, 9));
  EXPECT_EQ(held_of(before, after), all - 4_MiB - 5000_B) << "the same size and time: only its version tells";
}

TEST_F(ChangedSourceTest, EntriesThatCameOrWentCostNoOther) {
  const MemoryTree before = some_tree(kLastOfTwo);
  const Bytes all = held_of(before, before);
  MemoryTree after = before;
  after.put(named("aa"), file_of(3, 9));
  EXPECT_EQ(held_of(before, after), all);
  after = before;
  after.remove(named("b"));
  EXPECT_EQ(held_of(before, after), all - 10_B);
}

TEST_F(ChangedSourceTest, WhatIsTakenOutOfStagingIsSentAgain) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  EXPECT_FALSE(Copy(tree, root()).go(6));
  ASSERT_EQ(staged().size(), 1U);
  fs::remove(staged().front() / "data/00000/001");
  fs::resize_file(staged().front() / "data/00000/002", 3);
  Copy again(tree, root());
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  expect_published(tree);
  EXPECT_LE(again.sender().bytes_held(), Bytes(kLastOfTwo) + 100_B);
}

TEST_F(ChangedSourceTest, ALedgerOfNonsenseProvesNothing) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  EXPECT_FALSE(Copy(tree, root()).go(6));
  ASSERT_EQ(staged().size(), 1U);
  std::ofstream(staged().front() / "ledger", std::ios::binary) << std::string(1000, 'x');
  Copy again(tree, root());
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  expect_published(tree);
  EXPECT_EQ(again.sender().bytes_held(), 0_B);
}

// ---- what is durable -------------------------------------------------------------------------------------------------

TEST_F(ReceivePathTest, TheSourceHearsOfAllThatIsDurable) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  Bytes heard;
  for (int turns = 1;; ++turns) {
    fs::remove_all(root());
    fs::create_directory(root());
    Copy first(tree, root());
    if (first.go(turns) || fs::exists(root() / "out")) break;
    ASSERT_LT(turns, 1000);
    EXPECT_LE(first.sender().bytes_durable(), first.sent());
    heard = std::max(heard, first.sender().bytes_durable());
    Copy again(tree, root());
    const auto outcome = again.go();
    ASSERT_TRUE(outcome && outcome->ok()) << turns << ": " << (outcome ? outcome->error().what : "no end");
    EXPECT_GE(again.sender().bytes_held(), first.sender().bytes_durable()) << "what was said to be durable after " << turns << " turns is not";
  }
  EXPECT_GE(heard, 8_MiB);
}

// However long its disk takes: what is written and not durable stays below the bound, with what lies in buffers.
// A source that dies then has to send only that again, because its sink syncs what it has.
TEST_F(ReceivePathTest, ASourceThatIsKilledSendsNoMoreAgainThanMayBeLost) {
  constexpr Bytes kMayBeLost = 256_MiB;
  MemoryTree tree;
  MemoryNode big;  // nearly all of it holes, which are as good as other bytes here
  big.mtime_ns = kMtime;
  big.bytes.resize((272_MiB).count());
  for (size_t leaf = 1; leaf * kLeafSize.count() <= big.bytes.size(); ++leaf) big.bytes[leaf * kLeafSize.count() - 1] = std::byte{1};
  tree.put(named("big"), std::move(big));
  CopyOptions options;
  options.syncs = RottingQueue::Syncs::kHang;
  Copy killed(tree, root(), options);
  EXPECT_FALSE(killed.go(100));
  EXPECT_EQ(killed.sender().bytes_durable(), 0_B);
  EXPECT_EQ(killed.sent(), kMayBeLost) << "with what is in buffers";
  Copy again(tree, root());
  again.go(4);
  EXPECT_LE(killed.sent() - again.sender().bytes_held(), kLeafSize * kBuffers);
}

// ---- a list that changed ----------------------------------------------------------------------------------------------

TEST_F(ReceivePathTest, WhatIsThereIsKeptWhenTheListChangesAgainAndAgain) {
  MemoryTree tree = some_tree(kLastOfTwo);
  EXPECT_FALSE(Copy(tree, root()).go(6));
  CopyOptions dying;
  dying.syncs = RottingQueue::Syncs::kHang;  // it gets as far as its last sync
  Bytes there = 8_MiB;
  for (const char* name : {"A", "B/first", "aa"}) {  // the last one between others
    tree.put(named(name), file_of(4'194'304 + 20, 9));
    Copy again(tree, root(), dying);
    EXPECT_FALSE(again.go(20)) << name;
    EXPECT_GE(again.sender().bytes_held(), there) << name;
    there = again.sender().bytes_held();
  }
  Copy last(tree, root());
  const auto outcome = last.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  EXPECT_GE(last.sender().bytes_held(), there);
  expect_published(tree);
}

TEST_F(ReceivePathTest, AFileOfTheSameNameThatIsAnotherOneIsSentAnew) {
  MemoryTree tree = some_tree(kLastOfTwo);
  EXPECT_FALSE(Copy(tree, root()).go(6));
  tree.put(named("A"), file_of(50, 9));
  tree.put(named("a"), file_of(4'194'304 + 5000, 77));
  Copy again(tree, root());
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  EXPECT_LE(again.sender().bytes_held(), 6_MiB);
  expect_published(tree);
}

// ---- whose staging it is --------------------------------------------------------------------------------------------

TEST_F(ReceivePathTest, WhatItsOwnerLeftGoesWhereItsGrantHasNoRoomForBoth) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  CopyOptions first;
  first.staging = {std::byte{6}};
  EXPECT_FALSE(Copy(tree, root(), first).go(6));
  ASSERT_EQ(staged().size(), 1U);
  const fs::path left = staged().front();
  CopyOptions second;
  second.bytes_max = 32_MiB;
  EXPECT_FALSE(Copy(tree, root(), second).go(6));
  EXPECT_TRUE(fs::exists(left)) << "there is room for both";
  second.bytes_max = 11_MiB;
  const auto outcome = Copy(tree, root(), second).go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  EXPECT_FALSE(fs::exists(left));
}

TEST_F(ReceivePathTest, WhatThereIsOfATransferIsKnownFromItsAccount) {
  const MemoryTree tree = some_tree(kLastOfTwo);
  Copy killed(tree, root());
  EXPECT_FALSE(killed.go(6));
  const auto dir = storage::RootedDir::open_host_path(root().string(), storage::Side::kDestination).value();
  const Bytes staged = storage::staged_bytes(dir);
  EXPECT_GE(staged, killed.sender().bytes_durable());
  EXPECT_GE(staged, 4_MiB);
}

// ---- a host that was started anew --------------------------------------------------------------------------------------

class RebootTest : public ReceivePathTest {
 protected:
  static constexpr transfer::BootId kFirst{std::byte{1}}, kSecond{std::byte{2}};
  const MemoryTree tree_ = some_tree(kLastOfTwo);
  static CopyOptions on(const transfer::BootId& boot, messages::ResumeVerify verify = messages::ResumeVerify::kAuto) {
    CopyOptions options;
    options.boot = boot;
    options.resume_verify = verify;
    return options;
  }
  // All but the end arrives, and a byte of the first leaf of `a` is another one then.
  void leave_damaged() {
    EXPECT_FALSE(Copy(tree_, root(), on(kFirst)).go(6));
    ASSERT_EQ(staged().size(), 1U);
    const fs::path a = staged().front() / "data/00000/001";
    const auto time = fs::last_write_time(a);
    std::fstream(a, std::ios::in | std::ios::out | std::ios::binary).seekp(1000).put('\0');
    fs::last_write_time(a, time);  // else a look at the file tells
  }
  Bytes held_by(const CopyOptions& options) {
    Copy again(tree_, root(), options);
    const auto outcome = again.go();
    EXPECT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
    return again.sender().bytes_held();
  }
};

TEST_F(RebootTest, WhatIsDamagedThenIsSentAgainAndTheRestIsNot) {
  EXPECT_FALSE(Copy(tree_, root(), on(kFirst)).go(6));
  const Bytes all = held_by(on(kSecond));
  expect_published(tree_);
  EXPECT_GE(all, 4_MiB + 5000_B + 4_MiB);
  fs::remove_all(root());
  fs::create_directory(root());
  leave_damaged();
  EXPECT_EQ(held_by(on(kSecond)), all - 4_MiB);
  expect_published(tree_);
}

TEST_F(RebootTest, WithoutOneTheLedgersWordIsTakenUnlessAllIsAskedFor) {
  leave_damaged();
  held_by(on(kFirst));
  EXPECT_EQ(dir_.read("root/out/a")[1000], '\0') << "this level says nothing of the disk";
  fs::remove_all(root());
  fs::create_directory(root());
  leave_damaged();
  held_by(on(kFirst, messages::ResumeVerify::kAll));
  expect_published(tree_);
}

TEST_F(RebootTest, NothingIsReadAgainForOneWhoDoesNotWantIt) {
  leave_damaged();
  held_by(on(kSecond, messages::ResumeVerify::kNone));
  EXPECT_EQ(dir_.read("root/out/a")[1000], '\0');
}

TEST_F(RebootTest, WhoeverDiesWhileItLooksLeavesTheRestDoubtful) {
  for (int turns = 1; turns <= 6; ++turns) {  // a leaf in each
    fs::remove_all(root());
    fs::create_directory(root());
    leave_damaged();
    ASSERT_FALSE(Copy(tree_, root(), on(kSecond)).go(turns));
    held_by(on(kSecond));
    expect_published(tree_);
  }
}

TEST_F(RebootTest, WhatGetsAnotherNumberThenIsLookedAtAsWell) {
  leave_damaged();
  MemoryTree tree = tree_;
  tree.put(named("A"), file_of(30, 8));
  Copy again(tree, root(), on(kSecond));
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  EXPECT_GE(again.sender().bytes_held(), 4_MiB) << "what is sound is not sent";
  expect_published(tree);
}

TEST_F(RebootTest, X08WhoSendsPagesWithoutEndMeanwhileIsCutOff) {
  leave_damaged();
  Copy again(tree_, root(), on(kSecond));
  again.flood(transfer::kPagesUnansweredMax + 1);
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && !outcome->ok());
  EXPECT_EQ(outcome->error().fault, Fault::kLimitExceeded) << outcome->error().what;
}

TEST_F(RebootTest, AFileThatCannotBeReadIsSentAgain) {
  EXPECT_FALSE(Copy(tree_, root(), on(kFirst)).go(6));
  fs::resize_file(staged().front() / "data/00000/001", 4'194'304);  // its second leaf is gone
  held_by(on(kSecond));
  expect_published(tree_);
}

// ---- reading back ----------------------------------------------------------------------------------------------------

class ReadBackTest : public ReceivePathTest {
 protected:
  const MemoryTree tree_ = some_tree();
  std::unique_ptr<Copy> run(messages::VerifyLevel level, int rotten) {
    auto copy = std::make_unique<Copy>(tree_, root(), CopyOptions{level, rotten});
    outcome_ = copy->go();
    EXPECT_TRUE(outcome_) << "it does not end";
    return copy;
  }
  std::optional<Result<TransferDone::Outcome>> outcome_;
};

TEST_F(ReadBackTest, ReadsEachLeafOnceAndPublishes) {
  const auto copy = run(messages::VerifyLevel::kReadback, 0);
  ASSERT_TRUE(outcome_->ok()) << outcome_->error().what;
  expect_published(tree_);
  EXPECT_EQ(copy->reads(), 5) << "two of a, and one each of b, c/e and z";
  const uint64_t size = 4'194'304 + 5000 + 10 + 100 + kLastOfOne;
  EXPECT_EQ(copy->io_board().bytes_read_back.get(), size);
  EXPECT_GT(copy->unverified_most(), 0_B);
  EXPECT_LE(copy->unverified_most(), Bytes(size));
  EXPECT_EQ(copy->board().leaves_rejected.get(), 0U);
}

// They used to be four, behind whatever was being written: a device had all that waited to be written, and then nothing but reads.
TEST_F(ReadBackTest, ADeviceThatReadsAndWritesHasAsMuchOfBothToDo) {
  MemoryTree large;
  MemoryNode file;
  file.mtime_ns = kMtime;
  file.bytes.assign(18 * kLeafSize.count(), std::byte{1});
  large.put(named("a"), file);
  Copy copy(large, root(), {.verify = messages::VerifyLevel::kReadback, .buffers = 2 * LeafBuffers::kCount});
  copy.queue().polls_per_request = 3;
  const auto outcome = copy.go();
  ASSERT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
  expect_published(large);
  EXPECT_EQ(copy.queue().reads_at_once, LeafBuffers::kCount);
  EXPECT_GT(copy.queue().writes_beside, 0U);
  EXPECT_LE(copy.queue().writes_beside, LeafBuffers::kCount);
}

TEST_F(ReadBackTest, WhatTheDeviceChangedIsSentAgainAndCounted) {
  const auto copy = run(messages::VerifyLevel::kReadback, 2);
  ASSERT_TRUE(outcome_->ok()) << outcome_->error().what;
  expect_published(tree_);
  EXPECT_EQ(copy->board().leaves_rejected.get(), 2U);
  EXPECT_EQ(copy->sender().rejected(), 2U);
}

TEST_F(ReadBackTest, ADeviceThatChangesALeafTwiceEndsTheTransfer) {
  run(messages::VerifyLevel::kReadback, 1'000);
  ASSERT_FALSE(outcome_->ok());
  EXPECT_EQ(outcome_->error().fault, Fault::kHashMismatch);
  EXPECT_FALSE(fs::exists(root() / "out"));
}

TEST_F(ReadBackTest, AtALowerLevelTheSameDamageIsPublished) {
  const auto copy = run(messages::VerifyLevel::kMemory, 1);
  ASSERT_TRUE(outcome_->ok()) << outcome_->error().what;
  EXPECT_EQ(copy->io_board().bytes_read_back.get(), 0U);
  EXPECT_EQ(copy->unverified_most(), 0_B);
  EXPECT_NE(dir_.read("root/out/a")[7], static_cast<char>(tree_.find(named("a"))->bytes[7]));
}

TEST_F(ReadBackTest, AKillAtAnyCallLeavesNothingThatWasNotReadBack) {
  for (int turns = 2;; turns += 3) {
    fs::remove_all(root());
    fs::create_directory(root());
    if (Copy(tree_, root(), {messages::VerifyLevel::kReadback, 2}).go(turns)) break;
    ASSERT_LT(turns, 1000);
    const auto outcome = Copy(tree_, root(), {messages::VerifyLevel::kReadback, 0}).go();
    ASSERT_TRUE(outcome && outcome->ok()) << turns << ": " << (outcome ? outcome->error().what : "no end");
    expect_published(tree_);
  }
}

TEST(ReadBackUnavailable, IsRefusedBeforeAnythingIsStaged) {
  const fs::path memory = "/dev/shm";
  if (!fs::exists(memory)) GTEST_SKIP() << "no file system in memory here";
  const fs::path root = memory / ("tideway-read-back-" + std::to_string(::getpid()));
  fs::create_directory(root);
  const MemoryTree tree = some_tree();
  const auto outcome = Copy(tree, root, {messages::VerifyLevel::kReadback, 0}).go();
  EXPECT_TRUE(fs::is_empty(root));
  fs::remove_all(root);
  ASSERT_TRUE(outcome && !outcome->ok());
  EXPECT_EQ(outcome->error().fault, Fault::kVerifyUnavailable);
}

}  // namespace
}  // namespace tideway::engine
