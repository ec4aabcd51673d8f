// SPDX-License-Identifier: Apache-2.0
//
// The blocks a lane is receiving. Says where a packet's plain bytes may be opened to before its tag is known, and
// marks them received only afterwards, so a forged packet can dirty only bytes that nobody has marked.
// Thread: net worker. Pure.
#pragma once
#include "mem/buffer_pool.h"
#include "mem/packed_block.h"

#include <cstdint>
#include <optional>
#include <span>

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
  kDuplicate,  // open elsewhere (the flow's scratch) and acknowledge it, but the bytes are not needed
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
  Reassembler(const ReassemblerConfig& config, BufferPool& pool);

  void open_slot(SlotId slot);
  void close_slot(SlotId slot);   // its partial blocks go home, late packets are refused
  // How many blocks of this slot the sender may have started since it was opened; only rises.
  void on_credit(SlotId slot, uint64_t blocks_started_max);

  // Places made between two calls of settle() never overlap: the second of two packets for the same bytes in one
  // burst is told kDuplicate.
  Placement place(const DataPlace& place);
  // The tag of a packet that was told kPlace or kDuplicate is right; the bytes are there.
  void on_placed(const DataPlace& place);
  // End of a burst: whatever was placed and not confirmed is forgotten.
  void settle();

  void abandon(BlockKey key);     // the sender will not finish it
  std::optional<PackedBlock> take_complete();
  size_t partial_blocks() const;
};

}  // namespace tideway::flow
