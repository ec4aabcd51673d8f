// SPDX-License-Identifier: Apache-2.0
//
// The front of a packed block: how it is packed, and which leaves it holds with which hashes (docs/protocol.md).
//
//   0  version 1            4..7    head length H          16..23  base object
//   1  codec                8..11   raw length             24..31  zero
//   2..3  segments N       12..15   packed length          32..47  XXH3-128 of the head without these 16 bytes
//   48..  N times: u32 object - base, u32 leaf, u32 length, 16 bytes XXH3-128 of the leaf;  zeros up to H
//
// Pure.
#pragma once
#include "block/segment.h"
#include "mem/packed_block.h"
#include <tideway/codec.h>
#include <tideway/result.h>

namespace tideway::block {

struct BlockHead {
  CodecId codec = CodecId::kRaw;
  uint32_t raw_length = 0;     // 1 to kLeafSize
  uint32_t packed_length = 0;  // of kRaw the raw length, else less than that
  SegmentList segments;
  bool operator==(const BlockHead&) const = default;
};

// H, a multiple of kHeadUnit.
size_t head_size(size_t segments);

// `out` is exactly head_size() long. A head that breaks its own rules is a failed check.
void write_head(const BlockHead& head, std::span<std::byte> out);

// `bytes` is the whole head, as long as the packets said. Errors: hash_mismatch when its checksum is wrong, because
// then nothing in it can be held against the peer; protocol_error when the checksum is right and the content is not.
Result<BlockHead> parse_head(std::span<const std::byte> bytes);

}  // namespace tideway::block
