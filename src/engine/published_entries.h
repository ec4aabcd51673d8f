// SPDX-License-Identifier: Apache-2.0
//
// A tree that was published here, as the source of another copy: every replica of it is the same tree. So the version of a file that is as
// it was published comes from the tree's root, and not from the inode that it has here, and a copy that one replica began goes on
// from another. And each leaf that is read must have the hash that was stored with it then: bytes that rotted since are never sent as good.
// Thread: io worker; it blocks.
#pragma once
#include "block/segment.h"
#include "engine/durable_log.h"
#include "messages/transfer_messages.h"
#include "storage/stored_manifest.h"

#include <optional>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

class PublishedEntries {
 public:
  // Nothing: it was not published whole, or its manifest cannot be read.
  static std::optional<PublishedEntries> of(const storage::RootedDir& root, const ObjectName& name);

  // The entries of the scan, one batch after the other, and that there are no more.
  void stamp(std::span<ManifestEntry> entries);
  void on_end() { is_complete_ = stored_.next() == nullptr; }
  // What the root must be; nothing: it is not the tree that was published, or only a part of it.
  std::optional<Hash256> root() const { return is_same_ && is_complete_ ? std::optional(header_.root) : std::nullopt; }

  // Whether a leaf of a file that was stamped has other bytes than were published. What no hash was stored of has not.
  bool has_rotted(const block::Segment& segment);
  // What a sink keeps of a file, beside what was published of it. Other bytes: some that had rotted crossed, and it was not told so before
  // its source was gone. Unknown: the file is not as it was published, not all hashes were stored, or other sources bring some of it.
  enum class Kept : uint8_t { kSame, kOther, kUnknown };
  Kept compare(const messages::HeldObject& held);
  void release(ObjectId id) { files_.erase(id); }  // it is not asked for any more

 private:
  static constexpr size_t kHashesAhead = 256;  // read at once: a block of small files needs many in a row
  struct File {
    uint64_t first_leaf = 0;
    Bytes size;
  };
  explicit PublishedEntries(storage::StoredManifest manifest)
      : header_(manifest.header()), manifest_(std::move(manifest)), stored_(manifest_.pages()) {}
  // The stored hashes from this leaf on, at most so many and at least one; none: they cannot be read.
  std::span<const Hash128> stored_from(uint64_t leaf, uint64_t most);

  storage::StoredManifestHeader header_;
  storage::StoredManifest manifest_;  // holds the file that the entries are read from
  FormerEntries stored_;
  std::unordered_map<ObjectId, File> files_;  // that were stamped
  uint64_t hashes_at_ = 0;
  std::vector<Hash128> hashes_;                          // of leaves from there on
  bool is_in_step_ = true;  // no entry came or went so far
  bool is_same_ = true, is_complete_ = false;
};

}  // namespace tideway::engine
