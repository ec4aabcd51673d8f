// SPDX-License-Identifier: Apache-2.0
#include "block/unpack.h"

#include "block/block_head.h"
#include "block/pack.h"
#include "unit/block/blocks.h"

#include <functional>

namespace tideway::block {
namespace {

class UnpackTest : public testing::Test {
 protected:
  PackedBlock packed(const std::vector<uint32_t>& lengths, Content content) {
    RawBlock raw = make_block(*pool_, lengths, content);
    raw_.assign(raw.raw().begin(), raw.raw().end());
    Effort effort({.mode = EffortMode::kFixed, .level = {1}});
    return pack(std::move(raw), codecs_.at(CodecId::kZstd), effort, pool_->take());
  }
  // Changes the head and makes its checksum right again, as a peer with a bug would.
  void rewrite_head(PackedBlock& block, const std::function<void(BlockHead&)>& change) {
    BlockHead head = parse_head(block.head()).value();
    change(head);
    write_head(head, block.head());
  }
  std::unique_ptr<BufferPool> pool_ = BufferPool::create(4).value();
  codec::CodecSet codecs_;
  test::Octets raw_;
};

TEST_F(UnpackTest, GivesBackTheRawBytesOfEitherKind) {
  for (const Content content : {Content::kText, Content::kRandom}) {
    PackedBlock block = packed({1000, 70'000, 1}, content);
    const bool is_compressed = content == Content::kText;
    EXPECT_EQ(needs_scratch(block), is_compressed);
    const auto unpacked = unpack(std::move(block), codecs_, is_compressed ? pool_->take() : Buffer());
    ASSERT_TRUE(unpacked.ok());
    EXPECT_EQ(unpacked.value().key, (BlockKey{SlotId(3), BlockId(17)}));
    EXPECT_EQ(test::Octets(unpacked.value().raw.begin(), unpacked.value().raw.end()), raw_);
    EXPECT_EQ(unpacked.value().segments.size(), 3U);
    EXPECT_TRUE(unpacked.value().bad.empty());
    EXPECT_EQ(pool_->free(), 3U);
  }
}

TEST_F(UnpackTest, ADamagedSegmentCostsNoOther) {
  PackedBlock block = packed({1000, 70'000, 300}, Content::kRandom);
  block.packed()[1500] ^= std::byte{4};
  const auto unpacked = unpack(std::move(block), codecs_, {});
  ASSERT_TRUE(unpacked.ok());
  EXPECT_EQ(unpacked.value().bad, std::vector<uint32_t>{1});
  EXPECT_EQ(unpacked.value().bad_because, Fault::kHashMismatch);
}

TEST_F(UnpackTest, WhereHashesAreTrustedNothingIsHashed) {
  PackedBlock block = packed({1000, 70'000, 300}, Content::kRandom);
  const SegmentList declared = parse_head(block.head()).value().segments;
  block.packed()[1500] ^= std::byte{4};
  const auto unpacked = unpack(std::move(block), codecs_, {}, LeafHashes::kTrusted);
  ASSERT_TRUE(unpacked.ok());
  EXPECT_TRUE(unpacked.value().bad.empty());
  EXPECT_EQ(unpacked.value().segments, declared);
  EXPECT_EQ(unpacked.value().hashes, LeafHashes::kTrusted);
  PackedBlock cut = packed({70'000}, Content::kText);
  cut.packed()[0] ^= std::byte{0xff};
  const auto damaged = unpack(std::move(cut), codecs_, pool_->take(), LeafHashes::kTrusted);
  ASSERT_TRUE(damaged.ok());
  EXPECT_EQ(damaged.value().bad, std::vector<uint32_t>{0}) << "what cannot be decompressed has no bytes to trust";
}

TEST_F(UnpackTest, AWrongHashInASoundHeadRejectsItsSegment) {
  PackedBlock block = packed({1000, 70'000, 300}, Content::kText);
  rewrite_head(block, [](BlockHead& head) { head.segments[2].hash[0] ^= std::byte{1}; });
  const auto unpacked = unpack(std::move(block), codecs_, pool_->take());
  ASSERT_TRUE(unpacked.ok());
  EXPECT_EQ(unpacked.value().bad, std::vector<uint32_t>{2});
}

TEST_F(UnpackTest, CompressedBytesThatDoNotUnpackRejectEverySegment) {
  PackedBlock block = packed({1000, 70'000}, Content::kText);
  block.packed()[0] ^= std::byte{1};
  const auto unpacked = unpack(std::move(block), codecs_, pool_->take());
  ASSERT_TRUE(unpacked.ok());
  EXPECT_EQ(unpacked.value().bad, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(unpacked.value().bad_because, Fault::kBadCompression);
  EXPECT_TRUE(unpacked.value().raw.empty()) << "nothing of it may be read";
}

TEST_F(UnpackTest, ABombIsStoppedAtTheRawLengthOfTheHead) {
  PackedBlock block = packed({4 << 20}, Content::kText);
  rewrite_head(block, [&](BlockHead& head) { head.raw_length = head.segments[0].length = head.packed_length + 1; });
  const auto unpacked = unpack(std::move(block), codecs_, pool_->take());
  ASSERT_TRUE(unpacked.ok());
  EXPECT_EQ(unpacked.value().bad_because, Fault::kBadCompression);
}

TEST_F(UnpackTest, ADamagedHeadIsAHashMismatchAndItsBuffersGoHome) {
  PackedBlock block = packed({1000}, Content::kText);
  block.head()[60] ^= std::byte{1};
  const auto unpacked = unpack(std::move(block), codecs_, pool_->take());
  ASSERT_FALSE(unpacked.ok());
  EXPECT_EQ(unpacked.error().fault, Fault::kHashMismatch);
  EXPECT_EQ(pool_->free(), 4U);
}

TEST_F(UnpackTest, LengthsThatDisagreeAreAProtocolError) {
  PackedBlock cut = packed({1000}, Content::kRandom);
  cut.length -= 1;
  EXPECT_EQ(unpack(std::move(cut), codecs_, {}).error().fault, Fault::kProtocolError);
  PackedBlock headless = packed({1000}, Content::kRandom);
  headless.head_units = 0;
  EXPECT_FALSE(needs_scratch(headless));
  EXPECT_EQ(unpack(std::move(headless), codecs_, {}).error().fault, Fault::kProtocolError);
  PackedBlock short_of_its_head = packed({1000}, Content::kRandom);
  short_of_its_head.length = 512;
  EXPECT_EQ(unpack(std::move(short_of_its_head), codecs_, {}).error().fault, Fault::kProtocolError);
}

TEST_F(UnpackTest, WithoutAScratchBufferACompressedBlockIsNoMemory) {
  EXPECT_EQ(unpack(packed({1000}, Content::kText), codecs_, {}).error().fault, Fault::kNoMemory);
}

}  // namespace
}  // namespace tideway::block
