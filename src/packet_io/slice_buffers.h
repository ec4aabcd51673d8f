// SPDX-License-Identifier: Apache-2.0
//
// 64 KiB buffers that are used in slices: rooms to send from at one stride, or the packets of one GRO message. A
// buffer counts its holders and is free again when the last one lets go. All memory is taken at construction.
// Thread: net worker.
#pragma once
#include <tideway/check.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tideway::packet_io {

inline constexpr size_t kSliceBufferSize = 64 << 10;  // the largest UDP message, rounded up

class SliceBuffers {
 public:
  explicit SliceBuffers(uint32_t count);

  std::optional<uint32_t> take();  // the taker is its first holder; nothing when all are out
  void hold(uint32_t buffer) { ++holders_[checked(buffer)]; }
  void drop(uint32_t buffer);

  std::span<std::byte> memory(uint32_t buffer) {
    return {memory_.get() + checked(buffer) * kSliceBufferSize, kSliceBufferSize};
  }
  uint32_t holders(uint32_t buffer) const { return holders_[checked(buffer)]; }
  size_t free() const { return free_.size(); }
  size_t size() const { return holders_.size(); }

 private:
  size_t checked(uint32_t buffer) const {
    TIDEWAY_DCHECK(buffer < holders_.size());
    return buffer;
  }

  std::unique_ptr<std::byte[]> memory_;
  std::vector<uint32_t> holders_;
  std::vector<uint32_t> free_;  // a stack: the buffer used last is still in the cache
};

}  // namespace tideway::packet_io
