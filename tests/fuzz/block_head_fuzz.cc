// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the head of a block. Almost none has a right checksum, so it is made right first, and what lies behind
// it is tested, too.
#include "block/block_head.h"
#include "digest/leaf_hash.h"
#include <tideway/object_store.h>

#include <algorithm>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const auto input = std::as_bytes(std::span(data, size));
  static_cast<void>(block::parse_head(input));
  constexpr size_t kChecksumAt = 32, kChecksumEnd = 48;
  if (size < kChecksumEnd) return 0;

  std::vector<std::byte> head(input.begin(), input.end());
  digest::LeafHasher hasher;
  hasher.update(std::span(head).first(kChecksumAt));
  hasher.update(std::span(head).subspan(kChecksumEnd));
  std::ranges::copy(hasher.finish(), head.begin() + kChecksumAt);
  const auto parsed = block::parse_head(head);
  if (!parsed.ok()) return 0;
  const block::BlockHead& good = parsed.value();
  uint64_t total = 0;
  for (const block::Segment& segment : good.segments) total += segment.length;
  TIDEWAY_CHECK(total == good.raw_length && total <= kLeafSize.count() && good.packed_length <= good.raw_length);
  std::vector<std::byte> again(block::head_size(good.segments.size()));
  block::write_head(good, again);
  TIDEWAY_CHECK(block::parse_head(again).value() == good);
  return 0;
}
