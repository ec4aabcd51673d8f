// SPDX-License-Identifier: Apache-2.0
#include "packet_io/pcapng.h"

namespace tideway::packet_io {
namespace {

constexpr uint32_t kSectionHeader = 0x0A0D0D0A, kInterfaceDescription = 1, kInterfaceStatistics = 5, kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr uint16_t kLinkTypeRaw = 101;  // the packet begins with IPv4 or IPv6

// Options; their numbers are those of the block they stand in, except for the first two.
constexpr uint16_t kEndOfOptions = 0, kComment = 1;
constexpr uint16_t kSectionProgram = 4;
constexpr uint16_t kInterfaceName = 2, kInterfaceTimeResolution = 9;
constexpr uint16_t kPacketFlags = 2;
constexpr uint16_t kStatisticsReceived = 4, kStatisticsDropped = 5;

constexpr uint8_t kNanoseconds = 9;  // ten to the power of minus that

size_t padding_of(size_t size) { return (4 - size % 4) % 4; }

// A block has its length at both ends, so it is known last.
class Block {
 public:
  Block(Writer& out, uint32_t type) : out_(out), start_(out.used()) {
    out_.write_u32(type);
    out_.write_u32(0);
  }
  void end() {
    const auto size = static_cast<uint32_t>(out_.used() - start_ + sizeof(uint32_t));
    out_.write_u32(size);
    Writer(out_.written().subspan(start_ + sizeof(uint32_t), sizeof size)).write_u32(size);
  }

 private:
  Writer& out_;
  const size_t start_;
};

void write_option(Writer& out, uint16_t code, std::string_view text) {
  out.write_u16(code);
  out.write_u16(static_cast<uint16_t>(text.size()));
  out.write_bytes(std::as_bytes(std::span(text)));
  out.write_zeros(padding_of(text.size()));
}

template <std::unsigned_integral T>
void write_option(Writer& out, uint16_t code, T value) {
  out.write_u16(code);
  out.write_u16(sizeof value);
  out.write(value);
  out.write_zeros(padding_of(sizeof value));
}

void end_options(Writer& out) {
  out.write_u16(kEndOfOptions);
  out.write_u16(0);
}

void write_time(Writer& out, Duration time) {
  const auto count = static_cast<uint64_t>(time.count());
  out.write_u32(static_cast<uint32_t>(count >> 32));
  out.write_u32(static_cast<uint32_t>(count));
}

}  // namespace

void write_section(Writer& out) {
  Block block(out, kSectionHeader);
  out.write_u32(kByteOrderMagic);
  out.write_u16(1);  // version 1.0
  out.write_u16(0);
  out.write_u64(UINT64_MAX);  // the length of the section is not known
  write_option(out, kSectionProgram, "tideway");
  end_options(out);
  block.end();
}

void write_interface(Writer& out, const PcapngInterface& interface) {
  Block block(out, kInterfaceDescription);
  out.write_u16(kLinkTypeRaw);
  out.write_u16(0);
  out.write_u32(interface.snap_length);
  write_option(out, kInterfaceName, interface.name);
  write_option(out, kInterfaceTimeResolution, kNanoseconds);
  end_options(out);
  block.end();
}

void write_packet(Writer& out, const PcapngPacket& packet) {
  const size_t kept = packet.headers.size() + packet.payload.size();
  Block block(out, kEnhancedPacket);
  out.write_u32(packet.interface);
  write_time(out, packet.time);
  out.write_u32(static_cast<uint32_t>(kept));
  out.write_u32(static_cast<uint32_t>(packet.size));
  out.write_bytes(packet.headers);
  out.write_bytes(packet.payload);
  out.write_zeros(padding_of(kept));
  write_option(out, kComment, packet.direction == PacketDirection::kSent ? "tx" : "rx");
  write_option(out, kPacketFlags, static_cast<uint32_t>(packet.direction));
  end_options(out);
  block.end();
}

void write_statistics(Writer& out, const PcapngStatistics& statistics) {
  Block block(out, kInterfaceStatistics);
  out.write_u32(statistics.interface);
  write_time(out, statistics.time);
  write_option(out, kStatisticsReceived, statistics.seen);
  write_option(out, kStatisticsDropped, statistics.lost);
  end_options(out);
  block.end();
}

}  // namespace tideway::packet_io
