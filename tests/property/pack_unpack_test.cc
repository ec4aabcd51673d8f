// SPDX-License-Identifier: Apache-2.0
//
// Whatever goes into pack comes out of unpack, and whatever happens to a packed block on its way, no wrong byte passes
// as right.
#include "block/pack.h"
#include "block/unpack.h"
#include "mem/buffer_pool.h"
#include <tideway/object_store.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace tideway::block {
namespace {

using Octets = std::vector<std::byte>;

// Some runs, some noise, so that both raw and compressed blocks appear.
RawBlock arbitrary_block(BufferPool& pool) {
  RawBlock block;
  block.key = {SlotId(*rc::gen::arbitrary<uint16_t>()), BlockId(*rc::gen::arbitrary<uint32_t>())};
  block.bytes = pool.take();
  const auto lengths = *rc::gen::resize(40, rc::gen::nonEmpty(rc::gen::container<std::vector<uint32_t>>(
                                                rc::gen::inRange<uint32_t>(1, 20'000))));
  const uint32_t noise = *rc::gen::inRange<uint32_t>(0, 9);
  uint32_t state = *rc::gen::arbitrary<uint32_t>();
  for (const uint32_t length : lengths) {
    Segment& segment = block.segments.emplace_back();
    segment.object = ObjectId(*rc::gen::arbitrary<uint32_t>());
    segment.leaf = static_cast<uint32_t>(block.segments.size());  // none stands twice in a block
    segment.length = length;
    block.raw_size += length;
  }
  for (std::byte& byte : block.bytes.data().first(block.raw_size)) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>((state >> 24) >> noise);
  }
  return block;
}

struct Packer {
  std::unique_ptr<BufferPool> pool = BufferPool::create(2).value();
  codec::CodecSet codecs;
  PackedBlock pack_any(RawBlock&& raw) {
    Effort effort({.mode = *rc::gen::element(EffortMode::kAuto, EffortMode::kOff, EffortMode::kFixed), .level = {1}});
    return pack(std::move(raw), codecs.at(CodecId::kZstd), effort, pool->take());
  }
};

TEST(PackUnpack, GivesBackEveryBlock) {
  Packer packer;
  EXPECT_TRUE(rc::check("unpack(pack(block)) is the block", [&] {
    RawBlock raw = arbitrary_block(*packer.pool);
    const Octets bytes(raw.raw().begin(), raw.raw().end());
    const BlockKey key = raw.key;
    const SegmentList segments = raw.segments;
    PackedBlock packed = packer.pack_any(std::move(raw));
    RC_ASSERT(packed.length <= packed.head().size() + bytes.size());
    const auto unpacked = unpack(std::move(packed), packer.codecs, packer.pool->take());
    RC_ASSERT(unpacked.ok());
    RC_ASSERT(unpacked.value().key == key);
    RC_ASSERT(unpacked.value().bad.empty());
    RC_ASSERT(std::ranges::equal(unpacked.value().raw, bytes));
    RC_ASSERT(unpacked.value().segments.size() == segments.size());
    for (size_t i = 0; i < segments.size(); ++i) {
      RC_ASSERT(unpacked.value().segments[i].object == segments[i].object);
      RC_ASSERT(unpacked.value().segments[i].leaf == segments[i].leaf);
      RC_ASSERT(unpacked.value().segments[i].length == segments[i].length);
    }
  }));
}

TEST(PackUnpack, NoDamagePassesAsRight) {
  Packer packer;
  EXPECT_TRUE(rc::check("a segment not called bad is intact", [&] {
    RawBlock raw = arbitrary_block(*packer.pool);
    const Octets bytes(raw.raw().begin(), raw.raw().end());
    PackedBlock packed = packer.pack_any(std::move(raw));
    const auto at = *rc::gen::inRange<size_t>(0, packed.length);
    packed.bytes()[at] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
    const auto unpacked = unpack(std::move(packed), packer.codecs, packer.pool->take());
    if (!unpacked.ok()) return;
    const UnpackedBlock& block = unpacked.value();
    size_t begin = 0;
    for (uint32_t i = 0; i < block.segments.size(); ++i) {
      const size_t length = block.segments[i].length;
      if (!std::ranges::binary_search(block.bad, i))
        RC_ASSERT(std::ranges::equal(block.raw.subspan(begin, length), std::span(bytes).subspan(begin, length)));
      begin += length;
    }
  }));
}

}  // namespace
}  // namespace tideway::block
