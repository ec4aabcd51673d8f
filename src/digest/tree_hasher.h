// SPDX-License-Identifier: Apache-2.0
//
// Folds a manifest into the transfer's root while it streams by. Entries come in manifest order; the roots of objects
// come later, in any order. Both sides feed theirs the same and compare what comes out.
//
// An entry is folded once everything before it is, so memory is: the entries from the oldest file without a root on,
// plus one open directory per level. It never grows with the transfer.
//
// Empty files, links and directories have their content in the manifest itself and are settled when they are added.
// Were they not, the outcome would depend on whether a drop came before or after they happened to be folded, and the
// two sides could disagree.
// Thread: one owner. Pure.
#pragma once
#include "digest/hash_tree.h"
#include <tideway/result.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace tideway::digest {

class TreeHasher {
 public:
  // The next entry. Errors: manifest_mismatch when its number is not the next one, its parent is not an open
  // directory, or its name does not follow the one before it in the same directory. After an error nothing changed.
  Status add(const ManifestEntry& entry);

  // What became of an object, a file that is not empty: its root; left as it is at the destination; failed, and so
  // left out. They say whether the object was waiting for that; if not, nothing changed.
  bool set_root(ObjectId object, const Hash256& root);
  bool set_kept(ObjectId object) { return set_root(object, kKeptObject); }
  bool drop(ObjectId object);

  // The transfer's root. Nothing while an object is waiting, and nothing for a transfer whose entry 0 was dropped or
  // that has no entries. Call it when the manifest has ended; add nothing after it.
  std::optional<Hash256> finish();

  size_t pending() const { return waiting_.size(); }  // entries kept because of the oldest unsettled object
  uint64_t entries() const { return next_number_; }   // added so far

 private:
  enum class State : uint8_t { kUnsettled, kSettled, kDropped };
  struct Waiting {
    ObjectId parent;
    EntryType type;
    State state;
    uint32_t mode;
    std::string name;
    Hash256 content;
  };
  struct Listed {  // a directory new entries may still go to
    ObjectId number;
    std::string last_name;
  };
  struct Open {  // a directory whose entries are being folded
    Open(ObjectId number_, uint32_t mode_, const std::string& name_) : number(number_), mode(mode_), name(name_) {}
    ObjectId number;
    uint32_t mode;
    std::string name;
    DirectoryHasher hash;
  };

  Status check_order(const ManifestEntry& entry) const;
  Waiting* find_unsettled(ObjectId object);
  void fold_settled();
  void fold(const Waiting& entry, ObjectId number);
  void close_down_to(size_t open);
  void put(const EntryContent& entry);

  uint64_t next_number_ = 0;
  std::vector<Listed> listed_;     // from entry 0 down
  std::deque<Waiting> waiting_;    // the last is next_number_ - 1
  std::deque<Open> open_;          // from entry 0 down; behind listed_ in time
  std::optional<Hash256> content_of_entry_0_;
};

}  // namespace tideway::digest
