// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the packed form of a block, unpacked into each of a few sizes: refused, or filled exactly.
#include "codec/registry.h"
#include "codec/zstd_frame.h"

#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  static codec::CodecSet codecs;
  const auto input = std::as_bytes(std::span(data, size));
  const auto frame = codec::parse_zstd_frame(input);
  if (frame.ok()) TIDEWAY_CHECK(frame.value().window_size <= codec::kZstdWindowMax);
  const uint64_t claimed = frame.ok() ? frame.value().content_size.value_or(1) : 1;
  for (const uint64_t raw_size : {uint64_t{1}, claimed, claimed + 1}) {
    if (raw_size > (64 << 10)) continue;
    std::vector<std::byte> raw(raw_size);
    const auto status = codecs.at(CodecId::kZstd).unpack(input, raw);
    TIDEWAY_CHECK(frame.ok() || !status.ok());
    TIDEWAY_CHECK(status.ok() || status.error().fault == Fault::kBadCompression);
  }
  return 0;
}
