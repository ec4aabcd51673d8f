// SPDX-License-Identifier: Apache-2.0
#include "storage/request_slots.h"

#include <algorithm>

namespace tideway::storage {

RequestSlots::RequestSlots() {
  for (uint32_t i = kInFlightMax; i > 0; --i) free_.push_back(i - 1);
  done_.reserve(kInFlightMax);
}

uint32_t RequestSlots::take(const StoreRequest& request) {
  TIDEWAY_CHECK(!free_.empty());
  const uint32_t index = free_.back();
  free_.pop_back();
  slots_[index] = {request};
  return index;
}

void RequestSlots::finish(uint32_t index, Status status) {
  answer(slots_[index].request.token, std::move(status));
  free_.push_back(index);
}

size_t RequestSlots::take_done(std::span<StoreDone> out) {
  const size_t count = std::min(out.size(), done_.size());
  std::move(done_.begin(), done_.begin() + static_cast<ptrdiff_t>(count), out.begin());
  done_.erase(done_.begin(), done_.begin() + static_cast<ptrdiff_t>(count));
  return count;
}

}  // namespace tideway::storage
