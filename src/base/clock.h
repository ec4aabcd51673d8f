// SPDX-License-Identifier: Apache-2.0
//
// The real clock, for the loops that drive others (engine, daemon, session/direct, programs). Everything below takes
// `Time now` as an argument.
#pragma once
#include <tideway/time.h>

namespace tideway {

inline Time read_clock() {
  return Time(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

}  // namespace tideway
