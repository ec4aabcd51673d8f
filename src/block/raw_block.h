// SPDX-License-Identifier: Apache-2.0
//
// A block as it was read from the store: its segments end to end from buffer.data() on, not hashed yet.
// Pure.
#pragma once
#include "block/segment.h"
#include "mem/buffer.h"

namespace tideway::block {

struct RawBlock {
  BlockKey key;
  SegmentList segments;   // 1 to kSegmentsMax
  Buffer bytes;
  uint32_t raw_size = 0;  // the sum of the segments' lengths, 1 to kLeafSize

  std::span<const std::byte> raw() const { return bytes.data().first(raw_size); }
};

}  // namespace tideway::block
