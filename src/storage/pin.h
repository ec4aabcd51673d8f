// SPDX-License-Identifier: Apache-2.0
//
// Holds a tree for as long as it takes to send it, in ROOT/.tideway/pins/<id>/: trainers delete and rewrite checkpoints on their own
// schedule. Small files are copied; large ones share their blocks where the file system can (FICLONE), else they are hard links, which
// outlive the deletion of the original and not a rewrite in place: that is noticed by size and time.
//
//   pins/<id>/...     the files of a directory, or the one file under its name; made as <id>.part and renamed when it is whole
//
// pins/ and inbox/ belong to a group that trainers are members of, with setgid and sticky bit: they make entries of their own and
// cannot remove those of others; we can remove all.
// Thread: any; it blocks.
#pragma once
#include "storage/rooted_dir.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::storage {

inline constexpr std::string_view kPinsName = "pins", kInboxName = "inbox";
inline constexpr Bytes kCopiedMax = 1_MiB;      // markers, JSON and trackers are smaller, and must not change under us
inline constexpr size_t kPinIdMax = 128;
inline constexpr size_t kPinDepthMax = 32;      // of directories in a checkpoint

bool is_pin_id(std::string_view id);            // one component without a dot in front
bool is_pin_draft(std::string_view name);       // of one that is being made, or whose maker died
ObjectName pins_dir();
ObjectName inbox_dir();

// Makes .tideway, pins and inbox below `root` with their modes. `group`: for pins and inbox; none: as they are.
Status make_request_dirs(const RootedDir& root, std::optional<uint32_t> group);

// Of what a pin was made.
struct PinCount {
  uint64_t copied = 0, cloned = 0, linked = 0;
  Bytes bytes;
};

// What lies at `source` below `root`. Errors: unsupported: a large file can neither be cloned nor linked; source_*, dest_*. Nothing
// is left then. One that is there already is another's: dest_exists.
Result<PinCount> make_pin(const RootedDir& root, const ObjectName& source, const std::string& id);

// Puts a pin, or what is read in place, on stable storage, so that it is whole when the power fails, whatever the trainer has removed by then: with the bytes of
// large files, which are his, and which he may never have synced. Takes as long as what is not written yet. Errors: those of the file system.
Status sync_tree(const RootedDir& root, const ObjectName& name);

// The uid of whoever made it. Errors: source_missing.
Result<uint32_t> owner_of_pin(const RootedDir& root, const std::string& id);

// Names of pins and drafts into which nothing was put since `ctime_ns` (UNIX time), in their order.
struct PinsPage {
  std::string_view behind;  // the last one of the page before; empty: from the first one on
  size_t most = 0;
};
std::vector<std::string> pins_older_than(const RootedDir& root, int64_t ctime_ns, const PinsPage& page);

// Missing is fine.
Status drop_pin(const RootedDir& root, const std::string& id);

// Where the scan of a pin begins: the directory itself, or the one file in it.
struct PinPlace {
  RootedDir dir;
  ObjectName name;  // root: the directory
};
// `name`: of the checkpoint. Errors: source_missing.
Result<PinPlace> open_pin(const RootedDir& root, const std::string& id, const std::string& name);

}  // namespace tideway::storage
