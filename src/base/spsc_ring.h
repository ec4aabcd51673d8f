// SPDX-License-Identifier: Apache-2.0
//
// A bounded queue between exactly two threads: one pushes, one pops. Neither ever waits or allocates. The indices
// sit on cache lines of their own, and each side keeps a copy of the other's, so that a burst costs one shared read.
// Thread: one producer, one consumer.
#pragma once
#include <tideway/check.h>

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace tideway {

template <typename T>
class SpscRing {
 public:
  // Holds `capacity` values, rounded up to a power of two.
  explicit SpscRing(size_t capacity)
      : mask_(std::bit_ceil(capacity) - 1), cells_(std::make_unique_for_overwrite<Cell[]>(mask_ + 1)) {
    TIDEWAY_CHECK(capacity > 0);
  }
  ~SpscRing() {
    for (size_t at = head_.load(std::memory_order_relaxed); at != tail_.load(std::memory_order_acquire); ++at) std::destroy_at(&cells_[at & mask_].value);
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  // False: full, and `value` is untouched.
  bool push(T&& value) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) return false;
    }
    std::construct_at(&cells_[tail & mask_].value, std::move(value));
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Producer's question: a push now would be refused.
  bool is_full() {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ <= mask_) return false;
    head_seen_ = head_.load(std::memory_order_acquire);
    return tail - head_seen_ > mask_;
  }

  // Producer's question: how many pushes are sure to be taken.
  size_t room() {
    head_seen_ = head_.load(std::memory_order_acquire);
    return mask_ + 1 - (tail_.load(std::memory_order_relaxed) - head_seen_);
  }

  std::optional<T> pop() {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return std::nullopt;
    }
    T& cell = cells_[head & mask_].value;
    std::optional<T> value(std::move(cell));
    std::destroy_at(&cell);
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

  // Consumer's question.
  bool is_empty() const {
    return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_acquire);
  }

 private:
  // Memory that no value has been in is never touched: a long ring that is mostly empty costs little, and nothing at the start.
  union Cell {
    Cell() {}
    ~Cell() {}
    T value;
  };

  const size_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  alignas(64) std::atomic<size_t> head_{0};
  size_t tail_seen_ = 0;  // consumer's copy
  alignas(64) std::atomic<size_t> tail_{0};
  size_t head_seen_ = 0;  // producer's copy
};

}  // namespace tideway
