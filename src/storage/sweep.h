// SPDX-License-Identifier: Apache-2.0
//
// Removes what transfers left in staging when their process died, once it is old enough that nobody comes back for it.
// Thread: any; it blocks.
#pragma once
#include "storage/rooted_dir.h"
#include <tideway/time.h>

namespace tideway::storage {

// Looks at each transfer's directory below .tideway of `root`: one that some process holds stays, and so does one in
// which something was made or written less than `ttl` before `now_ns` (wall time since the epoch, as in time stamps of
// files). Then removes .tideway itself if nothing is left in it. Gives the number of those removed; what cannot be
// opened or removed, as another user's, is left. Errors: those of reading .tideway.
Result<size_t> sweep_staging(const RootedDir& root, Duration ttl, int64_t now_ns);

}  // namespace tideway::storage
