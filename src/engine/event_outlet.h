// SPDX-License-Identifier: Apache-2.0
//
// The io worker's way to tell the control thread something. A full ring makes the teller wait for its next turn.
// Thread: io worker.
#pragma once
#include "engine/rings.h"

namespace tideway::engine {

inline constexpr size_t kEventsPerCommand = messages::kEntriesPerPageMax + 64;  // a page of a list tells each entry

class EventOutlet {
 public:
  explicit EventOutlet(Rings& rings) : rings_(rings) {}
  bool has_room() { return !rings_.io_control.events.is_full(); }
  // Whether there is room for all that one command, or one entry of each kind, may have to tell.
  bool has_room_for_command() { return rings_.io_control.events.room() >= kEventsPerCommand; }
  // Needs room.
  void emit(IoEvent event) { pass_on(rings_.io_control.events, std::move(event), *rings_.control_bell); }

 private:
  Rings& rings_;
};

}  // namespace tideway::engine
