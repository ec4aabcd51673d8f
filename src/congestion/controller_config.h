// SPDX-License-Identifier: Apache-2.0
//
// What any congestion controller may need to know at its start.
// Pure.
#pragma once
#include <tideway/units.h>

#include <cstdint>

namespace tideway::congestion {

struct ControllerConfig {
  Bytes packet_size = 1408_B;      // UDP payload of a full packet
  Bytes window_initial = 256_KiB;  // this flow's share of the session's initial window
  Duration rtt_initial = std::chrono::milliseconds(50);  // as the control channel measured it; above zero
  Rate rate_contracted = {};       // `contracted` only: the session's rate in UDP payload
  Rate rate_remembered = {};       // of this path from an earlier session, this flow's share; zero: unknown
  uint32_t flows = 1;              // of the session, so that N flows do not ask for N shares
  uint64_t seed = 1;               // spreads the times at which flows probe
};

// A window below two packets could stop: one may wait in the receiver for the second before it is acked.
constexpr Bytes window_floor(const ControllerConfig& config) { return config.packet_size * 2; }

}  // namespace tideway::congestion
