// SPDX-License-Identifier: Apache-2.0
#include "wan/delay_store.h"

#include <tideway/check.h>

#include <algorithm>
#include <functional>
#include <new>

namespace tideway::wan {
namespace {

constexpr uint64_t round_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }
constexpr size_t kLateReserved = 4096;  // reordered frames held before the heap grows: 1 % of 1 Gbit/s for 5 s

}  // namespace

DelayStore::DelayStore(Bytes capacity)
    : capacity_(round_up(capacity.count(), kAlign)),
      ring_(new Line[capacity_ / kAlign]()) {  // zeroed, so that no page is fetched while frames wait
  TIDEWAY_CHECK(capacity_ > 0);
  late_.reserve(kLateReserved);
}

std::optional<std::span<std::byte>> DelayStore::add(Time deliver_at, size_t frame_size, Order order) {
  const uint64_t stride = round_up(sizeof(Slot) + frame_size, kAlign);
  const uint64_t to_end = capacity_ - end_ % capacity_;
  const uint64_t filler = to_end < stride ? to_end : 0;  // a frame is never split
  if (end_ + filler + stride - freed_ > capacity_) return std::nullopt;
  if (filler > 0) write_slot(filler, Slot::kDone);
  const uint64_t position = end_;
  Slot& slot = write_slot(stride, order == Order::kKept ? Slot::kWaiting : Slot::kHeld);
  slot.deliver_at_ns = deliver_at.time_since_epoch().count();
  slot.frame_size = static_cast<uint32_t>(frame_size);
  ++frames_;
  if (order == Order::kOvertaken) {
    late_.push_back({slot.deliver_at_ns, position});
    std::push_heap(late_.begin(), late_.end(), std::greater<>());
  }
  skip_handled();
  return std::span(at(position) + sizeof(Slot), frame_size);
}

Time DelayStore::next_deadline() const {
  if (frames_ == 0) return kNever;
  return Time(Duration(late_is_first() ? late_.front().deliver_at_ns : slot_at(next_).deliver_at_ns));
}

std::optional<std::span<std::byte>> DelayStore::front(Time now) const {
  if (next_deadline() > now) return std::nullopt;
  const uint64_t position = late_is_first() ? late_.front().position : next_;
  return std::span(at(position) + sizeof(Slot), slot_at(position).frame_size);
}

void DelayStore::pop() {
  TIDEWAY_CHECK(frames_ > 0);
  if (late_is_first()) {
    slot_at(late_.front().position).state = Slot::kDone;
    std::pop_heap(late_.begin(), late_.end(), std::greater<>());
    late_.pop_back();
  } else {
    slot_at(next_).state = Slot::kDone;
  }
  --frames_;
  skip_handled();
  while (freed_ < next_ && slot_at(freed_).state == Slot::kDone) freed_ += slot_at(freed_).stride;
}

std::byte* DelayStore::at(uint64_t position) const {
  const uint64_t offset = position % capacity_;
  return ring_[offset / kAlign].bytes + offset % kAlign;
}

DelayStore::Slot& DelayStore::slot_at(uint64_t position) const {
  return *std::launder(reinterpret_cast<Slot*>(at(position)));
}

DelayStore::Slot& DelayStore::write_slot(uint64_t stride, Slot::State state) {
  Slot* slot = new (at(end_)) Slot{0, 0, static_cast<uint32_t>(stride), state};
  end_ += stride;
  return *slot;
}

// next_ rests on a frame that waits in order, or at the end.
void DelayStore::skip_handled() {
  while (next_ < end_ && slot_at(next_).state != Slot::kWaiting) next_ += slot_at(next_).stride;
}

bool DelayStore::late_is_first() const {
  if (late_.empty()) return false;
  return next_ == end_ || late_.front().deliver_at_ns < slot_at(next_).deliver_at_ns;
}

}  // namespace tideway::wan
