// SPDX-License-Identifier: Apache-2.0
//
// What an entry of a list is, whatever its number: a hash over its path, type, size, mode, time and version. Entries come in
// their order, each behind its parent, and depth first: only the directories on the way to the last one are kept.
// Pure.
#pragma once
#include <tideway/ids.h>
#include <tideway/object_store.h>

#include <vector>

namespace tideway::engine {

class EntryKeys {
 public:
  Hash128 next(const ManifestEntry& entry);

 private:
  struct Directory {
    ObjectId number;
    Hash128 path{};
  };
  std::vector<Directory> way_;  // from entry 0 on
};

}  // namespace tideway::engine
