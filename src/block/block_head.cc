// SPDX-License-Identifier: Apache-2.0
#include "block/block_head.h"

#include "base/cursor.h"
#include "codec/registry.h"
#include "digest/leaf_hash.h"

#include <algorithm>

namespace tideway::block {
namespace {

constexpr uint8_t kHeadVersion = 1;
constexpr size_t kFixedSize = 48;
constexpr size_t kChecksumAt = 32;
constexpr size_t kSegmentSize = 28;

Hash128 checksum(std::span<const std::byte> head) {
  digest::LeafHasher hasher;
  hasher.update(head.first(kChecksumAt));
  hasher.update(head.subspan(kFixedSize));
  return hasher.finish();
}

Error bad_head(const char* why) {
  return {Fault::kProtocolError, std::string("the head of a block ") + why,
          "check that both gateways run a released version of Tideway"};
}

struct FixedPart {
  BlockHead head;
  uint16_t segments;
  uint64_t base;
};

// The lengths were checked: `in` holds at least kFixedSize bytes.
Result<FixedPart> parse_fixed(Reader& in, size_t size) {
  FixedPart part;
  if (in.read_u8() != kHeadVersion) return bad_head("has an unknown version");
  const auto codec = codec::codec_from_number(*in.read_u8());
  if (!codec) return bad_head("names an unknown codec");
  part.head.codec = *codec;
  part.segments = *in.read_u16();
  if (part.segments < 1 || part.segments > kSegmentsMax) return bad_head("has not 1 to 4096 segments");
  if (*in.read_u32() != size || size != head_size(part.segments)) return bad_head("has another length than it says");
  part.head.raw_length = *in.read_u32();
  part.head.packed_length = *in.read_u32();
  if (part.head.raw_length < 1 || part.head.raw_length > kLeafSize.count()) return bad_head("has a wrong raw length");
  const bool is_length_right = *codec == CodecId::kRaw ? part.head.packed_length == part.head.raw_length
                                                       : part.head.packed_length < part.head.raw_length;
  if (!is_length_right || part.head.packed_length == 0) return bad_head("has a wrong packed length");
  part.base = *in.read_u64();
  if (*in.read_u64() != 0) return bad_head("has reserved bytes that are not zero");
  in.read_bytes(kFixedSize - kChecksumAt);
  return part;
}

// A leaf that stands twice in a block could be stored from one copy and verified by the other. Our own blocks are in
// order, so the sorting is for blocks with leaves that are sent again.
bool has_leaf_twice(const SegmentList& segments) {
  const auto key = [](const Segment& segment) { return uint64_t{segment.object.value()} << 32 | segment.leaf; };
  const auto is_past = [&](const Segment& a, const Segment& b) { return key(a) >= key(b); };
  if (std::ranges::adjacent_find(segments, is_past) == segments.end()) return false;
  std::vector<uint64_t> keys(segments.size());
  std::ranges::transform(segments, keys.begin(), key);
  std::ranges::sort(keys);
  return std::ranges::adjacent_find(keys) != keys.end();
}

Result<SegmentList> parse_segments(Reader& in, const FixedPart& part) {
  SegmentList segments;
  segments.reserve(part.segments);
  uint64_t total = 0;  // at most 4,096 times 2^32
  for (size_t i = 0; i < part.segments; ++i) {
    const uint32_t above_base = *in.read_u32();
    if (part.base > UINT32_MAX - above_base) return bad_head("names an object above 2^32");
    Segment& segment = segments.emplace_back();
    segment.object = ObjectId(static_cast<uint32_t>(part.base) + above_base);
    segment.leaf = *in.read_u32();
    segment.length = *in.read_u32();
    const auto hash = *in.read_bytes(segment.hash.size());
    std::copy(hash.begin(), hash.end(), segment.hash.begin());
    if (segment.length == 0) return bad_head("has an empty segment");
    total += segment.length;
  }
  if (total != part.head.raw_length) return bad_head("has segments that do not add up to its raw length");
  if (has_leaf_twice(segments)) return bad_head("has a leaf twice");
  return segments;
}

}  // namespace

size_t head_size(size_t segments) {
  return (kFixedSize + kSegmentSize * segments + kHeadUnit - 1) / kHeadUnit * kHeadUnit;
}
static_assert((kFixedSize + kSegmentSize * kSegmentsMax + kHeadUnit - 1) / kHeadUnit == kHeadUnitsMax);
static_assert(kHeadUnitsMax * kHeadUnit <= kHeadRoom);

void write_head(const BlockHead& head, std::span<std::byte> out) {
  TIDEWAY_CHECK(!head.segments.empty() && head.segments.size() <= kSegmentsMax);
  TIDEWAY_CHECK(out.size() == head_size(head.segments.size()));
  uint32_t base = head.segments.front().object.value();
  for (const Segment& segment : head.segments) base = std::min(base, segment.object.value());

  Writer writer(out);
  writer.write_u8(kHeadVersion);
  writer.write_u8(static_cast<uint8_t>(head.codec));
  writer.write_u16(static_cast<uint16_t>(head.segments.size()));
  writer.write_u32(static_cast<uint32_t>(out.size()));
  writer.write_u32(head.raw_length);
  writer.write_u32(head.packed_length);
  writer.write_u64(base);
  writer.write_zeros(8 + sizeof(Hash128));  // reserved; the checksum follows last
  for (const Segment& segment : head.segments) {
    writer.write_u32(segment.object.value() - base);
    writer.write_u32(segment.leaf);
    writer.write_u32(segment.length);
    writer.write_bytes(segment.hash);
  }
  writer.write_zeros(writer.left());
  Writer(out.subspan(kChecksumAt)).write_bytes(checksum(out));
}

Result<BlockHead> parse_head(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeadUnit || bytes.size() % kHeadUnit != 0 || bytes.size() > kHeadUnit * kHeadUnitsMax)
    return bad_head("has an impossible length");
  const auto sent = bytes.subspan(kChecksumAt, sizeof(Hash128));
  if (!std::ranges::equal(checksum(bytes), sent))
    return Error{Fault::kHashMismatch, "the head of a block has a wrong checksum",
                 "it is sent again; if this is seen often, test the memory of both gateways"};
  Reader in(bytes);
  auto part = parse_fixed(in, bytes.size());
  if (!part.ok()) return std::move(part).error();
  auto segments = parse_segments(in, part.value());
  if (!segments.ok()) return std::move(segments).error();
  for (const std::byte padding : in.rest())
    if (padding != std::byte{0}) return bad_head("has padding that is not zero");
  BlockHead head = std::move(part.value().head);
  head.segments = std::move(segments).value();
  return head;
}

}  // namespace tideway::block
