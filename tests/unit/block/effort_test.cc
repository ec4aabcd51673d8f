// SPDX-License-Identifier: Apache-2.0
#include "block/effort.h"

#include "unit/block/blocks.h"
#include "codec/registry.h"

namespace tideway::block {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

// Counts what it is asked, and packs to a fixed share.
class CountingCodec final : public Codec {
 public:
  explicit CountingCodec(double ratio) : ratio_(ratio) {}
  CodecId id() const override { return CodecId::kZstd; }
  size_t packed_size_max(size_t raw_size) const override { return raw_size; }
  Result<size_t> pack(std::span<const std::byte> raw, std::span<std::byte>, CodecLevel) override {
    ++calls;
    return static_cast<size_t>(static_cast<double>(raw.size()) * ratio_);
  }
  Status unpack(std::span<const std::byte>, std::span<std::byte>) override { return success(); }
  void set_ratio(double ratio) { ratio_ = ratio; }
  int calls = 0;

 private:
  double ratio_;
};

class EffortTest : public testing::Test {
 protected:
  RawBlock block_of(uint32_t size, const std::string& start = "") {
    RawBlock block = make_block(*pool_, {size}, Content::kText);
    std::ranges::copy(std::as_bytes(std::span(start)), block.bytes.data().begin());
    return block;
  }
  std::unique_ptr<BufferPool> pool_ = BufferPool::create(4).value();
  CountingCodec shrinking_{0.5}, growing_{1.0};
};

TEST_F(EffortTest, OffNeverCompressesAndAFixedLevelAlwaysTries) {
  const RawBlock block = block_of(1 << 20);
  EXPECT_EQ(Effort({.mode = EffortMode::kOff, .level = {}}).choose(block, shrinking_), std::nullopt);
  Effort fixed({.mode = EffortMode::kFixed, .level = {7}});
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(fixed.choose(block, growing_)->value, 7);
    fixed.on_packed(block.raw_size, block.raw_size);
  }
  EXPECT_EQ(shrinking_.calls + growing_.calls, 0) << "no samples";
}

TEST_F(EffortTest, ABlockOfZerosIsPackedEvenWhenCompressionIsOffOrWouldNotPay) {
  RawBlock zeros = block_of(1 << 20);
  std::ranges::fill(zeros.bytes.data().first(1 << 20), std::byte{0});
  EXPECT_TRUE(Effort({.mode = EffortMode::kOff, .level = {}}).choose(zeros, shrinking_));
  Effort skipping({});
  const RawBlock block = block_of(1 << 20);
  while (!skipping.is_skipping()) EXPECT_EQ(skipping.choose(block, growing_), std::nullopt);
  EXPECT_TRUE(skipping.choose(zeros, growing_));
  zeros.bytes.data()[(1 << 20) - 1] = std::byte{1};
  EXPECT_EQ(Effort({.mode = EffortMode::kOff, .level = {}}).choose(zeros, shrinking_), std::nullopt);
}

TEST_F(EffortTest, FourSamplesDecideAboutABlock) {
  const RawBlock block = block_of(1 << 20);
  Effort effort({});
  EXPECT_EQ(effort.choose(block, shrinking_)->value, 1);
  EXPECT_EQ(shrinking_.calls, 4);
  EXPECT_EQ(effort.choose(block, growing_), std::nullopt);
  EXPECT_EQ(growing_.calls, 4);
}

TEST_F(EffortTest, AfterEightInARowOnlyEverySixteenthBlockIsSampled) {
  const RawBlock block = block_of(1 << 20);
  Effort effort({});
  for (int i = 0; i < 8; ++i) EXPECT_EQ(effort.choose(block, growing_), std::nullopt);
  EXPECT_TRUE(effort.is_skipping());
  EXPECT_EQ(growing_.calls, 32);
  for (int i = 0; i < 160; ++i) EXPECT_EQ(effort.choose(block, growing_), std::nullopt);
  EXPECT_EQ(growing_.calls, 32 + 40);
}

TEST_F(EffortTest, OneBlockThatShrinksBringsCompressionBack) {
  const RawBlock block = block_of(1 << 20);
  Effort effort({});
  for (int i = 0; i < 8; ++i) EXPECT_EQ(effort.choose(block, growing_), std::nullopt);
  int tried = 0;
  for (; tried < 16 && !effort.choose(block, shrinking_); ++tried) {}
  EXPECT_EQ(tried, 15);
  effort.on_packed(block.raw_size, block.raw_size / 2);
  EXPECT_FALSE(effort.is_skipping());
}

TEST_F(EffortTest, TriesThatDidNotPayCountAsIncompressible) {
  const RawBlock block = block_of(10'000);
  Effort effort({});
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(effort.choose(block, growing_).has_value()) << "small blocks are tried whole";
    effort.on_packed(block.raw_size, Effort::worthwhile_below(block.raw_size));
  }
  EXPECT_TRUE(effort.is_skipping());
}

TEST_F(EffortTest, ABlockThatBeginsACompressedFileIsNotEvenSampled) {
  Effort effort({});
  EXPECT_EQ(effort.choose(block_of(1 << 20, "\x1F\x8B\x08"), shrinking_), std::nullopt);
  RawBlock rest = block_of(1 << 20);
  rest.segments.front().leaf = 1;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(effort.choose(rest, shrinking_), std::nullopt);
  EXPECT_EQ(shrinking_.calls, 0) << "and the rest of the file is taken to be the same";
}

TEST_F(EffortTest, ACompressedFileDoesNotStopTheTextBehindIt) {
  Effort effort({});
  EXPECT_EQ(effort.choose(block_of(1 << 20, "\x1F\x8B\x08"), shrinking_), std::nullopt);
  RawBlock text = block_of(1 << 20);
  text.segments.front().object = ObjectId(7);
  EXPECT_TRUE(effort.choose(text, shrinking_).has_value());
  text.segments.front().leaf = 1;
  EXPECT_TRUE(effort.choose(text, shrinking_).has_value());
}

TEST_F(EffortTest, CompressedFilesThatAreTheSmallerPartOfABlockDoNotDecide) {
  RawBlock block = make_block(*pool_, {1000, 200'000}, Content::kText);
  std::ranges::copy(std::as_bytes(std::span("\x89PNG\r\n\x1A\n"sv)), block.bytes.data().begin());
  Effort effort({});
  EXPECT_TRUE(effort.choose(block, shrinking_).has_value());
}

TEST_F(EffortTest, TheMiddleOfALargeFileHasNoMagic) {
  RawBlock block = block_of(1 << 20, "\x1F\x8B\x08");
  block.segments.front().leaf = 5;
  EXPECT_TRUE(Effort({}).choose(block, shrinking_).has_value());
}

TEST_F(EffortTest, PressureMovesTheLevelOneStepPer32Blocks) {
  const RawBlock block = block_of(1 << 20);
  Effort effort({});
  for (int i = 0; i < 31; ++i) effort.on_pressure(Pressure::kFilling);
  EXPECT_EQ(effort.choose(block, shrinking_)->value, 1);
  effort.on_pressure(Pressure::kFilling);
  EXPECT_EQ(effort.choose(block, shrinking_)->value, 2);
  for (int i = 0; i < 1000; ++i) effort.on_pressure(Pressure::kFilling);
  EXPECT_EQ(effort.choose(block, shrinking_)->value, 9) << "and stays at the top";
  for (int i = 0; i < 1000; ++i) effort.on_pressure(Pressure::kSteady);
  EXPECT_EQ(effort.choose(block, shrinking_)->value, 9);
}

TEST_F(EffortTest, AStarvingWireEndsWithoutCompressionAndAFullRingBringsItBack) {
  const RawBlock block = block_of(1 << 20);
  Effort effort({});
  for (int i = 0; i < 1000; ++i) effort.on_pressure(Pressure::kStarving);
  EXPECT_EQ(effort.choose(block, shrinking_), std::nullopt);
  for (int i = 0; i < 32; ++i) effort.on_pressure(Pressure::kFilling);
  EXPECT_EQ(effort.choose(block, shrinking_)->value, -5);
}

TEST(Pressure, FollowsTheSideWhereBlocksWait) {
  EXPECT_EQ(pressure_of(0, 0, 8), Pressure::kSteady) << "the disk is slower than either";
  EXPECT_EQ(pressure_of(3, 0, 8), Pressure::kStarving);
  EXPECT_EQ(pressure_of(3, 1, 8), Pressure::kSteady);
  EXPECT_EQ(pressure_of(3, 4, 8), Pressure::kFilling);
  EXPECT_EQ(pressure_of(0, 8, 8), Pressure::kFilling);
}

TEST(CompressedFormat, IsKnownByMagicAndNotByLuck) {
  const auto is_compressed = [](std::string start) { return is_compressed_format(std::as_bytes(std::span(start))); };
  const std::string zip = "PK\x03\x04\x14\0\0\0"s;
  EXPECT_TRUE(is_compressed(zip + "\x08\0"s));
  EXPECT_FALSE(is_compressed(zip + "\0\0"s)) << "torch.save stores tensors in a zip without compressing";
  EXPECT_TRUE(is_compressed("\xFD" "7zXZ\0more"s));
  EXPECT_TRUE(is_compressed("RIFF1234WEBP"));
  EXPECT_TRUE(is_compressed("\xFF\xD8\xFF\xE0"));
  EXPECT_FALSE(is_compressed("RIFF1234WAVE"));
  EXPECT_FALSE(is_compressed("\x1F"));
  EXPECT_FALSE(is_compressed(""));
  EXPECT_FALSE(is_compressed("plain text"));
}

TEST(CompressedFormat, WhatOurCodecWritesIsOne) {
  const auto codec = codec::CodecSet().at(CodecId::kZstd).packed_size_max(100);
  test::Octets packed(codec);
  ASSERT_TRUE(codec::CodecSet().at(CodecId::kZstd).pack(test::Octets(100), packed, {1}).ok());
  EXPECT_TRUE(is_compressed_format(packed));
}

}  // namespace
}  // namespace tideway::block
