// SPDX-License-Identifier: Apache-2.0
//
// Room for the leaves of a block that a sink reads from its own disk instead of the network, while they are written.
// Thread: io worker.
#pragma once
#include "storage/direct_io.h"
#include <tideway/object_store.h>

#include <array>
#include <memory>
#include <vector>

namespace tideway::engine {

class CopyRooms {
 public:
  static constexpr size_t kRooms = 2;  // one is read into while the other is written
  struct alignas(storage::kDirectAlignment) Room {
    std::array<std::byte, kLeafSize.count()> bytes;
  };
  // Nothing: both are in use. Their memory is taken when it is needed first.
  std::unique_ptr<Room> take() {
    if (free_.empty() && made_ == kRooms) return nullptr;
    if (free_.empty()) return ++made_, std::make_unique_for_overwrite<Room>();
    auto room = std::move(free_.back());
    free_.pop_back();
    return room;
  }
  void give_back(std::unique_ptr<Room> room) { free_.push_back(std::move(room)); }

 private:
  std::vector<std::unique_ptr<Room>> free_;
  size_t made_ = 0;
};

}  // namespace tideway::engine
