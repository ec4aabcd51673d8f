// SPDX-License-Identifier: Apache-2.0
//
// The ObjectStore that lists and reads files. Each file is opened when its first leaf is asked for and compared with
// what the manifest says of it, and again by name when it is closed: a file that was written, replaced or removed in
// between is source_changed or source_vanished, never silently mixed. Until its release it may be read again, also after
// its close, and is compared once more.
//
// Submit stops in front of a kClose whose object still has reads at work; the caller offers it again later.
// Thread: io worker.
#pragma once
#include "base/thread_owner.h"
#include "storage/bound_objects.h"
#include "storage/descriptor_cache.h"
#include "storage/direct_io.h"
#include "storage/io_queue.h"
#include "storage/request_slots.h"
#include "storage/scan.h"
#include <tideway/object_store.h>

#include <unordered_map>

namespace tideway::storage {

class FileSource final : public ObjectStore {
 public:
  // `queue` outlives the store.
  FileSource(ScanSpec spec, IoQueue& queue);
  ~FileSource() override;

  StoreLimits limits() const override { return {kInFlightMax, Bytes(kDirectAlignment)}; }
  // `under` goes below the single source's name and moves entry 0 there; with several sources it must be the root.
  std::unique_ptr<ObjectLister> list(const ObjectName& under) override;
  void bind(ObjectId id, const ManifestEntry& entry) override { objects_.bind(id, entry); }
  size_t submit(std::span<const StoreRequest> requests) override;
  size_t poll(std::span<StoreDone> out) override;
  Status publish(const PublishOrder& order) override;  // unsupported

  // A bound object is no file by itself, but so much of one below the source, from `offset` on, that is still being written behind
  // it: its size and times may change.
  struct Part { ObjectName path; Bytes offset; };
  void bind_part(ObjectId id, Part part) { parts_.insert_or_assign(id, std::move(part)); }

  // Forgets a file that will not be read (any more), once what is at work on it has ended.
  void release(ObjectId id);
  // Whether these bytes are a hole, so that they need not be read: they are zeros. Only of sparse files already open.
  bool is_hole(ObjectId id, Bytes offset, Bytes length);
  std::string shown(ObjectId id) const;  // a bound file's name, for people

 private:
  struct Place {
    const RootedDir* root;
    ObjectName name;
  };
  Result<Place> place_of(const BoundObject& object) const;
  Result<DescriptorCache::Open*> open(const BoundObject& object);
  int descriptor_for(const BoundObject& object, DescriptorCache::Open& file, const StoreRequest& request);
  bool begin(const StoreRequest& request);
  bool begin_read(const StoreRequest& request);
  void close(const StoreRequest& request);
  Status check_unchanged(const BoundObject& object);
  bool is_same(ObjectId id, const FileStat& now, const FileStat& before) const;
  void on_done(const IoDone& done);
  Bytes begin_of(ObjectId id) const;
  Error error_of(ObjectId id, int error) const;

  ScanSpec spec_;
  IoQueue& queue_;
  const uint32_t owner_id_;
  bool is_direct_allowed_;
  BoundObjects objects_;
  DescriptorCache files_;
  std::unordered_map<ObjectId, Part> parts_;
  std::unordered_map<ObjectId, FileStat> first_seen_;  // from first open to release
  RequestSlots slots_;
  ThreadOwner owner_;
};

}  // namespace tideway::storage
