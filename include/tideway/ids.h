// SPDX-License-Identifier: Apache-2.0
//
// Numbers that name things. Each kind is a type of its own, so a block number never passes for an object number.
#pragma once
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace tideway {

template <typename Tag, typename Rep>
class Id {
 public:
  using rep = Rep;
  constexpr Id() = default;
  explicit constexpr Id(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  Rep value_{};
};

using FlowId = Id<struct FlowTag, uint16_t>;      // one flow of a session; never used twice within it
using LaneId = Id<struct LaneTag, uint16_t>;      // one lane of a session
using SlotId = Id<struct SlotTag, uint16_t>;      // a transfer on the wire, chosen by the sink
using BlockId = Id<struct BlockTag, uint32_t>;    // block number within its transfer
using ObjectId = Id<struct ObjectTag, uint32_t>;  // entry number within its transfer's manifest
using PathId = Id<struct PathTag, uint32_t>;      // a path of one PacketIo
using KeyEpoch = Id<struct KeyEpochTag, uint64_t>;        // generation of packet keys
using ConnectionId = Id<struct ConnectionTag, uint64_t>;  // chosen by the receiver of the packets that carry it

// A block of any transfer of a session.
struct BlockKey {
  SlotId slot;
  BlockId block;
  constexpr auto operator<=>(const BlockKey&) const = default;
};

using TransferId = std::array<std::byte, 16>;
using Hash128 = std::array<std::byte, 16>;  // XXH3-128, canonical (big-endian) form
using Hash256 = std::array<std::byte, 32>;  // SHA-256

}  // namespace tideway

template <typename Tag, typename Rep>
struct std::hash<tideway::Id<Tag, Rep>> {
  size_t operator()(tideway::Id<Tag, Rep> id) const { return std::hash<Rep>()(id.value()); }
};
template <>
struct std::hash<tideway::BlockKey> {
  size_t operator()(const tideway::BlockKey& key) const {
    return std::hash<uint64_t>()(uint64_t{key.slot.value()} << 32 | key.block.value());
  }
};
