// SPDX-License-Identifier: Apache-2.0
//
// The blocks a lane is sending: what was not sent yet, what was lost, what was acked. All flows of the lane take
// their ranges here, so any flow resends what another one lost, and a slow path simply takes less. A block's buffer
// goes home when all of it is acked.
// Thread: net worker. Pure.
#pragma once
#include "flow/block_index.h"
#include "flow/interval_set.h"
#include "mem/packed_block.h"
#include <tideway/time.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tideway::flow {

// A part of a packed block. 16 bytes on purpose: a flow keeps one per packet in flight.
struct Range {
  BlockKey key;
  uint32_t offset = 0;  // within the packed block, head included
  uint32_t length = 0;
  bool operator==(const Range&) const = default;
};

// A range to put into one packet. `bytes` is valid until its block is acked, abandoned or taken back; taking more
// leaves it alone, so a whole burst can be sealed at its end.
struct SendRange {
  Range range;
  std::span<const std::byte> bytes;
  uint8_t head_units;
  bool is_last_in_block;
  bool is_resent;
  Account account = Account::kOther;
};

class SendWindow {
 public:
  static constexpr uint8_t kCopies = 2;         // beside the resent one: of 500 losses at 3 % less than one needs a fourth
  static constexpr size_t kResentMax = 4096;    // remembered, for copies; older ones do without
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

  // Another copy of a range that was lost and resent, before anybody knows whether that arrived: one of them is lost again, and at the
  // end of a transfer each round of repairs is a round trip in which nothing else happens. kCopies per loss, when take()
  // has nothing, of what was resent in [sent_from, sent_before).
  struct Sent { Time from, before; };
  std::optional<SendRange> take_copy(Time now, Sent sent, size_t payload_max);

  // A copy of what was sent after `sent_after` and is not acked yet, the newest first and each once. At the end of a transfer over a path
  // that loses, half of it is there by the time at which its losses become known. When new data has left, the copies begin with that, and
  // go back to where those before it began.
  std::optional<SendRange> take_ahead(Time now, Time sent_after, size_t payload_max);

  void on_acked(const Range& range);      // of a block that is not here any more: ignored
  void on_lost(const Range& range);       // queues what of it is not acked yet
  void on_found(const Range& range);      // the loss was spurious: what has not left again is taken off the queue
  bool abandon(BlockKey key);             // forget the block; its buffer goes home. False: it is not here
  void abandon_slot(SlotId slot);

  std::optional<BlockKey> take_done();    // blocks that are completely acked, each once
  // The oldest block, whatever has become of it so far, for a lane that is given up: another lane sends all of it.
  std::optional<PackedBlock> take_back();

  bool has_work() const;                  // take() would give something
  bool is_full() const;                   // offer() would refuse
  bool contains(BlockKey key) const { return index_.find(key) != kNone; }
  size_t blocks() const { return index_.size(); }              // under way
  uint64_t unacked_bytes() const { return unacked_bytes_; }    // of the blocks under way, sent or not
  uint64_t unsent_bytes() const { return unsent_bytes_; }      // of these, what never left

 private:
  static constexpr uint32_t kNone = BlockIndex::kNone;
  // When bytes were last sent is kept per this many bytes of a block, not per packet: only tail repair asks, and it
  // asks about data of a round trip ago.
  static constexpr uint32_t kMarkSize = 64 << 10;

  struct Mark {
    Time sent_at{};       // newest sending of anything in these bytes
    Time repaired_at{};   // newest repair in the pass under way
    uint32_t repaired = 0;  // the pass has given out what lies below this offset; 0: no pass
  };
  struct Block {
    PackedBlock packed;
    IntervalSet acked, lost;   // disjoint; both below sent_end
    std::vector<Mark> marks;
    uint32_t sent_end = 0;     // new data has left up to here
    uint32_t older = kNone, newer = kNone;  // neighbours in the order of offering
    uint64_t turn = 0;         // rises with each block offered
  };

  struct Resent {
    Range range;
    Time sent_at;
    uint8_t copies;  // still to be sent
  };

  void remember_resent(Time now, const Range& range, uint8_t copies);
  uint32_t add_entry();
  void remove(uint32_t entry);
  PackedBlock unlink(uint32_t entry);
  Block* find(const Range& range);
  SendRange take_lost(Time now, size_t payload_max);
  SendRange take_new(Time now, size_t payload_max);
  void queue_lost(uint32_t entry);
  void unqueue_lost(uint32_t entry);
  void mark_sent(Block& block, Interval sent, Time now);
  std::optional<Interval> next_repair(Block& block, size_t mark, Time sent_before);
  void put_ahead(uint32_t entry);
  static Interval first_unacked(const Block& block, Interval within);
  static SendRange range_of(const Block& block, Interval part, bool is_resent);

  std::vector<Block> entries_;        // grows up to kBlocksMax and keeps what it has
  std::vector<uint32_t> unused_;
  BlockIndex index_;
  uint32_t oldest_ = kNone, newest_ = kNone;
  uint32_t next_new_ = kNone;         // the block whose new data leaves next
  std::vector<uint32_t> with_lost_;   // blocks that have lost ranges, oldest first
  std::vector<BlockKey> done_;
  size_t done_taken_ = 0;
  std::vector<Resent> resent_;        // a ring by time: from resent_first_ up to resent_end_, counted on
  size_t resent_first_ = 0, resent_end_ = 0;
  uint64_t turn_ = 0;
  uint64_t unacked_bytes_ = 0, unsent_bytes_ = 0;

  // Copies ahead go from the newest data back, by marks, and from the beginning of each to its end.
  uint32_t ahead_block_ = kNone;      // none: all was copied
  size_t ahead_marks_ = 0;            // of it, that are still to come
  uint32_t ahead_offset_ = 0;         // what lies below it in the last of these is done
  bool is_ahead_new_ = true;          // from the newest block on
  Time ahead_from_ = Time::min();     // when that was so: what left before the next new data
  Time ahead_after_ = Time::min();    // and the time before that, to which they go back

  // Tail repair goes round the blocks from the oldest on, and remembers where it is.
  uint32_t repair_block_ = kNone;     // none: at the oldest
  size_t repair_mark_ = 0;
  Time repair_min_ = kNever;          // oldest sending that this round has passed over
  Time repair_none_before_ = kNever;  // nothing unacked was sent before this
};

}  // namespace tideway::flow
