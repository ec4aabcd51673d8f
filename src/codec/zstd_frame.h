// SPDX-License-Identifier: Apache-2.0
//
// What a zstd frame says about itself, read before any decompressor sees it (RFC 8878, section 3.1.1). A peer may send
// any bytes, and one call into the library would also accept a second frame, a skippable one or a dictionary; the
// stable interface of libzstd has no way to refuse those, so this walks the frame from its magic to its last byte.
// Pure.
#pragma once
#include <tideway/result.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tideway::codec {

// The largest window a frame may ask for: a block holds 4 MiB, and a decoder for it never needs more to look back.
inline constexpr uint64_t kZstdWindowMax = uint64_t{1} << 22;

struct ZstdFrame {
  uint64_t window_size = 0;
  std::optional<uint64_t> content_size;  // a claim: compare it, never reserve memory by it
  bool operator==(const ZstdFrame&) const = default;
};

// `packed` must be exactly one whole frame. Errors: bad_compression for anything else: another magic, a skippable
// frame, a dictionary id, a reserved bit or block type, a window above kZstdWindowMax, bytes missing or left over.
Result<ZstdFrame> parse_zstd_frame(std::span<const std::byte> packed);

}  // namespace tideway::codec
