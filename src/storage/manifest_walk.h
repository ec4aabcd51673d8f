// SPDX-License-Identifier: Apache-2.0
//
// Walks a staged manifest beside directories that have, or get, its shape: one held directory per level. Checks
// what a peer may have got wrong on the way: numbers, parents, names, order.
// Thread: io worker.
#pragma once
#include "storage/staging.h"
#include "storage/stored_manifest.h"

#include <functional>
#include <optional>
#include <vector>

namespace tideway::storage {

struct WalkSteps {
  // The directory that is to stand for `entry` while its content is visited. Nothing: its content is not visited.
  std::function<Result<std::optional<RootedDir>>(const RootedDir& in, const ManifestEntry& entry)> on_directory;
  std::function<Status(const RootedDir& in, const ManifestEntry& entry)> on_file;
  // `depth` counts the directories between the top and the link.
  std::function<Status(const RootedDir& in, const ManifestEntry& entry, size_t depth)> on_link;
  // After all of a directory's content. Not called for entry 0: its owner has it in hand.
  std::function<Status(const RootedDir& dir, const ManifestEntry& entry)> on_leave;
};

struct WalkResult {
  ManifestEntry top;       // entry 0
  uint64_t entries = 0;
  uint64_t leaves = 0;
  uint64_t directories = 0;
};

// `top` is the directory that entry 0 stands for. Steps that are not set do nothing; without on_directory only its own
// entries are visited.
Result<WalkResult> walk_manifest(const Staging& staging, const PageReader& read_page, const RootedDir& top,
                                 const WalkSteps& steps);

// Entry 0 alone.
Result<ManifestEntry> read_entry_zero(const Staging& staging, const PageReader& read_page);

}  // namespace tideway::storage
