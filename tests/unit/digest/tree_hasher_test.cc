// SPDX-License-Identifier: Apache-2.0
#include "digest/tree_hasher.h"

#include "digest/leaf_hash.h"
#include "support/vectors.h"

#include <algorithm>

namespace tideway::digest::tree_hasher_test {
namespace {

using test::to_hex;

Hash256 vector_hash(const std::string& name) {
  Hash256 hash{};
  const auto bytes = test::load_vectors("hash_tree.txt")[name];
  EXPECT_EQ(bytes.size(), hash.size()) << name;
  std::ranges::copy(bytes, hash.begin());
  return hash;
}

// Builds entries with the next number; a name below the directory given by number.
struct Listing {
  std::vector<ManifestEntry> entries;
  ManifestEntry& put(uint32_t parent, std::string name, uint32_t mode) {
    ManifestEntry& entry = entries.emplace_back();
    entry.number = ObjectId(static_cast<uint32_t>(entries.size() - 1));
    entry.parent = ObjectId(parent);
    entry.name = std::move(name);
    entry.mode = mode;
    return entry;
  }
  uint32_t directory(uint32_t parent, std::string name, uint32_t mode = 0755) {
    ManifestEntry& entry = put(parent, std::move(name), mode);
    entry.type = EntryType::kDirectory;
    return entry.number.value();
  }
  uint32_t file(uint32_t parent, std::string name, uint64_t size, uint32_t mode = 0644) {
    ManifestEntry& entry = put(parent, std::move(name), mode);
    entry.size = Bytes(size);
    return entry.number.value();
  }
  void link(uint32_t parent, std::string name, std::string target) {
    ManifestEntry& entry = put(parent, std::move(name), 0777);
    entry.type = EntryType::kSymlink;
    entry.link_target = std::move(target);
  }
};

// The tree of docs/vectors/hash_tree.txt.
struct VectorTree : Listing {
  uint32_t a, xff;
  VectorTree() {
    directory(0, "");
    const uint32_t b = directory(0, "B");
    file(b, "empty", 0, 0600);
    a = file(0, "a", 100'000);
    link(0, "link", "a/b");
    directory(0, "z", 0700);
    xff = file(0, "\xFF", 4, 0755);
  }
};

// Of the first bytes of the test pattern with a seed; less than a leaf.
Hash256 object_of(const test::Octets& bytes) {
  ObjectHasher object;
  object.add_leaf(static_cast<uint32_t>(bytes.size()), leaf_hash(bytes));
  return object.finish();
}

class TreeHasherTest : public testing::Test {
 protected:
  void add_all(const Listing& listing) {
    for (const ManifestEntry& entry : listing.entries) {
      const auto status = tree_.add(entry);
      ASSERT_TRUE(status.ok()) << status.error().what;
    }
  }
  // What is wrong with the last entry; the ones before are fine.
  std::string refusal_of(const Listing& listing) {
    for (size_t i = 0; i < listing.entries.size(); ++i) {
      const auto status = tree_.add(listing.entries[i]);
      if (status.ok()) continue;
      EXPECT_EQ(i + 1, listing.entries.size()) << status.error().what;
      EXPECT_EQ(status.error().fault, Fault::kManifestMismatch);
      return status.error().what;
    }
    return "";
  }
  TreeHasher tree_;
};

TEST_F(TreeHasherTest, GivesTheRootOfTheVectorsInWhateverOrderTheObjectsEnd) {
  const VectorTree listing;
  const Hash256 a = vector_hash("object_of_bytes_100000"), xff = object_of(test::pattern(4, 1));
  for (const bool is_a_first : {true, false}) {
    TreeHasher tree;
    for (const ManifestEntry& entry : listing.entries) ASSERT_TRUE(tree.add(entry).ok());
    EXPECT_EQ(tree.finish(), std::nullopt) << "while objects are missing";
    EXPECT_TRUE(tree.set_root(ObjectId(is_a_first ? listing.a : listing.xff), is_a_first ? a : xff));
    EXPECT_EQ(tree.finish(), std::nullopt);
    EXPECT_TRUE(tree.set_root(ObjectId(is_a_first ? listing.xff : listing.a), is_a_first ? xff : a));
    EXPECT_EQ(tree.finish(), vector_hash("tree"));
  }
}

TEST_F(TreeHasherTest, RootsThatComeWhileTheListGoesOnGiveTheSame) {
  const VectorTree listing;
  for (const ManifestEntry& entry : listing.entries) {
    ASSERT_TRUE(tree_.add(entry).ok());
    if (entry.number.value() == listing.a) tree_.set_root(entry.number, vector_hash("object_of_bytes_100000"));
    if (entry.number.value() == listing.xff) tree_.set_root(entry.number, object_of(test::pattern(4, 1)));
    EXPECT_EQ(tree_.pending(), 0U);
  }
  EXPECT_EQ(tree_.finish(), vector_hash("tree"));
  EXPECT_EQ(tree_.entries(), 7U);
}

TEST_F(TreeHasherTest, ADroppedObjectIsLeftOutAndAKeptOneIsZeros) {
  const VectorTree listing;
  TreeHasher kept;
  add_all(listing);
  for (const ManifestEntry& entry : listing.entries) ASSERT_TRUE(kept.add(entry).ok());
  EXPECT_TRUE(tree_.drop(ObjectId(listing.a)));
  EXPECT_TRUE(kept.set_kept(ObjectId(listing.a)));
  for (TreeHasher* tree : {&tree_, &kept}) tree->set_root(ObjectId(listing.xff), object_of(test::pattern(4, 1)));
  EXPECT_EQ(tree_.finish(), vector_hash("tree_without_a"));
  EXPECT_EQ(kept.finish(), vector_hash("tree_with_a_kept"));
}

TEST_F(TreeHasherTest, OneFileIsATransferToo) {
  Listing listing;
  listing.file(0, "", 100'000);
  add_all(listing);
  EXPECT_EQ(tree_.finish(), std::nullopt);
  tree_.set_root(ObjectId(0), vector_hash("object_of_bytes_100000"));
  EXPECT_EQ(tree_.finish(), vector_hash("transfer_of_one_file_of_100000_bytes"));
}

TEST_F(TreeHasherTest, AnEmptyDirectoryIsATransferAndNothingIsNone) {
  EXPECT_EQ(TreeHasher().finish(), std::nullopt);
  Listing listing;
  listing.directory(0, "");
  add_all(listing);
  EXPECT_EQ(tree_.finish(), vector_hash("transfer_of_an_empty_directory"));
}

TEST_F(TreeHasherTest, ADroppedOnlyFileLeavesNoRoot) {
  Listing listing;
  listing.file(0, "", 1);
  add_all(listing);
  EXPECT_TRUE(tree_.drop(ObjectId(0)));
  EXPECT_EQ(tree_.finish(), std::nullopt);
}

TEST_F(TreeHasherTest, WhatTheManifestSettlesCannotBeChangedByLuckOfTiming) {
  const VectorTree listing;
  add_all(listing);
  for (const ManifestEntry& entry : listing.entries) {
    if (entry.number.value() == listing.a || entry.number.value() == listing.xff) continue;
    EXPECT_FALSE(tree_.drop(entry.number)) << entry.number.value();
    EXPECT_FALSE(tree_.set_kept(entry.number)) << entry.number.value();
  }
  EXPECT_FALSE(tree_.set_root(ObjectId(99), {})) << "not listed yet";
  EXPECT_TRUE(tree_.set_root(ObjectId(listing.a), vector_hash("object_of_bytes_100000")));
  EXPECT_FALSE(tree_.drop(ObjectId(listing.a))) << "the first word counts";
  tree_.set_root(ObjectId(listing.xff), object_of(test::pattern(4, 1)));
  EXPECT_EQ(tree_.finish(), vector_hash("tree"));
}

TEST_F(TreeHasherTest, KeepsOnlyWhatFollowsTheOldestObjectWithoutRoot) {
  Listing listing;
  listing.directory(0, "");
  for (uint32_t i = 0; i < 1000; ++i) listing.file(0, "f" + std::to_string(1000 + i), 1);
  for (const ManifestEntry& entry : listing.entries) {
    ASSERT_TRUE(tree_.add(entry).ok());
    if (entry.number.value() > 10) tree_.set_root(ObjectId(entry.number.value() - 10), empty_object());
    EXPECT_LE(tree_.pending(), 10U);
  }
  EXPECT_FALSE(tree_.finish().has_value());
  for (uint32_t i = 991; i <= 1000; ++i) EXPECT_TRUE(tree_.set_root(ObjectId(i), empty_object()));
  EXPECT_TRUE(tree_.finish().has_value());
}

TEST_F(TreeHasherTest, NamesOfOneDirectoryAscendByUnsignedBytes) {
  Listing listing;
  listing.directory(0, "");
  listing.file(0, "a", 0);
  listing.file(0, "a\xC3", 0);
  listing.file(0, "b", 0);
  listing.file(0, "\x80", 0);
  listing.file(0, "\x7F", 0);
  EXPECT_NE(refusal_of(listing).find("same directory"), std::string::npos);
}

TEST_F(TreeHasherTest, ADuplicateNameIsRefusedAlsoAroundADirectory) {
  Listing listing;
  listing.directory(0, "");
  const uint32_t d = listing.directory(0, "d");
  listing.file(d, "z", 1);
  listing.file(0, "d", 1);
  EXPECT_NE(refusal_of(listing).find("same directory"), std::string::npos);
}

TEST_F(TreeHasherTest, AnEntryOfADirectoryThatHasEndedIsRefused) {
  Listing listing;
  listing.directory(0, "");
  const uint32_t d = listing.directory(0, "d");
  listing.file(0, "e", 0);
  listing.file(d, "late", 0);
  EXPECT_NE(refusal_of(listing).find("has ended"), std::string::npos);
}

TEST_F(TreeHasherTest, AFileIsNoParent) {
  Listing listing;
  listing.directory(0, "");
  const uint32_t f = listing.file(0, "f", 0);
  listing.file(f, "x", 0);
  EXPECT_NE(refusal_of(listing), "");
}

TEST_F(TreeHasherTest, NumbersFollowEachOther) {
  Listing listing;
  listing.directory(0, "");
  listing.file(0, "a", 0);
  listing.entries.back().number = ObjectId(2);
  EXPECT_NE(refusal_of(listing).find("number 1 was due"), std::string::npos);
}

TEST_F(TreeHasherTest, ARefusedEntryChangesNothing) {
  Listing listing;
  listing.directory(0, "");
  listing.file(0, "b", 0);
  add_all(listing);
  ManifestEntry bad = listing.entries.back();
  bad.number = ObjectId(2);
  EXPECT_FALSE(tree_.add(bad).ok());
  EXPECT_EQ(tree_.entries(), 2U);
  TreeHasher without;
  for (const ManifestEntry& entry : listing.entries) ASSERT_TRUE(without.add(entry).ok());
  EXPECT_EQ(tree_.finish(), without.finish());
}

TEST_F(TreeHasherTest, DepthIsBounded) {
  Listing listing;
  uint32_t parent = listing.directory(0, "");
  for (size_t depth = 1; depth < kNameDepthMax; ++depth) parent = listing.directory(parent, "d");
  listing.file(parent, "a deepest", 0);
  add_all(listing);
  ManifestEntry deeper = listing.entries.back();
  deeper.number = ObjectId(static_cast<uint32_t>(listing.entries.size()));
  deeper.name = "deeper";
  deeper.type = EntryType::kDirectory;
  EXPECT_FALSE(tree_.add(deeper).ok());
  EXPECT_TRUE(tree_.finish().has_value());
}

}  // namespace
}  // namespace tideway::digest::tree_hasher_test
