// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a UDP payload: what parses as a header lies within the packet, and is written again as the same bytes
// but for the flags that have no meaning.
#include "wire/packet_header.h"

#include <tideway/check.h>

#include <algorithm>
#include <array>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const auto packet = std::as_bytes(std::span(data, size));
  auto header = wire::parse_header(packet);
  if (!header) return 0;
  TIDEWAY_CHECK(header->size() + kAeadTagSize <= size);
  const bool is_data = header->type == wire::PacketType::kData;
  TIDEWAY_CHECK(!is_data || (header->data.head_units != 0 && header->size() + kAeadTagSize < size));

  std::array<std::byte, wire::kDataHeaderSize> expected, again;
  std::ranges::copy(packet.first(header->size()), expected.begin());
  if (is_data) expected[wire::kFlagsAt] &= std::byte{wire::kFlagsKnown};
  header->data.flags &= wire::kFlagsKnown;
  wire::write_header(*header, again);
  TIDEWAY_CHECK(std::ranges::equal(std::span(again).first(header->size()), std::span(expected).first(header->size())));
  return 0;
}
