// SPDX-License-Identifier: Apache-2.0
//
// The blocks a lane is receiving. Says where a packet's plain bytes may be opened to before its tag is known, and
// marks them received only afterwards, so a forged packet can dirty only bytes that nobody has marked.
// Thread: net worker. Pure.
#pragma once
#include "flow/block_index.h"
#include "flow/interval_set.h"
#include "mem/buffer_pool.h"
#include "mem/packed_block.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tideway::flow {

// The cleartext DATA fields of a packet, with the length of its payload.
struct DataPlace {
  BlockKey key;
  uint8_t head_units = 0;
  bool is_last_in_block = false;
  uint32_t offset = 0;
  uint32_t length = 0;
};

enum class Verdict : uint8_t {
  kPlace,      // open into `out`
  kDuplicate,  // some of it is here or promised to another packet: open elsewhere and hand the plain bytes to
               // on_placed, which copies what is still missing (mostly nothing); acknowledge it
  kRefused,    // slot not open, beyond credit, or does not fit what the block is known to be: drop it and count
  kNoBuffer,   // credit was given and yet no buffer is there: drop it, it will be sent again
};
struct Placement {
  Verdict verdict;
  std::span<std::byte> out;
};

struct ReassemblerConfig {
  size_t blocks_max = 256;  // partial blocks at once; the credit of all slots together never exceeds it
};

class Reassembler {
 public:
  // Intervals one block's received bytes may fall into: every second packet of the smallest size lost twice over. A
  // packet that would make more is refused and comes again, so a peer cannot make us keep long lists.
  static constexpr size_t kIntervalsMax = 4096;
  // Intervals of finished block numbers kept per slot. Blocks of other lanes leave gaps, so this reaches back at
  // least 64 GiB of this lane's blocks; packets of older blocks are refused.
  static constexpr size_t kFinishedMax = 16'384;

  Reassembler(const ReassemblerConfig& config, BufferPool& pool);

  void open_slot(SlotId slot);
  // Its partial blocks and those nobody has taken go home, late packets are refused. Returns how many buffers of
  // started blocks that were, for Credit::on_buffer_free.
  size_t close_slot(SlotId slot);
  // How many blocks of this slot the sender may have started since it was opened; only rises.
  void on_credit(SlotId slot, uint64_t blocks_started_max);

  // Places made between two calls of settle() never overlap: the second of two packets for the same bytes in one
  // burst is told kDuplicate.
  Placement place(const DataPlace& place);
  // The tag of a packet that was told kPlace or kDuplicate is right. `elsewhere`: its plain bytes, when it was told
  // kDuplicate and so opened elsewhere; otherwise they are where place() wanted them. Returns how many bytes are new.
  uint32_t on_placed(const DataPlace& place, std::span<const std::byte> elsewhere = {});
  // End of a burst: whatever was placed and not confirmed is forgotten.
  void settle();

  // The sender will not finish this block: its packets count as duplicates from now on. True: the credit it was
  // charged is free, because no buffer of it is out of here (Credit::on_buffer_free).
  bool abandon(BlockKey key);

  // Nothing between place() and settle().
  std::optional<PackedBlock> take_complete();
  // The slot of a block that was started, once per block, for Credit::on_block_started.
  std::optional<SlotId> take_started();
  size_t partial_blocks() const { return index_.size(); }

 private:
  static constexpr uint32_t kNone = BlockIndex::kNone;
  static constexpr uint16_t kNoSlot = 0xFFFF;

  struct Slot {
    SlotId id;
    bool is_open = false;
    uint64_t started = 0, started_max = 0;
    IntervalSet finished;         // numbers of blocks that are complete or abandoned
    uint64_t finished_floor = 0;  // below it the numbers are forgotten
  };
  struct Block {
    PackedBlock packed;      // length 0: not known yet
    IntervalSet received;    // confirmed bytes only
    bool is_confirmed = false;  // an authentic packet was here; otherwise settle() drops it
  };
  struct Pending {
    uint32_t entry;
    Interval bytes;
  };

  Slot* find_slot(SlotId slot);
  // The entry of a new block, or why there is none.
  struct Start { Verdict verdict; uint32_t entry; };
  Start start(Slot& slot, const DataPlace& place);
  static bool fits(const Block& block, const DataPlace& place);
  bool is_pending(uint32_t entry, Interval bytes) const;
  void complete(uint32_t entry);
  void finish(Slot& slot, BlockId block);
  PackedBlock unlink(uint32_t entry);

  BufferPool& pool_;
  std::vector<uint16_t> slot_at_;  // slot number → index in slots_
  std::vector<Slot> slots_;
  std::vector<Block> entries_;
  std::vector<uint32_t> unused_;
  BlockIndex index_;
  std::vector<Pending> pending_;        // of this burst; neighbours in one entry are joined
  std::vector<BlockKey> unconfirmed_;   // blocks begun in this burst
  std::vector<PackedBlock> complete_;
  size_t complete_taken_ = 0;
  std::vector<SlotId> started_;
  size_t started_taken_ = 0;
};

}  // namespace tideway::flow
