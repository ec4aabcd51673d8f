// SPDX-License-Identifier: Apache-2.0
//
// Makes a complete transfer visible from its staged manifest and objects. A destination that does not exist appears by
// one rename. Into an existing directory goes what it lacks: each missing file, link or directory with all its content
// is made ready in staging, with its modes and times, and appears by one rename of its own, completion markers last.
// All that can be foreseen to fail (conflicts, missing objects, a full disk) fails before the first of these renames.
// Nothing that exists is replaced or removed unless the rules say so, and nothing incomplete has a final name. A tree that
// replaces another one is made ready as a whole, exchanged with it by one rename, and the other one goes with staging. Memory is bounded by the
// depth and one page, plus two bits per entry, and eight bytes for each directory that withholds rights from its owner and was left
// by an attempt that died (opened_dirs.h).
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

// A new tree appears by one rename, with `kRename` always: then nothing may be added to one that is there. With `kMarker` the
// parts of a tree appear one by one, also in a directory that is made for it. What is called as one of `last` appears when all
// else has; so do the names by which trainers tell that a checkpoint is complete. `kEach` is `kMarker` for what is left when the
// files that are not called so have appeared, each by itself, when it was whole and durable.
struct PublishRules {
  enum class Form : uint8_t { kAuto, kRename, kMarker, kEach } form = Form::kAuto;
  std::vector<std::string> last;
  // Of a single file: kIfOlder replaces one that is older, and leaves one that is not; kAlways replaces any that differs. Of a tree,
  // with kRename: kAlways takes the place of the one that is there, with all that is in it. Trees are never added to by replacing.
  enum class Replace : uint8_t { kNever, kIfOlder, kAlways } replace = Replace::kNever;
};
bool replaces_trees(const PublishRules& rules);
// Whether a tree can take the place of the one at `destination`: tried with two names in staging, before anything is sent. Errors:
// type_conflict: that is the root itself; unsupported: the file system cannot exchange two names.
Status check_may_replace(const Staging& staging, const ObjectName& destination);

// What stands at `name` in `dir` where `entry` is to go. Under a rule that replaces, an older file is as good as none, and a later one
// as the same.
Result<Existing> probe_existing(const RootedDir& dir, const ObjectName& name, const ManifestEntry& entry, const PublishRules& rules = {});

// Errors: dest_exists, type_conflict, name_collision (two entries become one name here), name_reserved, unsafe_link,
// manifest_mismatch (an object is missing, or the list is not what was announced), and those of the file system.
// What becomes of an entry's mode where modes may allow `modes` at most. Of a directory, the owner's bits are left alone.
uint32_t limit_mode(const ManifestEntry& entry, uint32_t modes);

// `modes` is the most that modes may allow. `early`: whether files of this transfer have appeared by themselves.
struct PublishHow {
  PageReader read_page;
  uint32_t modes = 0777;
  PublishRules rules = {};
  enum class Early : uint8_t { kNone, kSome } early = Early::kNone;
};
Status publish_staged(Staging& staging, const PublishOrder& order, const PublishHow& how);

// A staged file that appears before the rest of its tree does.
struct EarlyFile {
  ObjectId object;
  ObjectName name;              // below the destination
  std::vector<uint32_t> modes;  // of the directories on the way if they are to be made: the destination first
};
// Gives it its name, by one rename, and syncs nothing: a name that a crash takes away leaves the file in staging. Where something
// has that name the file stays in staging, for publish_staged to judge.
Status publish_early(Staging& staging, const ObjectName& destination, const EarlyFile& file);
// Whether a file of this name appears when all else has.
bool is_marker(std::string_view name, const PublishRules& rules);

// Errors: dest_exists, when these rules do not let anything be added to what stands at the destination.
Status check_may_add(const PublishRules& rules, const std::string& shown);

// Errors: name_reserved, for a name that Tideway keeps for itself.
Status check_destination(const ObjectName& name);

}  // namespace tideway::storage
