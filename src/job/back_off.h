// SPDX-License-Identifier: Apache-2.0
//
// How long a job that stumbled waits before it tries again: twice as long each time, up to a limit by what it waits for, and
// a random quarter less, so that the jobs of a gateway that came back do not all ask at once.
// Pure.
#pragma once
#include "base/random.h"
#include "job/job.h"

namespace tideway::job {

inline constexpr Duration kRetryFirst = std::chrono::milliseconds(500), kRetryMax = std::chrono::seconds(30);
inline constexpr Duration kWaitFirst = std::chrono::seconds(5), kWaitMax = std::chrono::minutes(5);

// After `attempts` that ended in trouble, at least one.
Duration back_off(Reaction reaction, uint32_t attempts, Random& random);

}  // namespace tideway::job
