// SPDX-License-Identifier: Apache-2.0
//
// What transfers left in staging when their process died: removed once it is old enough that nobody comes back for it, or when
// its owner needs the room.
// Thread: any; it blocks.
#pragma once
#include "storage/rooted_dir.h"
#include <tideway/time.h>

namespace tideway::storage {

// Looks at each transfer's directory below .tideway of `root`: one that some process holds stays, and so does one in
// which something was made or written less than `ttl` before `now_ns` (wall time since the epoch, as in time stamps of
// files). A tree that was replaced while somebody read it goes as soon as nobody does. Then removes .tideway itself if nothing is left in it. Gives the number of those removed; what cannot be
// opened or removed, as another user's, is left. Errors: those of reading .tideway.
Result<size_t> sweep_staging(const RootedDir& root, Duration ttl, int64_t now_ns);

// What is durable in staging below `root`, of all transfers, live or not.
Bytes staged_bytes(const RootedDir& root);

// Removes what `owner` left and no process holds, the oldest first, until the rest of that is at most `bytes_max`. Gives what is
// left of it. What says nothing of its owner is nobody's.
Result<Bytes> make_room(const RootedDir& root, std::string_view owner, Bytes bytes_max);

}  // namespace tideway::storage
