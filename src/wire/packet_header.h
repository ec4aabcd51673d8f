// SPDX-License-Identifier: Apache-2.0
//
// The clear part of a packet (docs/protocol.md, "Packet header"), which is also its associated data:
//
//    0       1 | version (3 bits) | type (4 bits)        12..19  packet number
//    1       key epoch, low 8 bits                       20..21  transfer slot          -- DATA only from here
//    2..3    flow id                                     22      flags    23  head length in units of 512 bytes
//    4..11   destination connection id                   24..27  block    28..31  offset within the packed block
//
// Pure.
#pragma once
#include "wire/version.h"
#include <tideway/ids.h>
#include <tideway/packet_io.h>

#include <optional>
#include <span>

namespace tideway::wire {

enum class PacketType : uint8_t { kProbe = 0, kData = 1, kAck = 2, kControl = 3, kClose = 5 };  // 4: reserved for repair

// Flags of a DATA packet. Bits without a name are sent as zero and ignored on receipt.
inline constexpr uint8_t kLastInBlock = 0x01;
inline constexpr uint8_t kResent = 0x02;
inline constexpr uint8_t kAppLimited = 0x04;
inline constexpr uint8_t kAckNow = 0x08;
inline constexpr uint8_t kFlagsKnown = 0x0F;
inline constexpr size_t kFlagsAt = 22;  // a sender sets ACK_NOW on the last packet of a burst after it wrote the header

struct DataFields {
  SlotId slot;
  uint8_t flags = 0;
  uint8_t head_units = 0;  // 1..255
  BlockId block;
  uint32_t offset = 0;
  bool operator==(const DataFields&) const = default;
};

struct PacketHeader {
  PacketType type = PacketType::kProbe;
  uint8_t key_epoch_low = 0;
  FlowId flow;
  ConnectionId destination;
  uint64_t packet_number = 0;
  DataFields data;  // of a DATA packet

  size_t size() const { return type == PacketType::kData ? kDataHeaderSize : kHeaderSize; }
  bool operator==(const PacketHeader&) const = default;
};

// Writes header.size() bytes to the front of `room`, which is at least that long.
void write_header(const PacketHeader& header, std::span<std::byte> room);

// The header of a whole packet (a UDP payload). Nothing when it is too short for header and tag, of another version or
// of no type of ours, or DATA without payload or head.
std::optional<PacketHeader> parse_header(std::span<const std::byte> packet);

// Full DATA payload of one packet on a path of this IP MTU: a multiple of 64, so that receivers may keep one bit per 64
// bytes; of 16 only where 64 would cost over 2 % on a path that is here to stay (1500 on IPv6). Below 1500 the path is a
// start or an accident and keeps to 64. `mtu` is at least 1280, the least IPv6 allows.
size_t data_payload_for_mtu(size_t mtu, bool is_ipv4);

// IP and UDP headers around a UDP payload.
constexpr size_t ip_overhead(bool is_ipv4) { return ip_and_udp_headers(is_ipv4).count(); }

}  // namespace tideway::wire
