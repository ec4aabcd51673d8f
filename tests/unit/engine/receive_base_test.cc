// SPDX-License-Identifier: Apache-2.0
//
// What of a transfer need not cross because an earlier checkpoint beside its destination has it, and what one replica brought for another.
#include "transfer/ahead_name.h"
#include "unit/engine/receive_copy.h"

#include <gtest/gtest.h>

#include <sys/mount.h>

namespace tideway::engine {
namespace {

// ---- what an earlier checkpoint has ----------------------------------------------------------------------------------

class BaseTest : public ReceivePathTest {
 protected:
  // What crossed of one more checkpoint, which is published.
  Bytes crossed_of(const MemoryTree& tree, const char* step, messages::VerifyLevel verify = messages::VerifyLevel::kMemory) {
    Copy copy(tree, root(), {.verify = verify, .to = step, .base = StartSink::Base::kSibling});
    const auto outcome = copy.go();
    EXPECT_TRUE(outcome && outcome->ok()) << step << ": " << (outcome ? outcome->error().what : "no end");
    if (outcome && outcome->ok()) expect_published(tree, step);
    EXPECT_EQ(copy.sender().bytes_needed(), copy.sent());
    EXPECT_EQ(copy.sender().bytes_needed() + copy.sender().bytes_held(), copy.sender().bytes_listed());
    return copy.sent();
  }
  MemoryTree two_large() const {
    MemoryTree tree;
    tree.put(named("a"), file_of(2 * 4'194'304, 1));
    tree.put(named("deep/b"), file_of(4'194'304 + 77, 2));
    return tree;
  }
};

TEST_F(BaseTest, OnlyLeavesThatChangedCross) {
  MemoryTree tree = two_large();
  EXPECT_EQ(crossed_of(tree, "step-100"), 4_MiB * 3 + 77_B) << "there is no base yet";
  MemoryNode changed = *tree.find(named("a"));
  changed.bytes[4'194'304 + 5] ^= std::byte{8};
  tree.put(named("a"), changed);
  EXPECT_EQ(crossed_of(tree, "step-200"), 4_MiB) << "one leaf";
  EXPECT_EQ(crossed_of(tree, "step-300", messages::VerifyLevel::kReadback), 0_B) << "what is copied is read back, too";
}

TEST_F(BaseTest, ALeafOfALongerFileIsTheSameAndItsEndIsNot) {
  MemoryTree tree = two_large();
  crossed_of(tree, "step-100");
  MemoryNode longer = *tree.find(named("deep/b"));
  longer.bytes.resize(longer.bytes.size() + 1000, std::byte{7});
  tree.put(named("deep/b"), longer);
  EXPECT_EQ(crossed_of(tree, "step-200"), Bytes(1077));
}

TEST_F(BaseTest, ABaseThatWasChangedBehindItsManifestIsNotBelieved) {
  const MemoryTree tree = two_large();
  crossed_of(tree, "step-100");
  const fs::path damaged = root() / "step-100" / "a";
  fs::permissions(damaged, fs::perms::owner_write, fs::perm_options::add);
  {
    std::fstream file(damaged, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4'194'304 + 1);
    file.put('\0');  // all bytes of these files are odd
  }
  fs::remove(root() / "step-100" / "deep" / "b");
  EXPECT_EQ(crossed_of(tree, "step-200"), 4_MiB + 4_MiB + 77_B) << "the leaf that is not what it was, and the file that is gone";
}

TEST_F(BaseTest, TheNewestBeforeItIsTheBaseAndWhatWasNotPublishedIsNone) {
  MemoryTree tree = two_large();
  crossed_of(tree, "step-100");
  tree.put(named("a"), file_of(2 * 4'194'304, 9));
  EXPECT_EQ(crossed_of(tree, "step-200"), 4_MiB * 2);
  fs::create_directory(root() / "step-250");
  EXPECT_EQ(crossed_of(tree, "step-300"), 0_B) << "step-200 is the base, not step-100 nor the directory without a manifest";
}

// ---- what went ahead ---------------------------------------------------------------------------------------------------

class AheadTest : public BaseTest {
 protected:
  static constexpr TransferId kAhead{std::byte{6}};
  static constexpr int kTurns = 60;  // far more than it takes

  // So much of a file's bytes as a part that goes ahead.
  static void put_part(MemoryTree& parts, const MemoryNode& file, transfer::AheadPart part, size_t leaves) {
    MemoryNode node;
    const auto begin = file.bytes.begin() + static_cast<std::ptrdiff_t>(part.leaf * kLeafSize.count());
    node.bytes.assign(begin, begin + static_cast<std::ptrdiff_t>(leaves * kLeafSize.count()));
    parts.put(storage::single_name(*transfer::ahead_name(part)), node);
  }
  void send_ahead(const MemoryTree& parts) {
    Copy copy(parts, root(), {.to = "step-7", .staging = kAhead, .list = CopyOptions::List::kStaysOpen});
    EXPECT_FALSE(copy.go(kTurns).has_value()) << "it never ends";
    EXPECT_FALSE(dir_.exists("root/step-7")) << "and nothing of it shows";
  }
  Bytes crossed_behind(const MemoryTree& tree, messages::VerifyLevel verify = messages::VerifyLevel::kMemory) {
    Copy copy(tree, root(), {.verify = verify, .to = "step-7", .base = StartSink::Base::kSibling, .ahead = kAhead});
    const auto outcome = copy.go();
    EXPECT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->error().what : "no end");
    expect_published(tree, "step-7");  // and no staging is left, that of what went ahead neither
    return copy.sent();
  }
};

TEST_F(AheadTest, WhatWentAheadDoesNotCrossAgain) {
  MemoryTree tree, parts;
  tree.put(named("deep/a"), file_of(5 * 4'194'304 + 9, 1));
  tree.put(named("b"), file_of(4'194'304, 2));
  put_part(parts, *tree.find(named("deep/a")), {1, 0, named("deep/a")}, 1);
  put_part(parts, *tree.find(named("deep/a")), {2, 2, named("deep/a")}, 2);
  send_ahead(parts);
  EXPECT_EQ(crossed_behind(tree, messages::VerifyLevel::kReadback), 4_MiB * 3 + 9_B) << "b, the second and the fifth leaf of a, and its end";
}

TEST_F(AheadTest, WhatWasWrittenAnewSinceIsSentAsItIsInTheEnd) {
  MemoryTree tree, parts;
  tree.put(named("a"), file_of(4 * 4'194'304, 1));
  put_part(parts, *tree.find(named("a")), {1, 0, named("a")}, 3);
  put_part(parts, *tree.find(named("a")), {2, 0, named("gone")}, 2);
  send_ahead(parts);
  MemoryNode changed = *tree.find(named("a"));
  changed.bytes[4'194'304 + 5] ^= std::byte{8};
  tree.put(named("a"), changed);
  EXPECT_EQ(crossed_behind(tree), 4_MiB * 2) << "the leaf that is another one, and the last";
}

TEST_F(AheadTest, AFileThatWentAheadIsNotLookedForInTheCheckpointBeforeAndOthersAre) {
  MemoryTree tree = two_large(), parts;
  crossed_of(tree, "step-3");
  tree.put(named("a"), file_of(2 * 4'194'304, 9));
  put_part(parts, *tree.find(named("a")), {1, 0, named("a")}, 1);
  send_ahead(parts);
  EXPECT_EQ(crossed_behind(tree), 4_MiB) << "the second leaf of a: b is in step-3";
}

TEST_F(AheadTest, TheOneFileOfACheckpointGoesAheadToo) {
  MemoryTree tree, parts;
  tree.put(ObjectName(), file_of(3 * 4'194'304, 1));
  put_part(parts, *tree.find(ObjectName()), {1, 0, ObjectName()}, 2);
  send_ahead(parts);
  EXPECT_EQ(crossed_behind(tree), 4_MiB);
}

// A destination with so little room that what went ahead and the whole do not fit beside each other.
class FullAheadTest : public AheadTest {
 protected:
  static constexpr size_t kLeafBytes = 4'194'304;
  void SetUp() override {
    AheadTest::SetUp();
    tree_.put(named("a"), file_of(3 * kLeafBytes, 1));
    put_part(parts_, *tree_.find(named("a")), {1, 0, named("a")}, 2);
  }
  void TearDown() override {
    if (is_mounted_) ::umount2(root().c_str(), MNT_DETACH);
  }
  bool mount(size_t mebibytes) {
    const std::string size = "size=" + std::to_string(mebibytes) + "m";
    is_mounted_ = ::mount("tideway-test", root().c_str(), "tmpfs", 0, size.c_str()) == 0;
    return is_mounted_;
  }
  bool grow(size_t mebibytes) const {
    const std::string size = "size=" + std::to_string(mebibytes) + "m";
    return ::mount("tideway-test", root().c_str(), "tmpfs", MS_REMOUNT, size.c_str()) == 0;
  }
  MemoryTree tree_, parts_;
  bool is_mounted_ = false;
};

TEST_F(FullAheadTest, WhatWentAheadGivesWayWhereTheWholeFitsWithoutIt) {
  if (!mount(18)) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  send_ahead(parts_);
  EXPECT_EQ(crossed_behind(tree_), 12_MiB) << "all of it: with 8 MiB of what went ahead there is room for no more than 10";
}

TEST_F(FullAheadTest, WhatDoesNotFitEvenSoIsSaidBeforeItComesAndWhatWentAheadStays) {
  if (!mount(18)) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  send_ahead(parts_);
  MemoryTree larger = tree_;
  larger.put(named("b"), file_of(2 * kLeafBytes, 7));
  Copy copy(larger, root(), {.to = "step-7", .ahead = kAhead});
  const auto outcome = copy.go();
  ASSERT_TRUE(outcome && !outcome->ok());
  EXPECT_EQ(outcome->error().fault, Fault::kDestFull);
  EXPECT_NE(outcome->error().what.find("needs at least 20 MiB (20971520 bytes)"), std::string::npos) << outcome->error().what;
  EXPECT_NE(outcome->error().what.find("if what went ahead of it were given up"), std::string::npos) << outcome->error().what;
  EXPECT_EQ(copy.sent(), 0_B);
  ASSERT_TRUE(grow(40));
  EXPECT_EQ(crossed_behind(larger), 12_MiB) << "and not the two leaves that went ahead";
}

TEST_F(FullAheadTest, NothingGoesAheadThatLeavesNoRoomForTheWhole) {
  if (!mount(18)) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  MemoryTree more = parts_;
  put_part(more, *tree_.find(named("a")), {2, 2, named("a")}, 1);
  Copy copy(more, root(), {.to = "step-7", .staging = kAhead, .list = CopyOptions::List::kStaysOpen});
  const auto outcome = copy.go(kTurns);
  ASSERT_TRUE(outcome && !outcome->ok());
  EXPECT_EQ(outcome->error().fault, Fault::kDestFull);
  EXPECT_NE(outcome->error().what.find("what goes ahead and the whole that follows it need at least 24 MiB (25165824 bytes)"), std::string::npos) << outcome->error().what;
  EXPECT_TRUE(staged().empty()) << "nothing of it was written";
  send_ahead(parts_);  // so much has room
  EXPECT_EQ(crossed_behind(tree_), 12_MiB);
}

TEST_F(FullAheadTest, FilesWithSuchNamesAreTakenForWhatTheyAre) {
  if (!mount(18)) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  MemoryTree dated;
  dated.put(named("20240101-00000128-train.tar"), file_of(3 * kLeafBytes, 1));
  Copy copy(dated, root());
  const auto outcome = copy.go();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->ok()) << outcome->error().what;
}

// It used to be let in because an earlier run of it had left something, and ran into the end of the disk.
TEST_F(FullAheadTest, ACopyThatGoesOnIsRefusedTooWhereTheRestDoesNotFit) {
  if (!mount(18)) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  MemoryTree tree = tree_;
  for (int turns = 3; turns < 40 && staged().empty() && !dir_.exists("root/out"); ++turns) Copy(tree, root()).go(turns);
  ASSERT_FALSE(staged().empty());
  tree.put(named("b"), file_of(2 * kLeafBytes, 7));
  Copy again(tree, root());
  const auto outcome = again.go();
  ASSERT_TRUE(outcome && !outcome->ok());
  EXPECT_EQ(outcome->error().fault, Fault::kDestFull);
  EXPECT_EQ(again.sent(), 0_B);
  ASSERT_TRUE(grow(40));
  Copy last(tree, root());
  const auto done = last.go();
  ASSERT_TRUE(done && done->ok()) << (done ? done->error().what : "no end");
  EXPECT_GE(last.sender().bytes_held(), 4_MiB) << "what had come before stayed";
  expect_published(tree);
}

// The sink would look for it among what it has, and write what it found: so it takes nobody's word for what to look for.
TEST_F(BaseTest, X10LeavesThatNobodyOfferedAreNotTakenForKnown) {
  const MemoryTree tree = two_large();
  for (const auto base : {StartSink::Base::kNone, StartSink::Base::kSibling}) {
    Copy copy(tree, root(), {.to = "step-1", .base = base});
    copy.flood(0);
    copy.hear(messages::SameLeaves{kId, BlockId(0), {{ObjectId(1), 0, 4'194'304, Hash128{}}}});
    const auto outcome = copy.go();
    ASSERT_TRUE(outcome && !outcome->ok());
    EXPECT_EQ(outcome->error().fault, Fault::kProtocolError) << outcome->error().what;
    EXPECT_FALSE(fs::exists(root() / "step-1"));
  }
}

// ---- what was published, as a source ----------------------------------------------------------------------------------

class ReplicaTest : public BaseTest {
 protected:
  // The entries of what was published, as another copy from there would tell them.
  std::vector<ManifestEntry> entries_of(const char* name, std::optional<Hash256>* expected = nullptr) {
    const auto root = std::make_shared<const storage::RootedDir>(storage::RootedDir::open_host_path(this->root().string(), storage::Side::kSource).value());
    std::vector<ManifestEntry> entries(64);
    storage::ScanSpec spec;
    spec.sources.push_back({root, named(name), ""});
    entries.resize(storage::TreeScan(std::move(spec)).next(entries).value());
    auto published = PublishedEntries::of(*root, named(name));
    EXPECT_TRUE(published.has_value());
    if (!published) return entries;
    published->stamp(entries);
    published->on_end();
    if (expected != nullptr) *expected = published->root();
    return entries;
  }
};

TEST_F(ReplicaTest, OneGoesOnWhereAnotherStopped) {
  const MemoryTree tree = two_large();
  crossed_of(tree, "step-1");
  crossed_of(tree, "step-2");
  std::optional<Hash256> first_root, second_root;
  const auto first = entries_of("step-1", &first_root), second = entries_of("step-2", &second_root);
  EXPECT_EQ(first, second) << "whatever inodes they have";
  EXPECT_EQ(first_root, second_root);
  EXPECT_TRUE(first_root.has_value());
}

TEST_F(ReplicaTest, WhatIsNotAsItWasPublishedIsTakenForWhatItIs) {
  crossed_of(two_large(), "step-1");
  const auto before = entries_of("step-1");
  fs::permissions(root() / "step-1", fs::perms::owner_write, fs::perm_options::add);
  fs::remove(root() / "step-1" / "a");
  std::ofstream(root() / "step-1" / "a") << "another";
  std::optional<Hash256> expected;
  const auto after = entries_of("step-1", &expected);
  EXPECT_FALSE(expected.has_value()) << "it is another tree by now";
  ASSERT_EQ(after.size(), before.size());
  EXPECT_NE(after[1], before[1]);
}

}  // namespace
}  // namespace tideway::engine
