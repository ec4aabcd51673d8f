// SPDX-License-Identifier: Apache-2.0
//
// The io worker's way to tell the control thread something. A full ring makes the teller wait for its next turn.
// Thread: io worker.
#pragma once
#include "engine/rings.h"

namespace tideway::engine {

inline constexpr size_t kEventsPerCommand = messages::kEntriesPerPageMax + 64;  // a page of a list tells each entry

// What both paths of the io worker hold themselves to.
inline constexpr uint32_t kMessagesOutMax = 32;    // told to the control thread and not yet in the channel
inline constexpr size_t kAnswersBatch = 64;        // of the store, at once
inline constexpr uint32_t kCloseTokens = 1U << 31;  // of requests to the store: from here on they close something

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
