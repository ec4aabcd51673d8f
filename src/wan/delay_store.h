// SPDX-License-Identifier: Apache-2.0
//
// Holds frames until they are due: one ring of bytes, taken once at the start. Frames leave in the order of their
// times; those that were offered in that order (nearly all) cost a pointer step, reordered ones pass through a small heap.
// Room is freed in the order of arrival, so a frame that is held back keeps the room behind it for that long.
// Thread: one owner. Pure.
#pragma once
#include <tideway/units.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tideway::wan {

enum class Order : uint8_t { kKept, kOvertaken };  // kOvertaken: frames added later may be due earlier

class DelayStore {
 public:
  explicit DelayStore(Bytes capacity);

  // Room for a frame that is due at `deliver_at`, to be filled before the next call; no room: nothing. Frames of
  // Order::kKept come with times that never go back.
  std::optional<std::span<std::byte>> add(Time deliver_at, size_t frame_size, Order order);

  Time next_deadline() const;  // of the frame that is due first; kNever: empty
  // The frame that is due first, or nothing when none is due at `now`. It stays until pop().
  std::optional<std::span<std::byte>> front(Time now) const;
  void pop();

  bool is_empty() const { return frames_ == 0; }
  size_t frames() const { return frames_; }

 private:
  // Sits in the ring before each frame, at a multiple of its own alignment.
  struct Slot {
    int64_t deliver_at_ns;
    uint32_t frame_size;
    uint32_t stride;      // to the next slot
    enum State : uint8_t { kWaiting, kHeld, kDone } state;  // kHeld: in the heap; kDone: gone, or filler at the end
  };
  struct Late {
    int64_t deliver_at_ns;
    uint64_t position;
    bool operator>(const Late& other) const {
      return deliver_at_ns != other.deliver_at_ns ? deliver_at_ns > other.deliver_at_ns : position > other.position;
    }
  };
  Slot& slot_at(uint64_t position) const;
  Slot& write_slot(uint64_t stride, Slot::State state);
  void skip_handled();
  bool late_is_first() const;

  static constexpr size_t kAlign = 64;  // a cache line: slot and the start of its frame share one
  struct alignas(kAlign) Line {
    std::byte bytes[kAlign];
  };
  std::byte* at(uint64_t position) const;

  const uint64_t capacity_;
  std::unique_ptr<Line[]> ring_;
  // Positions only grow; modulo capacity they are offsets. freed_ <= next_ <= end_.
  uint64_t freed_ = 0, next_ = 0, end_ = 0;
  std::vector<Late> late_;  // a heap, the earliest in front
  size_t frames_ = 0;
};

}  // namespace tideway::wan
