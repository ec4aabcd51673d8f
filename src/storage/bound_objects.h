// SPDX-License-Identifier: Apache-2.0
//
// What object numbers mean, for as long as somebody may still ask. A file is known until it is released; a directory
// while it is on the way to the entry bound last, or has known children. A manifest comes depth first, so once an entry
// with another parent arrives, a directory that is no ancestor of it can get no further children. Links and empty
// files are not kept at all: they have no bytes, and publish takes them from the manifest.
// Memory is therefore the open files' share plus the depth, not the tree. Pure.
#pragma once
#include <tideway/object_name.h>
#include <tideway/object_store.h>

#include <string>
#include <unordered_map>
#include <vector>

namespace tideway::storage {

struct BoundObject {
  ObjectId id;
  BoundObject* parent = nullptr;  // none: entry 0
  uint32_t children = 0;          // known ones, plus one while it is on the way to the last entry
  std::string name;
  EntryType type = EntryType::kFile;
  Bytes size;
  uint32_t mode = 0;
  int64_t mtime_ns = 0;
};

class BoundObjects {
 public:
  // An entry whose parent is not known stays unknown itself; its requests fail by themselves.
  void bind(ObjectId id, const ManifestEntry& entry);
  void release(ObjectId id);  // of a file; unknown is fine
  // A known file, or nothing.
  const BoundObject* find_file(ObjectId id) const;
  // A known directory, or nothing.
  const BoundObject* find_directory(ObjectId id) const;
  size_t size() const { return objects_.size(); }

  // Components below entry 0, from the top.
  static std::vector<std::string> path_of(const BoundObject& object);

 private:
  void close_way_up_to(const BoundObject* parent);
  void drop_child(BoundObject* object);

  std::unordered_map<ObjectId, BoundObject> objects_;
  std::vector<BoundObject*> way_;  // directories from entry 0 to the entry bound last
};

}  // namespace tideway::storage
