// SPDX-License-Identifier: Apache-2.0
//
// The ObjectStore in memory, for simulations and tests: the same promises as files, without a disk. A MemoryTree is
// what a root is; a MemorySource and a MemorySink are one transfer's sides of it. Everything is answered at the next
// poll.
// Thread: its owner. Pure.
#pragma once
#include "storage/bound_objects.h"
#include "storage/request_slots.h"
#include <tideway/object_store.h>

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tideway::storage {

struct MemoryNode {
  EntryType type = EntryType::kFile;
  std::vector<std::byte> bytes;
  uint32_t mode = 0644;
  int64_t mtime_ns = 0;
  std::string link_target;
  uint64_t version = 0;  // grows with each change, as times do on a disk
  bool operator==(const MemoryNode&) const = default;
};

class MemoryTree {
 public:
  MemoryTree();
  void put(const ObjectName& name, MemoryNode node);  // and the directories above it
  void remove(const ObjectName& name);                // and all below it
  const MemoryNode* find(const ObjectName& name) const;
  const std::map<ObjectName, MemoryNode>& nodes() const { return nodes_; }  // in manifest order

 private:
  std::map<ObjectName, MemoryNode> nodes_;
  uint64_t next_version_ = 1;
};

class MemorySource final : public ObjectStore {
 public:
  MemorySource(const MemoryTree& tree, ObjectName base) : tree_(tree), base_(std::move(base)) {}
  StoreLimits limits() const override { return {kInFlightMax, Bytes(1)}; }
  std::unique_ptr<ObjectLister> list(const ObjectName& under) override;
  void bind(ObjectId id, const ManifestEntry& entry) override { objects_.bind(id, entry); }
  size_t submit(std::span<const StoreRequest> requests) override;
  size_t poll(std::span<StoreDone> out) override { return slots_.take_done(out); }
  Status publish(const PublishOrder& order) override;

 private:
  Status perform(const StoreRequest& request);
  const MemoryTree& tree_;
  ObjectName base_;
  BoundObjects objects_;
  std::unordered_map<ObjectId, uint64_t> first_seen_;  // version at first read
  RequestSlots slots_;
};

class MemorySink final : public ObjectStore {
 public:
  explicit MemorySink(MemoryTree& tree) : tree_(tree) {}
  StoreLimits limits() const override { return {kInFlightMax, Bytes(1)}; }
  std::unique_ptr<ObjectLister> list(const ObjectName& under) override;
  void bind(ObjectId id, const ManifestEntry& entry) override { entries_[id] = entry; }
  size_t submit(std::span<const StoreRequest> requests) override;
  size_t poll(std::span<StoreDone> out) override { return slots_.take_done(out); }
  Status publish(const PublishOrder& order) override;

 private:
  Status perform(const StoreRequest& request);
  Result<ObjectName> name_of(const ManifestEntry& entry, const ObjectName& destination) const;
  Status place(const ManifestEntry& entry, const ObjectName& name, MemoryTree& result) const;
  MemoryTree& tree_;
  std::map<ObjectId, ManifestEntry> entries_;
  std::unordered_map<ObjectId, std::vector<std::byte>> staged_;
  RequestSlots slots_;
};

}  // namespace tideway::storage
