// SPDX-License-Identifier: Apache-2.0
//
// The seam for storage: file | memory (s3 later). One object is one side of one transfer, used by its home io
// worker only. A source lists and reads; a sink writes in any order, and nothing shows before publish.
#pragma once
#include <tideway/ids.h>
#include <tideway/object_name.h>
#include <tideway/result.h>
#include <tideway/units.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tideway {

inline constexpr Bytes kLeafSize = 4_MiB;  // unit of hashing; a block holds at most this many raw bytes

enum class EntryType : uint8_t { kFile = 0, kDirectory = 1, kSymlink = 2 };

// Leaves within an object have numbers and a count of 32 bits on the wire.
inline constexpr Bytes kObjectSizeMax = Bytes(kLeafSize.count() * UINT32_MAX);

// One entry of a manifest. Entries are numbered in the order of the scan: entry 0 is what the destination becomes
// (a directory, or the one file that is copied) and has no name; a directory comes before what is in it, its
// entries follow in byte order of their names, each directory's content right behind it (depth first).
struct ManifestEntry {
  ObjectId number;
  ObjectId parent;          // of entry 0: itself
  std::string name;         // one component, raw bytes; empty for entry 0
  EntryType type = EntryType::kFile;
  Bytes size;               // of a file, else zero
  uint32_t mode = 0;        // permission bits rwx only (07777 masked to 0777)
  int64_t mtime_ns = 0;     // since the epoch
  uint64_t first_leaf = 0;  // leaves are numbered through the whole transfer
  std::string link_target;  // of a symlink
  uint64_t version = 0;     // of a file: another number once it was changed or replaced, whatever its times say; 0: unknown
  bool operator==(const ManifestEntry&) const = default;
};

constexpr uint64_t leaf_count(Bytes size) {
  return (size.count() + kLeafSize.count() - 1) / kLeafSize.count();
}

// Of an object's leaf: 4 MiB, or what is left for the last.
constexpr uint32_t leaf_length(Bytes size, uint64_t leaf) {
  const uint64_t left = size.count() - leaf * kLeafSize.count();
  return static_cast<uint32_t>(left < kLeafSize.count() ? left : kLeafSize.count());
}

// Something the scan met and left out, with the reason: unsafe_link, special_file, source_io, name_reserved.
struct SkippedEntry {
  ObjectName name;
  Error why;
};

// Walks a tree in manifest order. Memory is bounded by the depth and the largest single directory.
class ObjectLister {
 public:
  virtual ~ObjectLister() = default;
  // Fills a prefix of `out` and returns its length; zero at the end. Errors: source_missing, source_io, denied: the
  // scan as a whole cannot go on.
  virtual Result<size_t> next(std::span<ManifestEntry> out) = 0;
  // The next thing that was left out so far, if any.
  virtual bool next_skipped(SkippedEntry& out) = 0;
};

enum class StoreOp : uint8_t {
  kRead,   // source: fills `bytes` exactly from `offset`; fewer bytes in the file is source_changed
  kWrite,  // sink: `bytes` at `offset`
  kReadBack,  // sink: fills `bytes` with what stable storage holds from `offset` on, of what was synced; zeros where nothing
              // was written. `bytes` begins at a multiple of the alignment, and up to the next one behind its end is room, too
  kSync,   // sink: everything written so far is on stable storage (`object` is ignored)
  kClose,  // sink: set size, mode and times, release; source: compare size, times and inode with the first open
           // (source_changed, source_vanished); it may be read again afterwards
};

struct StoreRequest {
  StoreOp op;
  uint32_t token;  // comes back in StoreDone
  ObjectId object;
  Bytes offset;
  std::span<std::byte> bytes;  // the caller's, until the answer
};

struct StoreDone {
  uint32_t token;
  Status status;  // one object's failure is its own
};

struct StoreLimits {
  uint32_t in_flight_max;  // requests at work at once
  Bytes alignment;         // of buffers and offsets for direct I/O; others work too, more slowly, except for kReadBack
};

// What to make visible, from the manifest and the objects in staging.
struct PublishOrder {
  ObjectName destination;  // below the root; its parent exists or is made
  uint64_t entries;        // in the manifest
  Hash256 root;            // stored beside the tree, for `verify`
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual StoreLimits limits() const = 0;
  virtual std::unique_ptr<ObjectLister> list(const ObjectName& under) = 0;
  // What an id means. No I/O. A directory is bound before its entries.
  virtual void bind(ObjectId id, const ManifestEntry& entry) = 0;
  // Takes a prefix and returns its length; the rest stays with the caller.
  virtual size_t submit(std::span<const StoreRequest> requests) = 0;
  virtual size_t poll(std::span<StoreDone> out) = 0;
  // May block. Twice is as good as once.
  virtual Status publish(const PublishOrder& order) = 0;
};

}  // namespace tideway
