// SPDX-License-Identifier: Apache-2.0
//
// One hash over a whole transfer: names, types, modes, sizes and contents. SHA-256 throughout, in the shape of
// RFC 6962, so two trees can be compared by looking only at what differs.
//
//   leaf        H(0x00 | be64 index | be32 length | xxh3-128)        index counts within the object
//   node        H(0x01 | left | right)                               left holds the largest power of two below n
//   object      H(0x02 | algorithm 1 | log2 leaf size 22 | be64 size | top)     top of no leaves: H("")
//   entry       H(0x03 | type | be32 mode | be16 name length | name | content)
//               content: the object, the directory, or H(target) of a link
//   directory   H(0x04 | entries in byte order of their names | be64 count)
//   transfer    H(0x05 | version 1 | content of entry 0)
//
// The count of a directory stands last, so that a directory of a million names is hashed while it is listed.
// Times are not covered: they may legitimately differ where a file system rounds them.
// Pure.
#pragma once
#include "crypto/sha256.h"
#include <tideway/ids.h>
#include <tideway/object_store.h>

#include <string_view>
#include <vector>

namespace tideway::digest {

// Stands for an object that was left as it is at the destination and so was never read.
inline constexpr Hash256 kKeptObject = {};

// What an object's first leaves come to: the roots of complete subtrees, largest first, one per bit set in `leaves`. Whoever
// has this of somebody else's hasher can go on behind it without having seen the leaves.
struct FoldedLeaves {
  uint64_t leaves = 0;
  std::vector<Hash256> tops;
  bool operator==(const FoldedLeaves&) const = default;
};

// The hash of one object, from its leaves in order. Memory: one hash per level that has a complete subtree.
class ObjectHasher {
 public:
  ObjectHasher() = default;
  // Goes on behind the first leaves of an object of `size` bytes, which has at least as many.
  ObjectHasher(Bytes size, FoldedLeaves folded);
  // Every leaf but the last is kLeafSize long, and none is empty.
  void add_leaf(uint32_t length, const Hash128& hash);
  Hash256 finish() const;  // of the leaves so far
  Bytes size() const { return size_; }
  const FoldedLeaves& folded() const { return folded_; }

 private:
  FoldedLeaves folded_;
  Bytes size_;
};

Hash256 empty_object();
Hash256 link_content(std::string_view target);

// What an entry adds to its directory. `content` as in the table above.
struct EntryContent {
  EntryType type;
  uint32_t mode;
  std::string_view name;  // at most 255 bytes
  Hash256 content;
};
Hash256 entry_hash(const EntryContent& entry);

class DirectoryHasher {
 public:
  DirectoryHasher();
  void add(const Hash256& entry);  // in byte order of the names
  Hash256 finish();                // at most once

 private:
  crypto::Sha256 hash_;
  uint64_t entries_ = 0;
};

Hash256 transfer_root(const Hash256& content_of_entry_0);

}  // namespace tideway::digest
