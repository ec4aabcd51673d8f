// SPDX-License-Identifier: Apache-2.0
//
// Makes a complete transfer visible from its staged manifest and objects. A destination that does not exist appears by
// one rename; into an existing directory each object goes by a rename of its own, after everything was checked for
// conflicts, and completion markers last. Nothing that exists is ever replaced or removed, and nothing incomplete has
// a final name. Memory is bounded by the depth and one page, plus one bit per entry.
//
// Every step may be repeated: an object that is no longer in staging must already lie where it belongs.
// Thread: io worker; it blocks.
#pragma once
#include "storage/staging.h"
#include "storage/stored_manifest.h"
#include <tideway/object_store.h>

namespace tideway::storage {

enum class Existing : uint8_t {
  kAbsent,
  kSame,          // size and mtime of a file, target of a link; any directory
  kDifferent,     // of the same type
  kTypeConflict,
};

// What stands at `name` in `dir` where `entry` is to go.
Result<Existing> probe_existing(const RootedDir& dir, const ObjectName& name, const ManifestEntry& entry);

// Errors: dest_exists, type_conflict, name_collision (two entries become one name here), name_reserved, unsafe_link,
// manifest_mismatch (an object is missing, or the list is not what was announced), and those of the file system.
Status publish_staged(Staging& staging, const PublishOrder& order, const PageReader& read_page);

}  // namespace tideway::storage
