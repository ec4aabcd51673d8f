// SPDX-License-Identifier: Apache-2.0
#include "storage/bound_objects.h"

#include <algorithm>

namespace tideway::storage {

void BoundObjects::bind(ObjectId id, const ManifestEntry& entry) {
  const bool is_top = entry.parent == id;
  BoundObject* parent = nullptr;
  if (!is_top) {
    const auto found = objects_.find(entry.parent);
    if (found == objects_.end() || found->second.type != EntryType::kDirectory) return;
    parent = &found->second;
  }
  close_way_up_to(parent);
  const bool is_kept = entry.type == EntryType::kDirectory || (entry.type == EntryType::kFile && entry.size > Bytes());
  if (!is_kept || objects_.contains(id)) return;
  BoundObject& object = objects_[id];
  object.id = id;
  object.parent = parent;
  object.name = is_top ? std::string() : entry.name;
  object.type = entry.type;
  object.size = entry.size;
  object.mode = entry.mode;
  object.mtime_ns = entry.mtime_ns;
  if (parent != nullptr) ++parent->children;
  if (entry.type != EntryType::kDirectory) return;
  object.children = 1;
  way_.push_back(&object);
}

void BoundObjects::close_way_up_to(const BoundObject* parent) {
  // A parent that is known but off the way came out of order; its directories stay until it is resolved.
  if (parent != nullptr && std::find(way_.rbegin(), way_.rend(), parent) == way_.rend()) return;
  while (!way_.empty() && way_.back() != parent) {
    BoundObject* left = way_.back();
    way_.pop_back();
    drop_child(left);
  }
}

void BoundObjects::drop_child(BoundObject* object) {
  while (object != nullptr && --object->children == 0) {
    BoundObject* parent = object->parent;
    objects_.erase(ObjectId(object->id));
    object = parent;
  }
}

void BoundObjects::release(ObjectId id) {
  const auto found = objects_.find(id);
  if (found == objects_.end() || found->second.type != EntryType::kFile) return;
  BoundObject* parent = found->second.parent;
  objects_.erase(found);
  drop_child(parent);
}

const BoundObject* BoundObjects::find_file(ObjectId id) const {
  const auto found = objects_.find(id);
  return found != objects_.end() && found->second.type == EntryType::kFile ? &found->second : nullptr;
}

const BoundObject* BoundObjects::find_directory(ObjectId id) const {
  const auto found = objects_.find(id);
  return found != objects_.end() && found->second.type == EntryType::kDirectory ? &found->second : nullptr;
}

std::vector<std::string> BoundObjects::path_of(const BoundObject& object) {
  std::vector<std::string> path;
  for (const BoundObject* at = &object; at->parent != nullptr; at = at->parent) path.push_back(at->name);
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace tideway::storage
