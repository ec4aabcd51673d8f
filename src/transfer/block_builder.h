// SPDX-License-Identifier: Apache-2.0
//
// Gathers needed leaves into blocks: a full leaf is a block by itself, small objects share one. A block is closed at
// 4 MiB of raw bytes, at kSegmentsMax segments, or when nothing more is at hand and waiting would idle the link. The
// first ones that small objects share are smaller and grow by and by: a block leaves when all of it has been read, which of
// three hundred files takes tens of milliseconds, and a lane that has nothing to send then cannot measure its path either.
// Thread: io worker, the transfer's home. Pure.
#pragma once
#include "block/segment.h"
#include <tideway/ids.h>
#include <tideway/object_store.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

namespace tideway::transfer {

using block::kSegmentsMax;

// One leaf of an object, and where its bytes go in the block's buffer.
struct LeafRead {
  ObjectId object;
  uint32_t leaf = 0;
  uint32_t length = 0;
  uint32_t at = 0;
};

struct BlockPlan {
  enum class Use : uint8_t { kSend, kHash } use = Use::kSend;  // kHash: it stays here, and its key names nothing
  BlockKey key;  // the slot is filled in when it is known
  std::vector<LeafRead> leaves;  // in the order of their bytes
  uint32_t raw_size = 0;
};

class BlockBuilder {
 public:
  // Leaves of an object, in the order of the calls: the first, and the end behind the last.
  struct Leaves { uint32_t first = 0, end = 0; };
  void add_leaves(ObjectId object, Bytes size, Leaves leaves);
  // All of them; `size` is not 0.
  void add_object(ObjectId object, Bytes size) { add_leaves(object, size, {0, static_cast<uint32_t>(leaf_count(size))}); }
  // One leaf again, in a new block and before everything else: the receiver could not use it.
  void add_again(const LeafRead& leaf);

  enum class More : uint8_t { kComing, kNothingAtHand };
  // The next block: with kComing only a full one, with kNothingAtHand also a short one. Leaves of objects that are not
  // `wanted` any more are dropped as their turn comes, so that a million that fail cost no more than one pass; until
  // then they count as at hand, and a block may be shorter than it could be.
  using Wanted = std::function<bool(ObjectId)>;
  std::optional<BlockPlan> next(More more, const Wanted& wanted);
  bool is_empty() const { return queue_.empty() && again_.empty(); }
  uint32_t blocks_made() const { return next_block_; }

 private:
  struct Queued {
    ObjectId object;
    Bytes size;
    Leaves left;
    uint64_t bytes_left() const;
  };
  void drop_unwanted(const Wanted& wanted);
  std::optional<LeafRead> peek() const;
  void take();
  bool is_worth_closing() const;
  uint64_t shared_max() const;  // bytes of the next block, unless a single leaf is larger

  uint32_t next_block_ = 0;
  std::deque<Queued> queue_;
  std::deque<LeafRead> again_;
  uint64_t queued_bytes_ = 0;
  uint64_t queued_leaves_ = 0;
};

}  // namespace tideway::transfer
