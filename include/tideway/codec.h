// SPDX-License-Identifier: Apache-2.0
//
// The seam for compression of a block. One object per cpu worker.
#pragma once
#include <tideway/result.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace tideway {

enum class CodecId : uint8_t { kRaw = 0, kZstd = 1 };  // on the wire; a number is never reused; 2 is plane split

struct CodecLevel { int value = 1; };

class Codec {
 public:
  virtual ~Codec() = default;
  virtual CodecId id() const = 0;
  virtual size_t packed_size_max(size_t raw_size) const = 0;
  // Writes the packed form of `raw` (at most 4 MiB) to the front of `out` and returns its length. An `out` that is
  // too small gives Result kUnsupported fault; that is the usual way to say "only if it becomes smaller than this".
  virtual Result<size_t> pack(std::span<const std::byte> raw, std::span<std::byte> out,
                              CodecLevel level) = 0;
  // Fills `raw` exactly, in one call. Any other length, a second frame, a dictionary or a window above 2^22 is
  // bad_compression. Nothing the packed bytes declare sizes anything.
  virtual Status unpack(std::span<const std::byte> packed, std::span<std::byte> raw) = 0;
};

}  // namespace tideway
