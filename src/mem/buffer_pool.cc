// SPDX-License-Identifier: Apache-2.0
#include "mem/buffer_pool.h"

#include <sys/mman.h>

#include <cstring>

namespace tideway {

Result<std::unique_ptr<BufferPool>> BufferPool::create(uint32_t buffers) {
  const size_t size = size_t{buffers} * kBufferSize;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return Error{Fault::kNoMemory, "cannot map " + std::to_string(size >> 20) + " MiB for block buffers: " + strerror(errno),
                 "lower [engine] memory, or free memory on this host"};
  madvise(memory, size, MADV_HUGEPAGE);  // a hint: without huge pages it is only slower
  return std::unique_ptr<BufferPool>(new BufferPool(buffers, static_cast<std::byte*>(memory)));
}

BufferPool::BufferPool(uint32_t buffers, std::byte* memory)
    : size_(buffers), memory_(memory), next_(std::make_unique<std::atomic<uint32_t>[]>(buffers)), top_(buffers == 0 ? 0 : 1),
      free_(buffers) {
  for (uint32_t i = 0; i < buffers; ++i) next_[i] = i + 1 < buffers ? i + 2 : 0;
}

BufferPool::~BufferPool() {
  TIDEWAY_CHECK(free_ == size_);  // a buffer that is still out would write to unmapped memory
  munmap(memory_, size_t{size_} * kBufferSize);
}

Buffer BufferPool::take() {
  uint64_t top = top_.load(std::memory_order_acquire);
  for (;;) {
    const auto first = static_cast<uint32_t>(top);
    if (first == 0) return {};
    const uint64_t below = next_[first - 1].load(std::memory_order_relaxed);
    const uint64_t changed = ((top >> 32) + 1) << 32 | below;
    if (!top_.compare_exchange_weak(top, changed, std::memory_order_acquire)) continue;
    free_.fetch_sub(1, std::memory_order_relaxed);
    return Buffer(this, first - 1, memory_ + size_t{first - 1} * kBufferSize);
  }
}

void BufferPool::take_back(uint32_t index) {
  free_.fetch_add(1, std::memory_order_relaxed);
  uint64_t top = top_.load(std::memory_order_relaxed);
  for (;;) {
    next_[index].store(static_cast<uint32_t>(top), std::memory_order_relaxed);
    const uint64_t changed = ((top >> 32) + 1) << 32 | (index + 1);
    if (top_.compare_exchange_weak(top, changed, std::memory_order_release)) return;
  }
}

}  // namespace tideway
