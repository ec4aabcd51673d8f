// SPDX-License-Identifier: Apache-2.0
//
// Directories of a publish that have more rights than their entry says: to put something into one, or to move it, its owner needs
// rights that the entry may withhold. Such a one gets its mode last, at its place. Which ones these are stands in staging before, by
// their inodes, so that whoever repeats a publish that was cut off finds them among what is there already.
// Thread: io worker; it blocks.
#pragma once
#include "storage/rooted_dir.h"

#include <vector>

namespace tideway::storage {

inline constexpr const char* kOpenedName = "opened";  // of the note, in staging

// What the owner of a directory needs for that.
inline constexpr uint32_t kBuildMode = 0700;
inline bool withholds(uint32_t mode) { return (mode & kBuildMode) != kBuildMode; }

// Notes that `dir` is one of them. Twice is as good as once. Not synced: sync_opened() comes before a name that others see.
Status note_opened(const RootedDir& staging, const RootedDir& dir);
Status sync_opened(const RootedDir& staging);
// Inodes of all that were noted, ascending; most publishes have none.
Result<std::vector<uint64_t>> read_opened(const RootedDir& staging);

// The directory `name` directly in `in`, made with this mode, and noted where that withholds something, if it is not there.
Result<RootedDir> enter_or_make(const RootedDir& staging, const RootedDir& in, const ObjectName& name, uint32_t mode);

}  // namespace tideway::storage
