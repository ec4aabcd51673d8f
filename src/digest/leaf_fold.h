// SPDX-License-Identifier: Apache-2.0
//
// Folds the leaf hashes of one object into its root, in whatever order they come. Both sides of a transfer hold one for
// each open object, and most objects are a single leaf: such a one keeps its hash and nothing else. A larger one keeps
// the hashes that came before their turn, and one per level of the tree.
// Thread: one owner. Pure.
#pragma once
#include "digest/hash_tree.h"

#include <map>
#include <memory>
#include <optional>

namespace tideway::digest {

class LeafFold {
 public:
  explicit LeafFold(Bytes size);  // of the object: 1 to kObjectSizeMax
  // The same, behind the first leaves: fewer than all.
  LeafFold(Bytes size, FoldedLeaves folded);

  // A leaf below leaves(). False: it was there already, and nothing changed.
  bool add(uint32_t leaf, const Hash128& hash);

  Bytes size() const { return size_; }
  uint32_t leaves() const { return static_cast<uint32_t>(leaf_count(size_)); }
  bool has(uint32_t leaf) const { return leaf < in_order_ || (many_ && many_->early.contains(leaf)); }
  bool is_whole() const { return in_order_ == leaves(); }
  size_t early() const { return many_ ? many_->early.size() : 0; }  // leaves that wait for one before them
  // Of a leaf that is there, as long as it is remembered: when it is the only one, or waits.
  std::optional<Hash128> hash_of(uint32_t leaf) const;
  FoldedLeaves folded() const;  // of the leaves from the front on
  Hash256 root() const;         // of a whole object

 private:
  ObjectHasher hasher() const;
  struct Many {
    ObjectHasher hasher;
    std::map<uint32_t, Hash128> early;
  };
  Bytes size_;
  uint32_t in_order_ = 0;  // leaves from the front on
  Hash128 only_{};         // of an object of one leaf
  std::unique_ptr<Many> many_;
};

}  // namespace tideway::digest
