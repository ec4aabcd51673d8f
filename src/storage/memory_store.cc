// SPDX-License-Identifier: Apache-2.0
#include "storage/memory_store.h"

#include <algorithm>

namespace tideway::storage {
namespace {

class MemoryLister final : public ObjectLister {
 public:
  MemoryLister(const MemoryTree& tree, ObjectName under) : tree_(tree), under_(std::move(under)) {}
  Result<size_t> next(std::span<ManifestEntry> out) override;
  bool next_skipped(SkippedEntry&) override { return false; }

 private:
  const MemoryTree& tree_;
  ObjectName under_;
  std::optional<ObjectName> last_;
  std::map<ObjectName, ObjectId> directories_;
  uint32_t next_number_ = 0;
  uint64_t next_leaf_ = 0;
};

Result<size_t> MemoryLister::next(std::span<ManifestEntry> out) {
  if (tree_.find(under_) == nullptr)
    return Error{Fault::kSourceMissing, "\"" + to_display(under_) + "\" does not exist", "check the name"};
  size_t filled = 0;
  auto at = last_ ? tree_.nodes().upper_bound(*last_) : tree_.nodes().find(under_);
  for (; filled < out.size() && at != tree_.nodes().end() && at->first.starts_with(under_); ++at) {
    const auto& [name, node] = *at;
    last_ = name;
    ManifestEntry entry;
    entry.number = ObjectId(next_number_++);
    entry.parent = name == under_ ? entry.number : directories_.at(name.parent());
    if (name != under_) entry.name = name.last();
    entry.type = node.type;
    entry.size = Bytes(node.type == EntryType::kFile ? node.bytes.size() : 0);
    entry.mode = node.type == EntryType::kSymlink ? 0777 : node.mode;
    entry.mtime_ns = node.mtime_ns;
    entry.first_leaf = next_leaf_;
    entry.link_target = node.link_target;
    next_leaf_ += leaf_count(entry.size);
    if (node.type == EntryType::kDirectory) directories_[name] = entry.number;
    out[filled++] = std::move(entry);
  }
  return filled;
}

Error no_such_file(ObjectId id) {
  return {Fault::kProtocolError, "object " + std::to_string(id.value()) + " is no file of this transfer", ""};
}

}  // namespace

MemoryTree::MemoryTree() { nodes_[{}] = {EntryType::kDirectory, {}, 0755, 0, {}, 0}; }

void MemoryTree::put(const ObjectName& name, MemoryNode node) {
  for (ObjectName above = name.parent(); !nodes_.contains(above); above = above.parent())
    nodes_[above] = {EntryType::kDirectory, {}, 0755, 0, {}, next_version_++};
  node.version = next_version_++;
  nodes_[name] = std::move(node);
}

void MemoryTree::remove(const ObjectName& name) {
  auto at = nodes_.lower_bound(name);
  while (at != nodes_.end() && at->first.starts_with(name)) at = nodes_.erase(at);
}

const MemoryNode* MemoryTree::find(const ObjectName& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second;
}

std::unique_ptr<ObjectLister> MemorySource::list(const ObjectName& under) {
  for (const std::string& component : under.components()) {
    auto longer = base_.child(component);
    if (longer.ok()) base_ = std::move(longer).value();
  }
  return std::make_unique<MemoryLister>(tree_, base_);
}

size_t MemorySource::submit(std::span<const StoreRequest> requests) {
  size_t taken = 0;
  for (; taken < requests.size() && slots_.has_room(); ++taken)
    slots_.answer(requests[taken].token, perform(requests[taken]));
  return taken;
}

Status MemorySource::perform(const StoreRequest& request) {
  const BoundObject* object = objects_.find_file(request.object);
  if (object == nullptr) return request.op == StoreOp::kClose ? success() : Status(no_such_file(request.object));
  ObjectName name = base_;
  for (const std::string& component : BoundObjects::path_of(*object)) name = name.child(component).value();
  const MemoryNode* node = tree_.find(name);
  const std::string shown = "\"" + to_display(name) + "\"";
  Status status = success();
  if (node == nullptr || node->type != EntryType::kFile) {
    status = Error{Fault::kSourceVanished, shown + " was removed while it was copied", "copy it again if it comes back"};
  } else {
    const auto [seen, is_first] = first_seen_.try_emplace(request.object, node->version);
    const bool is_as_listed = object->size == Bytes(node->bytes.size()) && object->mtime_ns == node->mtime_ns;
    if (!is_as_listed || seen->second != node->version)
      status = Error{Fault::kSourceChanged, shown + " changed while it was copied", "copy it again"};
    else if (request.op == StoreOp::kRead && request.offset.count() + request.bytes.size() > node->bytes.size())
      status = Error{Fault::kSourceChanged, shown + " is shorter than what was asked for", "copy it again"};
    else if (request.op == StoreOp::kRead)
      std::copy_n(node->bytes.begin() + static_cast<ptrdiff_t>(request.offset.count()), request.bytes.size(),
                  request.bytes.begin());
  }
  return status;
}

Status MemorySource::publish(const PublishOrder&) {
  return Error{Fault::kUnsupported, "a source publishes nothing", ""};
}

std::unique_ptr<ObjectLister> MemorySink::list(const ObjectName& under) {
  return std::make_unique<MemoryLister>(tree_, under);
}

size_t MemorySink::submit(std::span<const StoreRequest> requests) {
  size_t taken = 0;
  for (; taken < requests.size() && slots_.has_room(); ++taken)
    slots_.answer(requests[taken].token, perform(requests[taken]));
  return taken;
}

Status MemorySink::perform(const StoreRequest& request) {
  if (request.op == StoreOp::kSync) return success();
  const auto entry = entries_.find(request.object);
  const bool is_file = entry != entries_.end() && entry->second.type == EntryType::kFile && entry->second.size > Bytes();
  if (request.op == StoreOp::kClose) {
    if (is_file) staged_[request.object].resize(entry->second.size.count());
    return success();
  }
  if (!is_file) return no_such_file(request.object);
  if (request.offset.count() + request.bytes.size() > entry->second.size.count())
    return Error{Fault::kProtocolError, "bytes behind the announced end", ""};
  auto& bytes = staged_[request.object];
  if (request.op == StoreOp::kReadBack) {
    const auto there = std::span(bytes).subspan(std::min<size_t>(bytes.size(), request.offset.count()));
    const auto rest = std::copy_n(there.begin(), std::min(there.size(), request.bytes.size()), request.bytes.begin());
    std::fill(rest, request.bytes.end(), std::byte{});
    return success();
  }
  bytes.resize(std::max<size_t>(bytes.size(), request.offset.count() + request.bytes.size()));
  std::copy(request.bytes.begin(), request.bytes.end(), bytes.begin() + static_cast<ptrdiff_t>(request.offset.count()));
  return success();
}

Result<ObjectName> MemorySink::name_of(const ManifestEntry& entry, const ObjectName& destination) const {
  std::vector<std::string> path;
  for (const ManifestEntry* at = &entry; at->number != at->parent; at = &entries_.at(at->parent)) path.push_back(at->name);
  path.insert(path.end(), destination.components().rbegin(), destination.components().rend());
  std::reverse(path.begin(), path.end());
  return ObjectName::from_components(std::move(path));
}

Status MemorySink::place(const ManifestEntry& entry, const ObjectName& name, MemoryTree& result) const {
  const MemoryNode* there = tree_.find(name);
  const auto shown = "\"" + to_display(name) + "\"";
  if (there != nullptr && there->type != entry.type)
    return Error{Fault::kTypeConflict, shown + " exists and is of another type", "choose another destination"};
  const auto staged = staged_.find(entry.number);
  if (there != nullptr) {
    if (entry.type == EntryType::kDirectory) return success();
    const bool is_same = entry.type == EntryType::kSymlink
                             ? there->link_target == entry.link_target
                             : Bytes(there->bytes.size()) == entry.size && there->mtime_ns == entry.mtime_ns;
    if (is_same) return success();
    return Error{Fault::kDestExists, shown + " exists and differs", "choose another destination"};
  }
  MemoryNode node{entry.type, {}, entry.mode, entry.mtime_ns, entry.link_target, 0};
  if (entry.type == EntryType::kFile && entry.size > Bytes()) {
    if (staged == staged_.end() || Bytes(staged->second.size()) != entry.size)
      return Error{Fault::kManifestMismatch, shown + " never arrived", ""};
    node.bytes = staged->second;
  }
  result.put(name, std::move(node));
  return success();
}

Status MemorySink::publish(const PublishOrder& order) {
  if (entries_.size() != order.entries)
    return Error{Fault::kManifestMismatch, "the manifest has another number of entries than announced", ""};
  MemoryTree result = tree_;  // all or nothing
  for (const auto& [number, entry] : entries_) {
    auto name = name_of(entry, order.destination);
    if (!name.ok()) return std::move(name).error();
    if (auto placed = place(entry, name.value(), result); !placed.ok()) return placed;
  }
  tree_ = std::move(result);
  return success();
}

}  // namespace tideway::storage
