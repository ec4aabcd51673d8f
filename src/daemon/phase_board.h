// SPDX-License-Identifier: Apache-2.0
//
// The gateway's side of the phase board: makes the file, maps it, and clears slots whose writer is gone.
// Thread: beacon, after create(); net workers read the slots.
#pragma once
#include "base/descriptor.h"
#include "gate/phase_board.h"
#include <tideway/result.h>

#include <memory>
#include <string>

namespace tideway::daemon {

class PhaseBoard {
 public:
  // An existing board stays, with the writers that have it open. Errors: config_invalid.
  static Result<std::unique_ptr<PhaseBoard>> create(const std::string& path);
  ~PhaseBoard();
  PhaseBoard(const PhaseBoard&) = delete;
  PhaseBoard& operator=(const PhaseBoard&) = delete;

  const tideway_phase_slot* slots() const { return slots_; }
  // Clears the slots that nobody locks, so that a dead trainer neither holds the gate nor keeps its place.
  void reclaim();

 private:
  PhaseBoard(Descriptor file, tideway_phase_slot* slots) : file_(std::move(file)), slots_(slots) {}
  const Descriptor file_;
  tideway_phase_slot* const slots_;
};

}  // namespace tideway::daemon
