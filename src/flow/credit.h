// SPDX-License-Identifier: Apache-2.0
//
// Credit: how much a sender may start at the receiver (docs/protocol.md, "Credit"). Counted per lane and slot in
// whole blocks' buffers, cumulative since the slot was opened, so a lost update is repaired by sending the newest
// value again. One object holds both directions of a lane: what we give the peer and what the peer gave us.
// Thread: net worker. Pure.
#pragma once
#include "base/cursor.h"
#include <tideway/ids.h>
#include <tideway/result.h>
#include <tideway/time.h>

#include <cstdint>

namespace tideway::flow {

struct CreditConfig {
  LaneId lane;
  uint64_t unit = 0;            // bytes one block is charged; both sides use the same (from Hello)
  uint64_t blocks_given_max = 0;  // buffers this lane may have promised to the peer at any time
  uint64_t blocks_reserved = 2;   // of each open slot, whatever the others do
};

class Credit {
 public:
  explicit Credit(const CreditConfig& config);

  // What we give.
  Status open_receiving(SlotId slot);         // errors: overloaded, when no reserve is left
  void close_receiving(SlotId slot);
  void on_block_started(SlotId slot);         // by the peer, at the first packet of a block
  void on_buffer_free(SlotId slot);           // stored, rejected or abandoned
  uint64_t blocks_allowed(SlotId slot) const;  // cumulative: goes to Reassembler::on_credit

  // What we were given.
  void open_sending(SlotId slot, uint64_t limit_bytes);  // the start credit of TransferAccepted
  void close_sending(SlotId slot);
  bool try_start(SlotId slot);                // charges one block; false: not allowed yet, and BLOCKED will say so

  // Frames in CTRL packets. `write_frames` writes what changed since it was last sent, as far as `out` has room.
  bool has_frames() const;
  void write_frames(Writer& out);
  void on_frames_lost();                      // the newest values go out again
  // One CREDIT, CREDIT_RECALL, CREDIT_RETURN or BLOCKED frame body. Errors: protocol_error.
  Status on_frame(uint8_t type, std::span<const std::byte> body);
};

}  // namespace tideway::flow
