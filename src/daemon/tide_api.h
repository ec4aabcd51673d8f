// SPDX-License-Identifier: Apache-2.0
//
// The part of the API that is about trainings: takes their words.
// Thread: control.
#pragma once
#include "daemon/phase_port.h"
#include "gate/repeat_filter.h"
#include "http/exchange.h"

namespace tideway::daemon {

class TideApi {
 public:
  explicit TideApi(PhasePort* phases) : phases_(phases) {}

  http::Response take_phase(Time now, const std::string& body);

 private:
  PhasePort* const phases_;      // null: no training is configured
  gate::RepeatFilter seen_;
};

}  // namespace tideway::daemon
