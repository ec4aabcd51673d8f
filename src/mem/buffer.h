// SPDX-License-Identifier: Apache-2.0
//
// A block-sized piece of memory that knows its pool and goes home by itself, from whatever thread drops it. In front
// of the data lies head room, so that a block that does not compress is sent from where it was read.
//
//   0 ............ kHeadRoom ........................ kBufferSize
//   | head grows ← |data() → at most kLeafSize raw bytes |
//
// Thread: one owner at a time; it moves between threads through rings.
#pragma once
#include <tideway/object_store.h>
#include <tideway/units.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace tideway {

class BufferPool;

inline constexpr size_t kHeadRoom = 128 << 10;  // the largest block head (115,200 bytes), rounded up to whole pages
inline constexpr size_t kBufferSize = kHeadRoom + (4 << 20);

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_), memory_(other.memory_) {}
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { reset(); }
  void reset();  // sends it home now

  bool is_empty() const { return pool_ == nullptr; }
  // All of it, 4,096-byte aligned, head room included.
  std::span<std::byte> whole() const { return {memory_, kBufferSize}; }
  // Behind the head room; 4,096-byte aligned.
  std::span<std::byte> data() const { return whole().subspan(kHeadRoom); }

 private:
  friend class BufferPool;
  Buffer(BufferPool* pool, uint32_t index, std::byte* memory) : pool_(pool), index_(index), memory_(memory) {}
  BufferPool* pool_ = nullptr;
  uint32_t index_ = 0;
  std::byte* memory_ = nullptr;
};

}  // namespace tideway
