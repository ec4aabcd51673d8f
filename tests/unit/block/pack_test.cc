// SPDX-License-Identifier: Apache-2.0
#include "block/pack.h"

#include "block/block_head.h"
#include "unit/block/blocks.h"
#include "codec/registry.h"
#include "digest/leaf_hash.h"

namespace tideway::block {
namespace {

class PackTest : public testing::Test {
 protected:
  Codec& zstd() { return codecs_.at(CodecId::kZstd); }
  std::unique_ptr<BufferPool> pool_ = BufferPool::create(3).value();
  codec::CodecSet codecs_;
  Effort auto_{EffortConfig{}}, fixed_{EffortConfig{.mode = EffortMode::kFixed, .level = {1}}};
};

TEST_F(PackTest, TextIsSentCompressedFromTheScratchBuffer) {
  const PackedBlock packed = pack(make_block(*pool_, {300'000, 5}, Content::kText), zstd(), auto_, pool_->take());
  EXPECT_EQ(packed.key, (BlockKey{SlotId(3), BlockId(17)}));
  EXPECT_EQ(packed.head_units, 1);
  const BlockHead head = parse_head(packed.head()).value();
  EXPECT_EQ(head.codec, CodecId::kZstd);
  EXPECT_EQ(head.raw_length, 300'005U);
  EXPECT_LT(head.packed_length, head.raw_length * 97 / 100);
  EXPECT_EQ(packed.length, 512 + head.packed_length);
  EXPECT_EQ(pool_->free(), 2U) << "the raw buffer went home";
}

TEST_F(PackTest, WhatDoesNotCompressIsSentFromWhereItWasRead) {
  for (Effort* effort : {&auto_, &fixed_}) {
    RawBlock raw = make_block(*pool_, {300'000}, Content::kRandom);
    const std::byte* const read_at = raw.bytes.data().data();
    const PackedBlock packed = pack(std::move(raw), zstd(), *effort, pool_->take());
    EXPECT_EQ(packed.packed().data(), read_at);
    EXPECT_EQ(packed.packed().size(), 300'000U);
    EXPECT_EQ(parse_head(packed.head()).value().codec, CodecId::kRaw);
    EXPECT_EQ(pool_->free(), 2U) << "the scratch buffer went home";
  }
}

TEST_F(PackTest, WithoutAScratchBufferABlockGoesRaw) {
  const PackedBlock packed = pack(make_block(*pool_, {300'000}, Content::kText), zstd(), auto_, {});
  EXPECT_EQ(parse_head(packed.head()).value().codec, CodecId::kRaw);
}

TEST_F(PackTest, EachSegmentCarriesTheHashOfItsRawBytes) {
  RawBlock raw = make_block(*pool_, {10, 4000, 1}, Content::kText);
  const test::Octets copy(raw.raw().begin(), raw.raw().end());
  const PackedBlock packed = pack(std::move(raw), zstd(), auto_, pool_->take());
  const SegmentList segments = parse_head(packed.head()).value().segments;
  ASSERT_EQ(segments.size(), 3U);
  EXPECT_EQ(segments[0].hash, digest::leaf_hash(std::span(copy).first(10)));
  EXPECT_EQ(segments[1].hash, digest::leaf_hash(std::span(copy).subspan(10, 4000)));
  EXPECT_EQ(segments[2].hash, digest::leaf_hash(std::span(copy).last(1)));
}

TEST_F(PackTest, TheLargestAndTheSmallestBlockFit) {
  const PackedBlock large = pack(make_block(*pool_, {4 << 20}, Content::kRandom), zstd(), auto_, pool_->take());
  EXPECT_EQ(large.length, 512U + (4 << 20));
  const PackedBlock small = pack(make_block(*pool_, {1}, Content::kText), zstd(), fixed_, pool_->take());
  EXPECT_EQ(small.length, 513U);
  const PackedBlock many =
      pack(make_block(*pool_, std::vector<uint32_t>(4096, 1024), Content::kRandom), zstd(), auto_, {});
  EXPECT_EQ(many.length, 115'200U + (4 << 20));
}

using PackDeathTest = PackTest;
TEST_F(PackDeathTest, SegmentsThatDoNotAddUpAreOurBug) {
  RawBlock raw = make_block(*pool_, {100, 100}, Content::kText);
  raw.raw_size = 150;
  EXPECT_DEATH(pack(std::move(raw), zstd(), auto_, {}), "check failed");
}

}  // namespace
}  // namespace tideway::block
