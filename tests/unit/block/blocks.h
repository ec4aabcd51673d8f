// SPDX-License-Identifier: Apache-2.0
//
// Blocks for the tests of this folder.
#pragma once
#include "block/raw_block.h"
#include "mem/buffer_pool.h"
#include "support/vectors.h"

#include <numeric>

namespace tideway::block {

enum class Content : uint8_t { kText, kRandom };

inline void fill(std::span<std::byte> bytes, Content content, uint32_t seed = 0) {
  if (content == Content::kRandom) {
    std::ranges::copy(test::pattern(bytes.size(), seed), bytes.begin());
    return;
  }
  static constexpr std::string_view kText = "the tide comes in and the tide goes out, ";
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(kText[(i * i / 7 + seed) % kText.size()]);
}

// One segment per length, each leaf 0 of the next object.
inline RawBlock make_block(BufferPool& pool, const std::vector<uint32_t>& lengths, Content content) {
  RawBlock block;
  block.key = {SlotId(3), BlockId(17)};
  block.bytes = pool.take();
  block.raw_size = std::accumulate(lengths.begin(), lengths.end(), 0U);
  for (const uint32_t length : lengths) {
    Segment& segment = block.segments.emplace_back();
    segment.object = ObjectId(100 + static_cast<uint32_t>(block.segments.size()));
    segment.length = length;
  }
  fill(block.bytes.data().first(block.raw_size), content);
  return block;
}

}  // namespace tideway::block
