// SPDX-License-Identifier: Apache-2.0
//
// The capture format of Wireshark and tcpdump (draft-ietf-opsawg-pcapng), as far as a capture of ours goes: a section,
// one interface per net worker, packets with their direction, and what each interface lost. Packets begin with their IP
// header. The format lets a writer choose the order of bytes; this one is big-endian, as everything of ours.
// Pure.
#pragma once
#include "base/cursor.h"
#include <tideway/time.h>

#include <cstdint>
#include <string_view>

namespace tideway::packet_io {

inline constexpr size_t kPcapngHeaderMax = 128;    // of a section or an interface with a name of up to 32 bytes
inline constexpr size_t kPcapngStatisticsMax = 64;
inline constexpr size_t kPcapngPacketRest = 56;    // what a packet's block has besides its bytes

enum class PacketDirection : uint8_t { kReceived = 1, kSent = 2 };  // as epb_flags has them

struct PcapngInterface {
  std::string_view name;
  uint32_t snap_length = 0;  // most bytes kept of a packet
};

struct PcapngPacket {
  uint32_t interface = 0;  // counted from zero, in the order in which they were written
  Duration time{};         // since 1970, UTC
  PacketDirection direction = PacketDirection::kReceived;
  std::span<const std::byte> headers, payload;  // what was kept, in this order
  size_t size = 0;                              // of the whole packet on the wire
};

struct PcapngStatistics {
  uint32_t interface = 0;
  Duration time{};
  uint64_t seen = 0, lost = 0;  // lost: of those seen, not in the file
};

// Each writes one block, for which there is room.
void write_section(Writer& out);
void write_interface(Writer& out, const PcapngInterface& interface);
void write_packet(Writer& out, const PcapngPacket& packet);
void write_statistics(Writer& out, const PcapngStatistics& statistics);

}  // namespace tideway::packet_io
