// SPDX-License-Identifier: Apache-2.0
#include "codec/zstd_frame.h"

#include "base/cursor.h"

#include <algorithm>
#include <string>

namespace tideway::codec {
namespace {

constexpr uint64_t kMagic = 0xFD2FB528;
constexpr uint64_t kBlockMax = 128 << 10;  // RFC 8878, 3.1.1.2.4: no block is larger, packed or raw

Error bad_frame(const char* why) {
  return {Fault::kBadCompression, std::string("the compressed bytes are not one plain zstd frame: ") + why, ""};
}

// zstd is little-endian, our cursor is not.
std::optional<uint64_t> read_little(Reader& in, size_t size) {
  const auto bytes = in.read_bytes(size);
  if (!bytes) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint64_t>((*bytes)[i]);
  return value;
}

Result<ZstdFrame> read_header(Reader& in, uint64_t descriptor) {
  const bool is_single_segment = (descriptor & 0x20) != 0;
  if ((descriptor & 0x08) != 0) return bad_frame("a reserved bit is set");
  if ((descriptor & 0x03) != 0) return bad_frame("it names a dictionary");

  ZstdFrame frame;
  if (!is_single_segment) {
    const auto window = read_little(in, 1);
    if (!window) return bad_frame("the header is cut off");
    const uint64_t base = uint64_t{1} << (10 + (*window >> 3));
    frame.window_size = base + base / 8 * (*window & 7);
  }
  const uint64_t size_flag = descriptor >> 6;
  const size_t size_bytes = size_flag == 0 ? (is_single_segment ? 1 : 0) : size_t{1} << size_flag;
  if (size_bytes > 0) {
    frame.content_size = read_little(in, size_bytes);
    if (!frame.content_size) return bad_frame("the header is cut off");
    if (size_bytes == 2) *frame.content_size += 256;
  }
  if (is_single_segment) frame.window_size = *frame.content_size;
  if (frame.window_size > kZstdWindowMax) return bad_frame("its window is larger than 4 MiB");
  return frame;
}

// Steps over the blocks up to and including the last one.
Status skip_blocks(Reader& in, uint64_t block_max) {
  for (;;) {
    const auto header = read_little(in, 3);
    if (!header) return bad_frame("a block header is cut off");
    const bool is_last = (*header & 1) != 0;
    const uint64_t type = *header >> 1 & 3, size = *header >> 3;
    if (type == 3) return bad_frame("it has a block of the reserved type");
    if (size > block_max) return bad_frame("a block is larger than the window allows");
    if (!in.read_bytes(type == 1 ? 1 : size)) return bad_frame("a block is cut off");  // 1: one byte, repeated
    if (is_last) return success();
  }
}

}  // namespace

Result<ZstdFrame> parse_zstd_frame(std::span<const std::byte> packed) {
  Reader in(packed);
  if (read_little(in, 4) != kMagic) return bad_frame("another magic number");
  const auto descriptor = read_little(in, 1);
  if (!descriptor) return bad_frame("the header is cut off");
  auto frame = read_header(in, *descriptor);
  if (!frame.ok()) return frame;
  auto blocks = skip_blocks(in, std::min(frame.value().window_size, kBlockMax));
  if (!blocks.ok()) return std::move(blocks).error();
  const bool has_checksum = (*descriptor & 0x04) != 0;
  if (has_checksum && !in.read_bytes(4)) return bad_frame("its checksum is cut off");
  if (!in.is_empty()) return bad_frame("bytes follow it");
  return frame;
}

}  // namespace tideway::codec
