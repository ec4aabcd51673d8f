// SPDX-License-Identifier: Apache-2.0
//
// Credit: how much a sender may start at the receiver (docs/protocol.md, "Credit"). Counted per lane and slot in
// whole blocks' buffers, cumulative since the slot was opened, so a lost update is repaired by sending the newest
// value again. One object holds both directions of a lane: what we give the peer and what the peer gave us.
//
// What we give has two parts. Every open slot holds `blocks_reserved` whatever the others do, so a transfer whose
// neighbours are stuck still moves; reserves take at most half of what the lane may give. The other half is shared: a
// slot gets some of it at the start, and more only when its own buffers come back while its sender says that credit
// holds it up. So a transfer whose store stalls cannot gather what others could use. One slot holds at most
// kShareOfFree times what is left for all, which leaves something for the next one to come, and never more than its ceiling:
// what was begun and is not durable has to be sent again when the receiver dies.
// Thread: net worker. Pure.
#pragma once
#include "base/cursor.h"
#include "wire/frames.h"
#include <tideway/ids.h>
#include <tideway/result.h>
#include <tideway/time.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tideway::flow {

// What lanes have promised to their peers together, in blocks. The lanes of one worker share one, so that no peer is
// promised a buffer that another one has.
struct CreditPool {
  uint64_t blocks_max = 0;
  uint64_t reserved = 0;  // at most half
  uint64_t shared = 0;    // of the other half
  uint64_t waiting = 0;   // slots whose sender is held up by credit
};

struct CreditConfig {
  LaneId lane;
  uint64_t unit = 0;              // bytes one block is charged; both sides use the same (from Hello)
  uint64_t blocks_given_max = 0;  // buffers this lane may have promised to the peer at any time, alone
  uint64_t blocks_reserved = 2;   // of each open slot, whatever the others do
  CreditPool* pool = nullptr;     // outlives the lane; nullptr: blocks_given_max is for this lane alone
};

struct CreditStats {
  uint64_t stalls = 0;           // times credit held a block of ours up (one per limit reached)
  uint64_t peer_stalls = 0;      // BLOCKED frames from the peer
  uint64_t recalls = 0;          // of unused credit, by us
  uint64_t blocks_promised = 0;  // given to the peer and not free again
};

class Credit {
 public:
  // A slot that has shown nothing yet gets a quarter of what is left, and not more than makes 56 MiB with the reserve: a
  // start may put a BDP on its way in the second round trip, and what is on its way and not yet free again is nearly two.
  static constexpr uint64_t kStartPart = 4, kStartMax = 12;
  // BLOCKED leaves this many blocks before credit ends: an answer takes a round trip, and then it comes in time.
  static constexpr uint64_t kAskAhead = 2;
  // Alone a slot gets three quarters of the shared part; of N busy ones each gets 3 / (3 N + 1).
  static constexpr uint64_t kShareOfFree = 3;
  // ABANDON frames kept to be repeated; older ones were sent long before the loss that asks for it.
  static constexpr size_t kAbandonsKept = 256;
  // Abandoned blocks waiting for take_abandoned(); one burst of an honest peer carries far fewer.
  static constexpr size_t kAbandonsMax = 4096;

  explicit Credit(const CreditConfig& config);
  ~Credit();
  Credit(const Credit&) = delete;
  Credit& operator=(const Credit&) = delete;

  static constexpr uint64_t kNoCeiling = ~uint64_t{0};

  // What we give. A slot holds its reserve, whatever its ceiling. One that has come down takes credit as buffers come back.
  Status open_receiving(SlotId slot, uint64_t blocks_ceiling = kNoCeiling);  // errors: overloaded, when no reserve is left
  void set_ceiling(SlotId slot, uint64_t blocks);
  // Buffers of the slot that are still out keep counting until on_buffer_free.
  void close_receiving(SlotId slot);
  void on_block_started(SlotId slot);         // by the peer, at the first packet of a block
  void on_buffer_free(SlotId slot);           // stored, rejected or abandoned
  // Asks for unused shared credit back after two round trips, when more than half of it is out and another slot is held up. What
  // nobody else waits for stays where it is: a sender behind a closed gate uses none for a while, and all of it when it opens.
  // Call now and then.
  void recall_unused(Time now, Duration rtt);
  uint64_t blocks_allowed(SlotId slot) const;  // cumulative: goes to Reassembler::on_credit
  bool has_receiving() const { return !receiving_.empty(); }  // slots, the closed ones included whose buffers are still out
  // Changes whenever blocks_allowed of any slot may have risen, so that nobody needs to ask for each.
  uint64_t generation() const { return generation_; }

  // What we were given.
  void open_sending(SlotId slot, uint64_t limit_bytes);  // the start credit of TransferAccepted
  void close_sending(SlotId slot);
  bool try_start(SlotId slot);                // charges one block; false: not allowed yet. BLOCKED says so, ahead if it can
  void abandon_started(BlockKey key);         // a block that was charged and will not be finished: ABANDON tells

  // Frames in CTRL packets. `write_frames` writes what changed since it was last sent, as far as `out` has room.
  bool has_frames() const { return has_frames_; }
  void write_frames(Writer& out);
  void on_frames_lost();                      // the newest values go out again
  // One CREDIT, CREDIT_RECALL, CREDIT_RETURN, BLOCKED or ABANDON frame body. Errors: protocol_error.
  Status on_frame(uint8_t type, std::span<const std::byte> body);
  std::optional<BlockKey> take_abandoned();   // by the peer

  CreditStats stats() const;

 private:
  enum class Recall : uint8_t { kNone, kDue, kSent };
  struct Receiving {
    SlotId slot;
    bool is_closing = false;
    bool is_due = false;           // a CREDIT frame
    Recall recall = Recall::kNone;  // until it is answered nothing is given, so both sides know what was lowered
    uint64_t allowed = 0, started = 0, freed = 0;  // blocks since the slot was opened
    uint64_t ceiling = kNoCeiling;  // of what it holds
    uint64_t growth = 0;           // blocks that may come on top as buffers come back: the sender is held up
    uint64_t started_seen = 0;     // by recall_unused
    Time changed_at{};
  };
  struct Sending {
    static constexpr uint64_t kNotBlocked = ~uint64_t{0};
    SlotId slot;
    uint64_t limit = 0, started = 0;
    uint64_t asked_at = kNotBlocked;    // the limit that BLOCKED was due for
    uint64_t stalled_at = kNotBlocked;  // the limit that stopped a block
    bool is_blocked_due = false, is_return_due = false, was_returned = false;
  };

  Receiving* find_receiving(SlotId slot);
  Sending* find_sending(SlotId slot);
  uint64_t held(const Receiving& slot) const { return (slot.is_closing ? slot.started : slot.allowed) - slot.freed; }
  uint64_t shared_used(const Receiving& slot) const;
  bool is_held_up(const Receiving& slot) const {  // and others could help
    return !slot.is_closing && slot.growth > 0 && slot.started == slot.allowed && held(slot) < slot.ceiling;
  }
  uint64_t shared_max() const { return pool_.blocks_max - pool_.blocks_max / 2; }
  uint64_t shared_free() const { return pool_.shared < shared_max() ? shared_max() - pool_.shared : 0; }
  void account();  // after any change of what is held or waited for
  void ask_ahead(Sending& slot);
  bool may_take_shared(const Receiving& slot) const;
  void give(Receiving& slot, uint64_t blocks);
  void give_back_to(Receiving& slot);
  void on_credit(SlotId slot, uint64_t limit);
  void on_recall(SlotId slot);
  void on_return(SlotId slot, uint64_t limit);
  void on_blocked(SlotId slot, uint64_t limit);
  // Writes one frame about a slot. False, and has_frames() stays true: `out` has no room.
  bool write(Writer& out, wire::FrameType type, const wire::CreditFrame& frame);
  void write_abandons(Writer& out);
  void write_sending(Writer& out);
  void write_receiving(Writer& out);

  CreditConfig config_;
  CreditPool own_pool_;
  CreditPool& pool_;
  uint64_t reserved_ = 0, shared_ = 0, waiting_ = 0;  // our part of the pool
  std::vector<Receiving> receiving_;
  std::vector<Sending> sending_;
  std::vector<BlockKey> abandons_out_;
  size_t abandons_sent_ = 0;
  std::vector<BlockKey> abandons_in_;
  bool has_frames_ = false;
  uint64_t generation_ = 0;
  CreditStats stats_;
};

}  // namespace tideway::flow
