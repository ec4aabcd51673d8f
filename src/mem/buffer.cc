// SPDX-License-Identifier: Apache-2.0
#include "mem/buffer.h"

#include "mem/buffer_pool.h"

namespace tideway {

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  reset();
  pool_ = std::exchange(other.pool_, nullptr);
  index_ = other.index_;
  memory_ = other.memory_;
  return *this;
}

void Buffer::reset() {
  if (pool_ != nullptr) std::exchange(pool_, nullptr)->take_back(index_);
}

}  // namespace tideway
