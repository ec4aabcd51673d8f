// SPDX-License-Identifier: Apache-2.0
//
// Blocks on their way from a buffer into a store: each segment is a request of its own, and a block is through when all of them are
// answered.
// Thread: io worker.
#pragma once
#include "engine/copy_rooms.h"
#include "engine/rings.h"
#include "engine/sync_pace.h"
#include "transfer/receiver.h"

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

void tell_freed(Rings& rings, const BufferFreed& freed);
// A received block that nobody wants: its buffer goes home, and its credit too, as far as the transfer may have so much.
void give_home(Rings& rings, BlockUnpacked&& block, Bytes credit_max = SyncPace().credit_max());

inline constexpr uint32_t kWriteTokens = 1U << 30;  // of requests to the store: below this they write a segment

// A block whose segments are being written. `good` are its segments without those that failed their hash or that nobody wants.
struct Writing {
  LaneHandle lane;
  TransferHandle transfer;
  block::UnpackedBlock block;
  block::SegmentList good;
  std::vector<uint32_t> offsets;  // of the good ones in the block's bytes
  size_t submitted = 0, answered = 0;
  bool has_begun = false;         // counts as being written
  std::unique_ptr<CopyRooms::Room> room = nullptr;  // set: its bytes lie there, and came over no lane
};

// Makes of a received block what is to be written: the segments that `receiver` claims. It asks again for those with a wrong hash.
// Errors: protocol_error; then the block's buffer is with `writing` all the same.
Status claim_segments(BlockUnpacked&& received, transfer::Receiver& receiver, Writing& writing);

// All of it is: it counts as written and not durable, no more as being written.
void note_written(Time now, const Writing& writing, SyncPace& pace);

class BlockWrites {
 public:
  void add(std::unique_ptr<Writing> writing);
  // Gives the store what it takes now, of the blocks that may be written. False: nothing.
  using MayWrite = std::function<bool(const Writing& writing)>;
  bool submit(ObjectStore& store, SyncPace& pace, const MayWrite& may_write);
  void on_answer(uint32_t token) { writings_[token >> 16]->answered += 1; }
  std::unique_ptr<Writing> next_written();  // null: none is through
  std::unique_ptr<Writing> take_any();      // nothing writes from it any more; null: there is none

  bool is_empty() const { return writings_.empty(); }
  size_t size() const { return writings_.size(); }
  bool has_any_of(TransferHandle transfer) const;

 private:
  std::unique_ptr<Writing> take(size_t place);
  std::unordered_map<uint32_t, std::unique_ptr<Writing>> writings_;  // by the high half of a request's token
  std::vector<uint32_t> order_;
  uint32_t next_ = 0;
};

}  // namespace tideway::engine
