// SPDX-License-Identifier: Apache-2.0
//
// Which transfer slots of one direction of a session are in use. A sink chooses them, in rising order, and none again
// within a minute, so that a late packet of one transfer cannot meet the next one (docs/protocol.md, "Packets").
// Thread: control. Pure.
#pragma once
#include <tideway/ids.h>
#include <tideway/time.h>

#include <cstdint>
#include <map>
#include <optional>

namespace tideway::session {

class SlotBook {
 public:
  static constexpr Duration kRest = std::chrono::seconds(60);

  std::optional<SlotId> take(Time now);    // ours to choose; nothing: all 65,536 are in use or rest
  bool claim(Time now, SlotId slot);       // the peer's choice; false: it is in use, or rests
  void give_back(Time now, SlotId slot);

 private:
  std::map<uint16_t, Time> free_at_;       // kNever: in use; a slot that is not here is free
  static constexpr size_t kTidyMin = 64;
  size_t tidy_at_ = kTidyMin;              // entries; then those that have rested are dropped
  uint16_t next_ = 0;
};

}  // namespace tideway::session
