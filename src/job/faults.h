// SPDX-License-Identifier: Apache-2.0
//
// Faults of the queue that are told by the code of their kind for now.
// Pure.
#pragma once
#include <tideway/result.h>

namespace tideway::job {

inline constexpr Fault kStoreUnavailable = Fault::kOverloaded;
inline constexpr Fault kStateNewer = Fault::kConfigInvalid;
inline constexpr Fault kSubmissionConflict = Fault::kDestExists;

}  // namespace tideway::job
