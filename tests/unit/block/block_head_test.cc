// SPDX-License-Identifier: Apache-2.0
#include "block/block_head.h"

#include "digest/leaf_hash.h"
#include "support/vectors.h"

namespace tideway::block {
namespace {

using test::Octets;
using test::to_hex;

Hash128 filled(uint32_t byte) {
  Hash128 hash;
  hash.fill(static_cast<std::byte>(byte));
  return hash;
}

Segment segment_of(uint32_t object, uint32_t leaf, uint32_t length, uint32_t hash_byte) {
  return {.object = ObjectId(object), .leaf = leaf, .length = length, .hash = filled(hash_byte)};
}

Octets written(const BlockHead& head) {
  Octets bytes(head_size(head.segments.size()));
  write_head(head, bytes);
  return bytes;
}

BlockHead head_1() {
  return {.codec = CodecId::kZstd, .raw_length = 100'000, .packed_length = 60'000,
          .segments = {segment_of(7, 3, 100'000, 0x5A)}};
}

BlockHead head_4096() {
  BlockHead head;
  for (uint32_t i = 0; i < 4096; ++i) {
    head.segments.push_back(segment_of(UINT32_MAX - i, 0, i % 1000 + 1, i % 256));
    head.raw_length += i % 1000 + 1;
  }
  head.packed_length = head.raw_length;
  return head;
}

TEST(BlockHead, OfOneSegmentIsThatOfTheVectors) {
  const Octets bytes = written(head_1());
  EXPECT_EQ(to_hex(bytes), to_hex(test::load_vectors("block_heads.txt")["head_1"]));
  EXPECT_EQ(parse_head(bytes).value(), head_1());
}

TEST(BlockHead, OfTheMostSegmentsFitsTheHeadRoomAndIsThatOfTheVectors) {
  const Octets bytes = written(head_4096());
  EXPECT_EQ(bytes.size(), 115'200U);
  EXPECT_LE(bytes.size(), kHeadRoom);
  EXPECT_EQ(to_hex(digest::leaf_hash(bytes)), to_hex(test::load_vectors("block_heads.txt")["head_4096_xxh3"]));
  EXPECT_EQ(parse_head(bytes).value(), head_4096());
}

TEST(BlockHead, IsRefusedForTheReasonsOfTheVectors) {
  for (const auto& [name, bytes] : test::load_vectors("refused_block_heads.txt")) {
    const auto head = parse_head(bytes);
    ASSERT_FALSE(head.ok()) << name;
    EXPECT_TRUE(name.starts_with(head.error().name())) << name << ": " << head.error().what;
  }
}

TEST(BlockHead, ALeafTwiceIsRefusedWhereverItStands) {
  BlockHead head{.codec = CodecId::kRaw, .raw_length = 40, .packed_length = 40,
                 .segments = {segment_of(7, 3, 10, 1), segment_of(7, 4, 10, 2), segment_of(6, 3, 10, 3), segment_of(8, 0, 10, 4)}};
  EXPECT_EQ(parse_head(written(head)).value(), head) << "the order of leaves is free";
  head.segments[3] = segment_of(7, 3, 10, 4);
  const auto twice = parse_head(written(head));
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().fault, Fault::kProtocolError);
}

TEST(BlockHead, AnyFlippedBitIsDamageAndNotTheFaultOfThePeer) {
  Octets bytes = written(head_1());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto head = parse_head(bytes);
    ASSERT_FALSE(head.ok()) << bit;
    EXPECT_EQ(head.error().fault, Fault::kHashMismatch) << bit;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
  }
  EXPECT_TRUE(parse_head(bytes).ok());
}

TEST(BlockHead, SizeGrowsInUnits) {
  EXPECT_EQ(head_size(1), 512U);
  EXPECT_EQ(head_size(16), 512U) << "48 + 16 * 28 = 496";
  EXPECT_EQ(head_size(17), 1024U);
  EXPECT_EQ(head_size(4096), 225 * 512U);
}

}  // namespace
}  // namespace tideway::block
