// SPDX-License-Identifier: Apache-2.0
#include "block/pack.h"

#include "block/block_head.h"
#include "digest/leaf_hash.h"

#include <algorithm>

namespace tideway::block {
namespace {

void hash_segments(RawBlock& block) {
  TIDEWAY_CHECK(!block.bytes.is_empty() && block.raw_size > 0 && block.raw_size <= kLeafSize.count());
  size_t at = 0;
  for (Segment& segment : block.segments) {
    TIDEWAY_CHECK(segment.length > 0 && segment.length <= block.raw_size - at);
    segment.hash = digest::leaf_hash(block.raw().subspan(at, segment.length));
    at += segment.length;
  }
  TIDEWAY_CHECK(at == block.raw_size);
}

// The packed length, or nothing when the block is to go raw.
std::optional<size_t> compress(const RawBlock& raw, Codec& codec, Effort& effort, const Buffer& scratch) {
  if (scratch.is_empty() || codec.id() == CodecId::kRaw) return std::nullopt;
  const auto level = effort.choose(raw, codec);
  if (!level) return std::nullopt;
  const size_t limit = Effort::worthwhile_below(raw.raw_size);
  const auto packed = limit > 0 ? codec.pack(raw.raw(), scratch.data().first(limit - 1), *level)
                                : Result<size_t>(Error{Fault::kUnsupported, "", ""});
  effort.on_packed(raw.raw_size, packed.ok() ? packed.value() : raw.raw_size);
  if (!packed.ok()) return std::nullopt;
  return packed.value();
}

}  // namespace

void hash(RawBlock& block) { hash_segments(block); }

bool hash_and_compare(RawBlock& block, std::span<const Hash128> base) {
  TIDEWAY_CHECK(base.size() == block.segments.size());
  hash_segments(block);
  return std::ranges::equal(block.segments, base, {}, &Segment::hash);
}

PackedBlock pack(RawBlock&& raw, Codec& codec, Effort& effort, Buffer scratch) {
  hash_segments(raw);
  const auto compressed = compress(raw, codec, effort, scratch);
  const BlockHead head{.codec = compressed ? codec.id() : CodecId::kRaw,
                       .raw_length = raw.raw_size,
                       .packed_length = compressed ? static_cast<uint32_t>(*compressed) : raw.raw_size,
                       .segments = std::move(raw.segments)};
  PackedBlock packed;
  packed.key = raw.key;
  packed.buffer = compressed ? std::move(scratch) : std::move(raw.bytes);
  raw.bytes.reset();
  const size_t size = head_size(head.segments.size());
  packed.head_units = static_cast<uint8_t>(size / kHeadUnit);
  packed.length = static_cast<uint32_t>(size) + head.packed_length;
  write_head(head, packed.head());
  return packed;
}

}  // namespace tideway::block
