// SPDX-License-Identifier: Apache-2.0
#include "packet_io/slice_buffers.h"

namespace tideway::packet_io {

SliceBuffers::SliceBuffers(uint32_t count)
    : memory_(std::make_unique_for_overwrite<std::byte[]>(count * kSliceBufferSize)), holders_(count) {
  free_.reserve(count);
  for (uint32_t buffer = count; buffer > 0; --buffer) free_.push_back(buffer - 1);
}

std::optional<uint32_t> SliceBuffers::take() {
  if (free_.empty()) return std::nullopt;
  const uint32_t buffer = free_.back();
  free_.pop_back();
  holders_[buffer] = 1;
  return buffer;
}

void SliceBuffers::drop(uint32_t buffer) {
  TIDEWAY_CHECK(holders_[checked(buffer)] > 0);
  if (--holders_[buffer] == 0) free_.push_back(buffer);
}

}  // namespace tideway::packet_io
