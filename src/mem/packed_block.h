// SPDX-License-Identifier: Apache-2.0
//
// A block as it is sent: head, then packed bytes, in one buffer. The head ends where the buffer's head room ends, so
// the packed bytes start on a page and a raw block can be written with direct I/O without moving (docs/protocol.md).
// Only block/pack makes one from a RawBlock; a flow's lane makes one from packets.
#pragma once
#include "mem/buffer.h"
#include <tideway/ids.h>

namespace tideway {

inline constexpr size_t kHeadUnit = 512;  // the head's length on the wire counts these; 1 to 225 of them
inline constexpr size_t kHeadUnitsMax = 225;

// The class of a transfer, where the bytes that leave are counted.
enum class Account : uint8_t { kOther, kRestore, kCheckpoint, kStaging, kBestEffort };
inline constexpr size_t kAccounts = 5;

struct PackedBlock {
  BlockKey key;
  uint8_t head_units = 0;
  uint32_t length = 0;  // head and packed bytes together
  Buffer buffer;
  Account account = Account::kOther;  // of one that is sent

  std::span<std::byte> bytes() const { return buffer.whole().subspan(kHeadRoom - head_units * kHeadUnit, length); }
  std::span<std::byte> head() const { return bytes().first(head_units * kHeadUnit); }
  std::span<std::byte> packed() const { return bytes().subspan(head_units * kHeadUnit); }
};

}  // namespace tideway
