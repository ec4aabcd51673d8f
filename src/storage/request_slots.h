// SPDX-License-Identifier: Apache-2.0
//
// The requests a file store has taken and not yet answered, and the answers nobody has fetched yet. Both together stay
// within kInFlightMax, so a caller that does not poll is not taken from any more.
// Thread: io worker. Pure.
#pragma once
#include <tideway/object_store.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace tideway::storage {

inline constexpr uint32_t kInFlightMax = 64;  // the queue depth up to which a fast device gains

class RequestSlots {
 public:
  struct Slot {
    StoreRequest request;
    uint32_t parts = 0;  // I/O requests still at work for it
    int error = 0;       // of the first part that failed
    bool is_direct = false;
  };
  RequestSlots();
  bool has_room() const { return used() + done_.size() < kInFlightMax; }
  size_t used() const { return kInFlightMax - free_.size(); }
  uint32_t take(const StoreRequest& request);
  Slot& at(uint32_t index) { return slots_[index]; }
  void finish(uint32_t index, Status status);
  // The answer to a request that needed no slot.
  void answer(uint32_t token, Status status) { done_.push_back({token, std::move(status)}); }
  size_t take_done(std::span<StoreDone> out);

 private:
  std::array<Slot, kInFlightMax> slots_{};
  std::vector<uint32_t> free_;
  std::vector<StoreDone> done_;
};

}  // namespace tideway::storage
