// SPDX-License-Identifier: Apache-2.0
//
// The ObjectStore that writes files: into staging by number, in any order, and at the end publish. Files appear when
// their first bytes do; zeros become holes; large aligned writes go past the page cache.
//
// A failed sync is final (the kernel forgets which pages were lost): every later write, sync and publish fails too.
// Submit stops in front of a kClose whose object has writes at work and of a kSync while any write is; the caller
// offers them again later.
// Thread: io worker.
#pragma once
#include "base/thread_owner.h"
#include "storage/bound_objects.h"
#include "storage/descriptor_cache.h"
#include "storage/device_read.h"
#include "storage/direct_io.h"
#include "storage/io_queue.h"
#include "storage/publish.h"
#include "storage/request_slots.h"
#include "storage/sink_object.h"
#include "storage/staging.h"

#include <optional>
#include <unordered_map>

namespace tideway::storage {

struct FileSinkConfig {
  std::shared_ptr<const RootedDir> root;  // opened with Side::kDestination
  TransferId transfer{};
  ObjectName destination;  // below `root`; for probe_existing and for messages
  PageReader read_page;
  uint32_t modes = 0777;  // the most that modes may be; of directories, the owner's bits are left alone
  PublishRules rules = {};
  DeviceReads device_reads = DeviceReads::kDirect;  // what find_device_reads said, if anything is to be read back
  enum class Leftovers : uint8_t { kRemoved, kKept } leftovers = Leftovers::kRemoved;  // of a dead process, in staging
};

class FileSink final : public ObjectStore {
 public:
  // Makes the staging directory. `queue` outlives the store. Errors: those of Staging::create, and name_reserved.
  static Result<std::unique_ptr<FileSink>> create(FileSinkConfig config, IoQueue& queue);
  ~FileSink() override;  // leaves staging where it is: call abandon() first to remove it

  StoreLimits limits() const override { return {kInFlightMax, Bytes(kDirectAlignment)}; }
  std::unique_ptr<ObjectLister> list(const ObjectName& under) override;  // of what is published below the root
  void bind(ObjectId id, const ManifestEntry& entry) override { objects_.bind(id, entry); }
  size_t submit(std::span<const StoreRequest> requests) override;
  size_t poll(std::span<StoreDone> out) override;
  // Removes staging when it worked. Nothing may be at work.
  Status publish(const PublishOrder& order) override;

  // Pages and leaf hashes go here, the pages in order and before what they list is published.
  Staging& staging() { return staging_; }
  // What stands at the destination where `entry` is to go. Its parent must be bound, itself not yet.
  Result<Existing> probe_existing(const ManifestEntry& entry) const;
  struct Range { ObjectId object; Bytes offset, length; };
  // Shares the blocks of `from`, at the same offset, instead of writing the same bytes. False: the file system cannot, or nothing of
  // that file can be written; nothing has changed then.
  bool clone(const Range& range, int from);
  // What it takes to let a file of the list appear by itself once it is closed and durable; nothing where the rules hold it back
  // for the end. Asked before it is closed.
  std::optional<EarlyFile> early(ObjectId id) const;
  Status publish_early(const EarlyFile& file);
  void note_early() { early_ = PublishHow::Early::kSome; }  // an earlier process has let some appear
  // Forgets a file that will not be written (any more), because the destination has it; kClose does it by itself.
  void release(ObjectId id);
  // Waits for all writes, whose answers nobody will get, and syncs them.
  Status settle();
  Result<Bytes> free_space() const { return config_.root->free_space(); }
  Status abandon();
  bool is_over() const { return is_published_; }  // published, or abandoned

 private:
  static constexpr size_t kTouchedMax = 256;  // files synced one by one; above it one syncfs costs less
  static constexpr size_t kInlineMax = 64 << 10;  // a small write is a copy into the page cache: no queue for that
  // A file written since the last sync. One that is closed keeps its descriptor until then: its mode may forbid to open
  // it again, and the descriptor that wrote is the one that learns of write-back errors.
  struct Touched {
    IoOp sync = IoOp::kDataSync;
    Descriptor held;
  };
  struct SyncRun {
    uint32_t token;
    std::vector<Touched> files;
    size_t submitted = 0, ended = 0;
    int error = 0;
  };

  FileSink(FileSinkConfig config, Staging staging, IoQueue& queue);
  bool begin(const StoreRequest& request);
  bool begin_write(const StoreRequest& request);
  Status check_place(const StoreRequest& request, const BoundObject* object) const;
  void write_runs(const StoreRequest& request, const BoundObject& object, DescriptorCache::Open& file);
  void write_run(uint32_t index, DescriptorCache::Open& file, Runs::Run run);
  bool begin_read_back(const StoreRequest& request);
  Result<int> descriptor_past_cache(const StoreRequest& request, const BoundObject& object, DescriptorCache::Open& file);
  void end_read_back(const IoDone& done);
  Result<DescriptorCache::Open*> open(const BoundObject& object);
  int descriptor_for(const BoundObject& object, DescriptorCache::Open& file, std::span<const std::byte> bytes,
                     uint64_t offset);
  Status close(const BoundObject& object);
  void note_touched(ObjectId id, Touched touched);
  bool begin_sync(const StoreRequest& request);
  void continue_sync();
  Status sync_now();
  void touch_many();
  Status hold(ObjectId id, Touched& touched);
  Status end_sync(Status status);
  Error sync_error(int error) const;
  void on_done(const IoDone& done);
  std::string shown(const BoundObject& object) const;
  Error named(const BoundObject& object, Error error) const;

  FileSinkConfig config_;
  Staging staging_;
  IoQueue& queue_;
  const uint32_t owner_id_;
  bool is_direct_allowed_;
  BoundObjects objects_;
  DescriptorCache files_;
  std::unordered_map<ObjectId, SinkObject> states_;  // from first write to close
  RequestSlots slots_;
  std::unordered_map<ObjectId, Touched> touched_;  // since the last sync
  bool is_touched_many_ = false;
  std::optional<SyncRun> sync_;
  std::optional<Error> lost_;  // why nothing can be durable any more
  PublishHow::Early early_ = PublishHow::Early::kNone;
  bool is_published_ = false;
  ThreadOwner owner_;
};

}  // namespace tideway::storage
