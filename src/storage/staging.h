// SPDX-License-Identifier: Apache-2.0
//
// Where a transfer's objects lie until they are complete, below the root they go to:
//
//   ROOT/.tideway/                 0711
//     <transfer id>/               0700, locked by the process that fills it
//       manifest                   pages as they arrived, each {u32 length, u32 sequence, bytes}, big-endian
//       manifest.former            those of the run before, for as long as this one is compared with it
//       leaves                     16 bytes per leaf (XXH3-128) at 16 * leaf number
//       signature                     of the root, by the site it came from: 64 bytes and its name
//       ledger                     which of all this is on stable storage: transfer/ledger.h
//       ledger.new                 that is about to take its place
//       account                    how many bytes of it are durable (8), and whose it is
//       shelf/                     what was staged under numbers that mean something else now: engine/shelf.h
//       data/0000a/f3c             object 0xaf3c: numbers, so that no peer's name is used before publish
//       tree/<number>              what publish makes ready, with the real names below it
//       exchanged                  the inode of that, before it takes the place of another tree
//     manifests/<hash>             of what was published last at a destination, when that was no new tree
//
// Thread: io worker.
#pragma once
#include "storage/append_log.h"
#include "storage/rooted_dir.h"
#include <tideway/ids.h>
#include <tideway/root_signature.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace tideway::storage {

inline constexpr size_t kPageBytesMax = 1 << 20;  // the control channel's limit of a message body
inline constexpr size_t kFrameHeadSize = 8;
inline constexpr const char* kPiecesName = "tree";
inline constexpr const char* kExchangedName = "exchanged";
inline constexpr size_t kOwnerMax = 1024;  // an identity is shorter

std::string to_hex(const TransferId& id);

class Staging {
 public:
  // Errors: dest_busy when another live process fills it; denied when it is another user's, or others can write to it. What a dead one
  // left is removed.
  static Result<Staging> create(std::shared_ptr<const RootedDir> root, const TransferId& id);
  // The same, but what a dead one left stays where it is; then was_there() says so.
  static Result<Staging> open(std::shared_ptr<const RootedDir> root, const TransferId& id);
  // Whether something is left of a transfer with this id; its process may still live.
  static bool exists(const RootedDir& root, const TransferId& id);
  bool was_there() const { return was_there_; }
  // Removes what is there, but for the note of directories that others see and that are to get their mode (opened_dirs.h) where that is kept:
  // whoever is sent all anew finds them at the destination.
  enum class Keep : uint8_t { kNothing, kOpenedDirs };
  Status start_over(Keep keep);

  // What the source signed of its root, if it did; on stable storage before the ledger says that publishing begins.
  Status keep_signature(const std::optional<RootSignature>& signature);
  Result<std::optional<RootSignature>> read_signature() const;

  // Pages come in their order; `page` is at most kPageBytesMax.
  Status append_manifest(std::span<const std::byte> page);
  // In any order; held back until there are many, or flush().
  Status write_leaf_hash(uint64_t leaf, const Hash128& hash);
  Status flush();
  // False: not there, or unreadable. What is held back is not seen.
  bool read_leaf_hashes(uint64_t first, std::span<Hash128> out) const;

  // Removes what a publish has made ready here. What has got its name stays.
  Status drop_made_ready() const;

  // Of what was left: sets its manifest aside and begins another one.
  Status begin_manifest();
  Result<Descriptor> open_former() const;  // the one set aside
  Status drop_former();

  // Whose it is: what a peer leaves counts against what it may have. Not synced: what a crash takes away is nobody's.
  Status keep_owner(std::string_view owner);
  void note_durable(Bytes bytes) const;

  AppendLog& ledger() { return ledger_; }
  // Syncs pages and leaf hashes, then appends to the ledger and syncs it: it never leads what it speaks of.
  Status record(std::span<const std::byte> records);
  // A ledger of these records takes the place of the one that is there, at once and as a whole. `next_piece` gives nothing at the end.
  Status replace_ledger(const std::function<std::vector<std::byte>()>& next_piece);

  // Errors name the object by its number.
  Result<Descriptor> create_object(ObjectId id);
  Result<Descriptor> open_object(ObjectId id, Caching caching);
  Result<bool> holds_object(ObjectId id);
  Result<std::optional<FileStat>> stat_object(ObjectId id);
  Result<Descriptor> read_object(ObjectId id);    // for reading, as it lies there
  Result<Descriptor> reopen_object(ObjectId id);  // one that an earlier process left, whatever its mode
  Status drop_object(ObjectId id);                // missing is fine
  // True: moved to `name` in `dir`. False: this object was never staged. dest_exists: the name is taken.
  Result<bool> place_object(ObjectId id, const RootedDir& dir, const ObjectName& name);
  Status replace_by_object(ObjectId id, const RootedDir& dir, const ObjectName& name);  // the file that has this name
  // The file gets this number as well, in place of one that has it; where it cannot have two names, it moves.
  Status link_object(const RootedDir& dir, const ObjectName& name, ObjectId id);
  Status sync_new_dirs();  // of data/, those that got new files
  Result<Bytes> allocated() const;  // by all objects; looks at each

  const RootedDir& dir() const { return dir_; }
  const RootedDir& root() const { return *root_; }
  const TransferId& id() const { return id_; }
  Result<Descriptor> open_manifest() const;
  Result<Descriptor> open_leaves() const;
  // Removes all of it, and .tideway if nothing else is left there.
  Status remove();
  // Of a publish whose tree took the place of one that somebody reads: that is left, under the name of a staging that nobody asks for, and a
  // sweep removes it once nobody reads it. Behind it, this is the staging of nothing.
  Status leave_former();

 private:
  struct DataDir {
    uint32_t high;
    RootedDir dir;
  };
  struct Leaf {
    uint64_t number;
    Hash128 hash;
  };
  static constexpr size_t kDataDirsOpen = 8;     // objects come roughly in order, so a few hold all at work
  static constexpr size_t kLeavesHeldMax = 1024;  // 4 GiB of large objects, or one page of small files

  Staging(std::shared_ptr<const RootedDir> root, RootedDir dir, const TransferId& id);
  static Result<Staging> take(std::shared_ptr<const RootedDir> root, const TransferId& id);
  Status make_content();
  Status remove_all_but(std::string_view kept);
  Result<bool> find_content();
  Status sync_dirs();
  enum class IfMissing : uint8_t { kMake, kFail };
  Result<const RootedDir*> data_dir(uint32_t high, IfMissing if_missing);

  std::shared_ptr<const RootedDir> root_;
  RootedDir dir_;
  TransferId id_;
  Descriptor manifest_, leaves_, account_;
  AppendLog ledger_;
  bool was_there_ = false, are_dirs_synced_ = false, is_data_dir_new_ = false;
  uint64_t manifest_size_ = 0;
  uint32_t next_sequence_ = 0;
  std::vector<std::byte> frame_;
  std::vector<Leaf> leaves_held_;
  std::vector<DataDir> data_dirs_;  // used last at the end
  std::set<uint32_t> new_dirs_;
};

// Reads framed pages back, from an open file between two offsets. Foreign bytes: the disk may have lost some.
class PageStream {
 public:
  PageStream(int fd, uint64_t begin, uint64_t end) : fd_(fd), at_(begin), end_(end) {}
  // The next page, valid until the next call; empty at the end. Errors: manifest_mismatch for a damaged frame.
  Result<std::span<const std::byte>> next();

 private:
  int fd_;
  uint64_t at_, end_;
  uint32_t next_sequence_ = 0;
  std::vector<std::byte> page_;
};

// What a staging directory says of itself; nothing where it says nothing.
struct StagingAccount {
  std::string owner;
  Bytes bytes;
};
StagingAccount read_account(const RootedDir& staging);

// Reads exactly; nothing when the file is shorter or cannot be read.
bool read_exactly(int fd, uint64_t offset, std::span<std::byte> bytes);
// 0 or an errno.
int write_all(int fd, uint64_t offset, std::span<const std::byte> bytes);

}  // namespace tideway::storage
