// SPDX-License-Identifier: Apache-2.0
//
// Reads the doubtful leaves of a page's objects again before anybody is told that they are there. What agrees with its stored
// hash is recorded once more, under this boot of the host; what does not, or cannot be read, is taken back and sent again.
//
// One leaf a turn, so that the other transfers of the io worker get theirs in between; the kernel reads the next ones meanwhile.
// Thread: io worker, the transfer's home; it blocks for the reading of one leaf.
#pragma once
#include "engine/durable_log.h"
#include "engine/read_back.h"

#include <deque>

namespace tideway::engine {

class Rehash {
 public:
  Rehash(storage::Staging& staging, DurableLog& log, LeafBuffers& buffers) : staging_(staging), log_(log), buffers_(buffers) {}

  // An object of the page, if any of its leaves are doubtful.
  void add(const ManifestEntry& entry);
  bool is_over() const { return objects_.empty(); }
  bool turn();  // false: no memory for a leaf is free
  // Of a page that is over: says in the log what came of it, and records it.
  Status finish();

 private:
  struct Object {
    ObjectId id;
    Bytes size;
    flow::Interval leaves;  // that are left to look at
    uint64_t first_leaf = 0;
    Descriptor file = {};
  };
  bool is_sound(const Object& object, uint64_t leaf, std::span<std::byte> room) const;
  void on_sound(uint64_t leaf);
  void flush_sound();

  storage::Staging& staging_;
  DurableLog& log_;
  LeafBuffers& buffers_;
  std::deque<Object> objects_;
  flow::Interval sound_;  // not told to the log yet
  uint64_t looked_at_ = 0, damaged_ = 0;  // leaves, of this page
};

}  // namespace tideway::engine
