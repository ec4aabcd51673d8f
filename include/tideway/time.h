// SPDX-License-Identifier: Apache-2.0
//
// Monotonic time as a value. Below the loops nothing reads a clock: `Time now` is an argument, so a simulation can
// choose it.
#pragma once
#include <chrono>
#include <cstdint>

namespace tideway {

using Duration = std::chrono::nanoseconds;

// Names the time line; it has no now() of its own on purpose. `base/clock.h` reads the real one for the loops.
struct Monotonic {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<Monotonic, Duration>;
  static constexpr bool is_steady = true;
};

using Time = Monotonic::time_point;
inline constexpr Time kNever = Time::max();  // a deadline that never comes

}  // namespace tideway
