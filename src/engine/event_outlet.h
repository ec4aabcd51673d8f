// SPDX-License-Identifier: Apache-2.0
//
// The io worker's way to tell the control thread something. A full ring makes the teller wait for its next turn.
// Thread: io worker.
#pragma once
#include "engine/rings.h"

namespace tideway::engine {

class EventOutlet {
 public:
  explicit EventOutlet(Rings& rings) : rings_(rings) {}
  bool has_room() { return !rings_.io_control.events.is_full(); }
  // Needs room.
  void emit(IoEvent event) { pass_on(rings_.io_control.events, std::move(event), *rings_.control_bell); }

 private:
  Rings& rings_;
};

}  // namespace tideway::engine
