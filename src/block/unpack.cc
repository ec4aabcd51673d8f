// SPDX-License-Identifier: Apache-2.0
#include "block/unpack.h"

#include "block/block_head.h"
#include "digest/leaf_hash.h"

#include <numeric>

namespace tideway::block {
namespace {

std::vector<uint32_t> wrong_leaves(const SegmentList& segments, std::span<const std::byte> raw) {
  std::vector<uint32_t> wrong;
  size_t at = 0;
  for (uint32_t i = 0; i < segments.size(); ++i) {
    if (digest::leaf_hash(raw.subspan(at, segments[i].length)) != segments[i].hash) wrong.push_back(i);
    at += segments[i].length;
  }
  return wrong;
}

// The packets said how long head and block are, so these are a peer's numbers too.
bool has_possible_lengths(const PackedBlock& block) {
  const size_t head = block.head_units * kHeadUnit;
  return !block.buffer.is_empty() && block.head_units >= 1 && block.head_units <= kHeadUnitsMax &&
         block.length > head && block.length - head <= kLeafSize.count();
}

}  // namespace

bool needs_scratch(const PackedBlock& block) {
  constexpr size_t kCodecAt = 1;
  return has_possible_lengths(block) && block.head()[kCodecAt] != static_cast<std::byte>(CodecId::kRaw);
}

Result<UnpackedBlock> unpack(PackedBlock&& packed, codec::CodecSet& codecs, Buffer scratch, LeafHashes hashes) {
  PackedBlock block = std::move(packed);
  if (!has_possible_lengths(block)) return Error{Fault::kProtocolError, "a block has impossible lengths", ""};
  auto parsed = parse_head(block.head());
  if (!parsed.ok()) return std::move(parsed).error();
  BlockHead head = std::move(parsed).value();
  if (block.packed().size() != head.packed_length)
    return Error{Fault::kProtocolError,
                 "a block of " + std::to_string(block.packed().size()) + " packed bytes has a head that says " +
                     std::to_string(head.packed_length),
                 "check that both gateways run a released version of Tideway"};

  UnpackedBlock out;
  out.key = block.key;
  out.segments = std::move(head.segments);
  out.hashes = hashes;
  if (head.codec == CodecId::kRaw) {
    out.bytes = std::move(block.buffer);
  } else {
    if (scratch.is_empty()) return Error{Fault::kNoMemory, "no buffer is free to decompress a block into", ""};
    out.bytes = std::move(scratch);
    const auto status = codecs.at(head.codec).unpack(block.packed(), out.bytes.data().first(head.raw_length));
    if (!status.ok()) {
      out.bad_because = status.error().fault;
      out.bad.resize(out.segments.size());
      std::iota(out.bad.begin(), out.bad.end(), 0U);
      return out;
    }
  }
  out.raw = out.bytes.data().first(head.raw_length);
  if (hashes == LeafHashes::kCompared) out.bad = wrong_leaves(out.segments, out.raw);
  return out;
}

}  // namespace tideway::block
