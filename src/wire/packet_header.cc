// SPDX-License-Identifier: Apache-2.0
#include "wire/packet_header.h"

#include <tideway/check.h>

namespace tideway::wire {
namespace {

constexpr uint8_t kFixedBit = 0x80;
constexpr uint8_t kTypeMask = 0x0F;

bool is_known_type(uint8_t type) {
  switch (static_cast<PacketType>(type)) {
    case PacketType::kProbe:
    case PacketType::kData:
    case PacketType::kAck:
    case PacketType::kControl:
    case PacketType::kClose: return true;
  }
  return false;
}

// Big-endian, and one load or store each: this runs for every packet. The caller has checked the length.
template <typename T>
T load(std::span<const std::byte> bytes, size_t at) {
  uint64_t value = 0;
#pragma GCC unroll 8
  for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<uint64_t>(bytes[at + i]);
  return static_cast<T>(value);
}
template <typename T>
void store(std::span<std::byte> bytes, size_t at, T value) {
#pragma GCC unroll 8
  for (size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = static_cast<std::byte>(uint64_t{value} >> (8 * (sizeof(T) - 1 - i)));
}

}  // namespace

void write_header(const PacketHeader& header, std::span<std::byte> room) {
  TIDEWAY_CHECK(room.size() >= header.size());
  store(room, 0, static_cast<uint8_t>(kFixedBit | kPacketVersion << 4 | static_cast<uint8_t>(header.type)));
  store(room, 1, header.key_epoch_low);
  store(room, 2, header.flow.value());
  store(room, 4, header.destination.value());
  store(room, 12, header.packet_number);
  if (header.type != PacketType::kData) return;
  store(room, 20, header.data.slot.value());
  store(room, kFlagsAt, static_cast<uint8_t>(header.data.flags & kFlagsKnown));
  store(room, 23, header.data.head_units);
  store(room, 24, header.data.block.value());
  store(room, 28, header.data.offset);
}

std::optional<PacketHeader> parse_header(std::span<const std::byte> packet) {
  if (packet.size() < kPacketSizeMin) return std::nullopt;
  const auto first = static_cast<uint8_t>(packet[0]);
  if ((first & ~kTypeMask) != (kFixedBit | kPacketVersion << 4) || !is_known_type(first & kTypeMask)) return std::nullopt;
  PacketHeader header;
  header.type = static_cast<PacketType>(first & kTypeMask);
  header.key_epoch_low = static_cast<uint8_t>(packet[1]);
  header.flow = FlowId(load<uint16_t>(packet, 2));
  header.destination = ConnectionId(load<uint64_t>(packet, 4));
  header.packet_number = load<uint64_t>(packet, 12);
  if (header.type != PacketType::kData) return header;
  if (packet.size() <= kDataOverhead) return std::nullopt;
  header.data = {.slot = SlotId(load<uint16_t>(packet, 20)),
                 .flags = static_cast<uint8_t>(load<uint8_t>(packet, kFlagsAt) & kFlagsKnown),
                 .head_units = load<uint8_t>(packet, 23),
                 .block = BlockId(load<uint32_t>(packet, 24)),
                 .offset = load<uint32_t>(packet, 28)};
  if (header.data.head_units == 0) return std::nullopt;
  return header;
}

size_t data_payload_for_mtu(size_t mtu, bool is_ipv4) {
  const size_t room = mtu - ip_overhead(is_ipv4) - kDataOverhead;
  const size_t by_64 = room / 64 * 64, by_16 = room / 16 * 16;
  return mtu < 1500 || (by_16 - by_64) * 50 <= by_16 ? by_64 : by_16;
}

}  // namespace tideway::wire
