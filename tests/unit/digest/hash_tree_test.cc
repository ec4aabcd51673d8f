// SPDX-License-Identifier: Apache-2.0
#include "digest/hash_tree.h"

#include "digest/leaf_hash.h"
#include "support/vectors.h"

namespace tideway::digest::hash_tree_test {
namespace {

using test::to_hex;

Hash128 filled(uint8_t byte) {
  Hash128 hash;
  hash.fill(static_cast<std::byte>(byte));
  return hash;
}

TEST(ObjectHasher, GivesTheRootsOfTheVectorsForAnyNumberOfLeaves) {
  auto vectors = test::load_vectors("hash_tree.txt");
  for (const uint8_t whole : std::to_array<uint8_t>({0, 1, 2, 3, 6, 7, 8, 20})) {
    ObjectHasher object;
    for (uint8_t i = 0; i < whole; ++i) object.add_leaf(kLeafSize.count(), filled(i));
    object.add_leaf(5, filled(whole));
    EXPECT_EQ(object.size(), kLeafSize * whole + 5_B);
    EXPECT_EQ(to_hex(object.finish()), to_hex(vectors["object_" + std::to_string(whole)])) << int{whole};
  }
  EXPECT_EQ(to_hex(empty_object()), to_hex(vectors["object_empty"]));
}

TEST(ObjectHasher, GivesTheRootsOfTheVectorsForRealBytes) {
  auto vectors = test::load_vectors("hash_tree.txt");
  for (const size_t size : {size_t{1}, size_t{100'000}, size_t{4'194'304}, size_t{4'194'305}}) {
    const auto bytes = test::pattern(size);
    ObjectHasher object;
    for (size_t at = 0; at < size; at += kLeafSize.count()) {
      const auto leaf = std::span(bytes).subspan(at, std::min<size_t>(kLeafSize.count(), size - at));
      object.add_leaf(static_cast<uint32_t>(leaf.size()), leaf_hash(leaf));
    }
    EXPECT_EQ(to_hex(object.finish()), to_hex(vectors["object_of_bytes_" + std::to_string(size)])) << size;
  }
}

TEST(ObjectHasher, FinishLooksAndDoesNotTouch) {
  ObjectHasher object;
  object.add_leaf(kLeafSize.count(), filled(0));
  const Hash256 of_one = object.finish();
  EXPECT_EQ(object.finish(), of_one);
  object.add_leaf(kLeafSize.count(), filled(1));
  EXPECT_NE(object.finish(), of_one);
}

TEST(ObjectHasherDeathTest, AShortLeafIsTheLast) {
  ObjectHasher object;
  object.add_leaf(5, filled(0));
  EXPECT_DEATH(object.add_leaf(5, filled(1)), "check failed");
}

TEST(ObjectHasher, OrderLengthAndContentOfLeavesMatter) {
  const auto root_of = [](uint8_t first, uint8_t second, uint32_t tail) {
    ObjectHasher object;
    object.add_leaf(kLeafSize.count(), filled(first));
    object.add_leaf(tail, filled(second));
    return object.finish();
  };
  EXPECT_NE(root_of(1, 2, 10), root_of(2, 1, 10));
  EXPECT_NE(root_of(1, 2, 10), root_of(1, 2, 11));
  EXPECT_EQ(root_of(1, 2, 10), root_of(1, 2, 10));
}

TEST(EntryHash, CoversTypeModeNameAndContent) {
  auto vectors = test::load_vectors("hash_tree.txt");
  Hash256 content;
  std::ranges::copy(vectors["object_of_bytes_100000"], content.begin());
  const EntryContent entry{.type = EntryType::kFile, .mode = 0644, .name = "a", .content = content};
  EXPECT_EQ(to_hex(entry_hash(entry)), to_hex(vectors["entry_a"]));
  for (const EntryContent& other : {EntryContent{EntryType::kSymlink, 0644, "a", content},
                                    EntryContent{EntryType::kFile, 0645, "a", content},
                                    EntryContent{EntryType::kFile, 0644, "b", content},
                                    EntryContent{EntryType::kFile, 0644, "a", empty_object()}})
    EXPECT_NE(entry_hash(other), entry_hash(entry));
}

TEST(DirectoryHasher, AnEmptyDirectoryIsThatOfTheVectors) {
  EXPECT_EQ(to_hex(DirectoryHasher().finish()), to_hex(test::load_vectors("hash_tree.txt")["directory_z"]));
}

TEST(LinkContent, IsTheHashOfTheTarget) {
  EXPECT_EQ(to_hex(link_content("a/b")), to_hex(test::load_vectors("hash_tree.txt")["link_to_a_slash_b"]));
}

}  // namespace
}  // namespace tideway::digest::hash_tree_test
