// SPDX-License-Identifier: Apache-2.0
//
// Paths of entries while a list streams by, in its order.
// Thread: one owner. Pure.
#pragma once
#include <tideway/object_store.h>

#include <string>
#include <utility>
#include <vector>

namespace tideway::transfer {

class EntryPaths {
 public:
  // Below entry 0, which has none itself. Each entry once, in their order.
  std::string next(const ManifestEntry& entry) {
    while (!open_.empty() && open_.back().number != entry.parent) open_.pop_back();
    const std::string above = open_.empty() ? "" : open_.back().path;
    std::string path = entry.number == entry.parent ? "" : above.empty() ? entry.name : above + '/' + entry.name;
    if (entry.type == EntryType::kDirectory) open_.push_back({entry.number, path});
    return path;
  }

 private:
  struct Open { ObjectId number; std::string path; };
  std::vector<Open> open_;  // directories, from entry 0 down
};

}  // namespace tideway::transfer
