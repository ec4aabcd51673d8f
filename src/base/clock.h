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

// The calendar's, in whole seconds: certificates and what is kept in files live on it. It may jump.
inline std::chrono::sys_seconds read_calendar() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }


// The same in milliseconds, for jobs, which outlive a process.
inline std::chrono::sys_time<std::chrono::milliseconds> read_wall_clock() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace tideway
