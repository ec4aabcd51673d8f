// SPDX-License-Identifier: Apache-2.0
//
// What of a transfer need not cross because an earlier checkpoint beside its destination has it, and what one replica brought for another.
#include "transfer/ahead_name.h"
#include "unit/engine/receive_copy.h"

#include <gtest/gtest.h>

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
