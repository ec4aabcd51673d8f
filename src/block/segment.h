// SPDX-License-Identifier: Apache-2.0
//
// One leaf inside a block: 4 MiB of a large object, its shorter tail, or a small file entire.
// Pure.
#pragma once
#include <tideway/ids.h>

#include <vector>

namespace tideway::block {

struct Segment {
  ObjectId object;
  uint32_t leaf = 0;    // counts within the object
  uint32_t length = 0;  // raw bytes, 1 to kLeafSize
  Hash128 hash{};       // of them; set by pack
  bool operator==(const Segment&) const = default;
};

using SegmentList = std::vector<Segment>;

inline constexpr size_t kSegmentsMax = 4096;  // keeps the head of a block of tiny files within the head room

}  // namespace tideway::block
