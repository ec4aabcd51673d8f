// SPDX-License-Identifier: Apache-2.0
//
// Small trees, and the hashes their leaves are said to have, for the tests of this folder.
#pragma once
#include "digest/tree_hasher.h"
#include "messages/transfer_messages.h"
#include "support/manifest_entries.h"
#include "transfer/block_builder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tideway::transfer {

inline constexpr TransferId kTransfer{std::byte{7}};

inline Hash128 hash_of(uint32_t what) {
  Hash128 hash{};
  hash[0] = static_cast<std::byte>(what);
  hash[1] = static_cast<std::byte>(what >> 8);
  hash[2] = std::byte{0x5A};
  return hash;
}

// A leaf as a block says it holds it; its hash follows from `seed`, by default from what it is.
inline block::Segment segment_of(ObjectId object, uint32_t leaf, Bytes size, uint32_t seed = 0) {
  return {object, leaf, leaf_length(size, leaf), hash_of(object.value() * 17 + leaf + seed)};
}

inline Hash256 root_of(ObjectId object, Bytes size) {
  digest::ObjectHasher hasher;
  for (uint32_t leaf = 0; leaf < leaf_count(size); ++leaf) {
    const block::Segment segment = segment_of(object, leaf, size);
    hasher.add_leaf(segment.length, segment.hash);
  }
  return hasher.finish();
}

// Entries below one directory, entry 0, in order.
struct Tree {
  std::vector<ManifestEntry> entries;

  Tree() { put(EntryType::kDirectory, ""); }
  ObjectId file(Bytes size) { return put(EntryType::kFile, next_name(), size); }
  ObjectId directory() { return put(EntryType::kDirectory, next_name()); }
  ObjectId put(EntryType type, std::string name, Bytes size = {}) {
    ManifestEntry& entry = entries.emplace_back(test::entry_of(static_cast<uint32_t>(entries.size()), 0, std::move(name), type));
    entry.size = size;
    return entry.number;
  }
  std::string next_name() const {
    std::string digits = std::to_string(entries.size());
    return std::string(8 - digits.size(), '0') + digits;
  }
  Bytes bytes() const {
    Bytes sum;
    for (const ManifestEntry& entry : entries) sum += entry.size;
    return sum;
  }
  Hash256 root() const {
    digest::TreeHasher tree;
    for (const ManifestEntry& entry : entries) {
      EXPECT_TRUE(tree.add(entry).ok());
      if (entry.size > 0_B) tree.set_root(entry.number, root_of(entry.number, entry.size));
    }
    return *tree.finish();
  }
  messages::ManifestPage page(uint32_t number = 0) const { return {.transfer = kTransfer, .page = number, .entries = entries}; }
};

}  // namespace tideway::transfer
