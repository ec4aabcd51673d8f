// SPDX-License-Identifier: Apache-2.0
//
// The blocks a lane is sending: what was not sent yet, what was lost, what was acked. All flows of the lane take
// their ranges here, so any flow resends what another one lost, and a slow path simply takes less. A block's buffer
// goes home when all of it is acked.
// Thread: net worker. Pure.
#pragma once
#include "mem/packed_block.h"
#include <tideway/time.h>

#include <cstdint>
#include <optional>
#include <span>

namespace tideway::flow {

// A part of a packed block. 16 bytes on purpose: a flow keeps one per packet in flight.
struct Range {
  BlockKey key;
  uint32_t offset = 0;  // within the packed block, head included
  uint32_t length = 0;
  bool operator==(const Range&) const = default;
};

// A range to put into one packet. `bytes` is valid until the next call that changes the window.
struct SendRange {
  Range range;
  std::span<const std::byte> bytes;
  uint8_t head_units;
  bool is_last_in_block;
  bool is_resent;
};

class SendWindow {
 public:
  static constexpr size_t kBlocksMax = 4096;  // blocks under way; 16 GiB, more than any pool

  SendWindow();
  // Starts a block. The caller has made sure of credit for all of it. False: kBlocksMax are under way, and the block
  // stays with the caller.
  bool offer(PackedBlock&& block);

  // The next range of at most `payload_max` bytes: lost ones first, oldest first, then new data in the order of the
  // blocks. A range that is resent is cut to `payload_max` again. Nothing: all is on its way.
  std::optional<SendRange> take(Time now, size_t payload_max);
  // The oldest range that is unacked and was sent before `sent_before`, to repair a tail early when take() has
  // nothing. Counts as resent; the same bytes are not given out again before another `sent_before` covers them.
  std::optional<SendRange> take_tail(Time now, Time sent_before, size_t payload_max);

  void on_acked(const Range& range);      // of a block that is not here any more: ignored
  void on_lost(const Range& range);       // queues what of it is not acked yet
  void on_found(const Range& range);      // the loss was spurious: what has not left again is taken off the queue
  void abandon(BlockKey key);             // forget the block; its buffer goes home
  void abandon_slot(SlotId slot);

  std::optional<BlockKey> take_done();    // blocks that are completely acked, each once
  bool has_work() const;                  // take() would give something
  size_t blocks() const;                  // under way
  uint64_t unacked_bytes() const;
  // ... private part belongs to the implementation
};

}  // namespace tideway::flow
