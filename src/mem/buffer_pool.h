// SPDX-License-Identifier: Apache-2.0
//
// All block buffers of a gateway, mapped once at start: transparent huge pages where the kernel has them. Pages are
// touched at first use, so an idle gateway holds none of them.
//
// Taking and giving back happens about twice per 4 MiB, from any thread, so the free list is one lock-free stack of
// indices with a tag against ABA; that costs less than a ring per pair of threads and has no limit to reason about.
// Thread: any. The pool outlives its buffers.
#pragma once
#include "mem/buffer.h"

#include <atomic>
#include <memory>

namespace tideway {

class BufferPool {
 public:
  // Errors: no_memory when `buffers` of kBufferSize cannot be mapped.
  static Result<std::unique_ptr<BufferPool>> create(uint32_t buffers);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  Buffer take();  // empty when all are out
  uint32_t size() const { return size_; }
  uint32_t free() const { return free_.load(std::memory_order_relaxed); }

 private:
  friend class Buffer;
  BufferPool(uint32_t buffers, std::byte* memory);
  void take_back(uint32_t index);

  const uint32_t size_;
  std::byte* const memory_;
  const std::unique_ptr<std::atomic<uint32_t>[]> next_;  // of each free buffer: the one below it, plus one
  std::atomic<uint64_t> top_;                            // tag (32) | index plus one (32); 0: nothing free
  std::atomic<uint32_t> free_;
};

}  // namespace tideway
