// SPDX-License-Identifier: Apache-2.0
//
// What was published below a root earlier, as others of this gateway and other processes see it: who reads it holds a lock on its
// manifest together with others, who takes it away holds it alone. So a checkpoint that a restore reads is not removed under it, and
// a lock that a dead process held is gone with it.
// Thread: any; it blocks on the disk, never on a lock.
#pragma once
#include "storage/stored_manifest.h"
#include <tideway/ids.h>

#include <optional>

namespace tideway::storage {

// Where the manifest of what is published at `name` lies, below the same root. Errors: source_missing: nothing is there, or it was not
// published by us as a whole.
Result<ObjectName> manifest_of(const RootedDir& root, const ObjectName& name);

// Keeps it from being removed while the descriptor is open. Not open: it was not published by us, and is not removed by us either.
// Errors: source_missing: it is being removed.
Result<Descriptor> hold_published(const RootedDir& root, const ObjectName& name);

// Where publish leaves the tree that it exchanged for another one, in the staging of that transfer.
ObjectName former_tree_name();
// Whether somebody holds the tree that lies there; he reads it by its directory, whatever its name has come to be.
bool is_former_read(const RootedDir& staging);

struct Removal {
  ObjectName name;        // below the root
  Hash256 tree_root{};    // as it was published
  TransferId id{};        // it goes to .tideway/<id> first, so that it vanishes at once and a sweep finds what is left
  PageReader read_page;   // of its list
};
// Errors: source_missing: it is not there; manifest_mismatch: something else is, as a file that somebody has put in its place; dest_busy: somebody reads it; and those of the file
// system, when nothing has changed or, behind the rename, some of it is left below .tideway.
Status remove_published(const RootedDir& root, const Removal& removal);

}  // namespace tideway::storage
