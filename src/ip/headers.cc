// SPDX-License-Identifier: Apache-2.0
#include "ip/headers.h"

#include "base/cursor.h"

#include <algorithm>

namespace tideway::ip {
namespace {

constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kFragmentBits = 0x3FFF;  // "more fragments" and the offset

// A field at a fixed place of a header of fixed size: the compiler checks the bounds, and nothing is left to check for
// each packet.
template <typename T, size_t At, size_t Size>
T field(std::span<const std::byte, Size> header) {
  static_assert(Size != std::dynamic_extent && At + sizeof(T) <= Size);
  uint64_t value = 0;
#pragma GCC unroll 8
  for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<uint64_t>(header[At + i]);
  return static_cast<T>(value);
}

MacAddress mac_of(std::span<const std::byte, 6> bytes) {
  MacAddress mac;
  std::ranges::copy(bytes, mac.bytes.begin());
  return mac;
}

IpAddress from_ipv6(std::span<const std::byte, 16> bytes) {
  IpAddress address;
  std::ranges::copy(bytes, address.begin());
  return address;
}

bool is_extension_header(uint8_t next_header) {
  switch (next_header) {
    case 0:    // hop by hop
    case 43:   // routing
    case 50:   // ESP
    case 51:   // AH
    case 60:   // destination options
    case 135:  // mobility
    case 139:  // HIP
    case 140: return true;  // Shim6
    default: return false;
  }
}

constexpr uint8_t kFragmentHeader = 44;

}  // namespace

Parsed<EthernetFrame> parse_ethernet(std::span<std::byte> frame) {
  if (frame.size() < kEthernetSize) return Drop::kTruncated;
  const std::span<const std::byte, kEthernetSize> header = frame.first<kEthernetSize>();
  EthernetFrame parsed{.to = mac_of(header.first<6>()), .from = mac_of(header.subspan<6, 6>()), .vlan = {},
                       .type = field<uint16_t, 12>(header), .payload = frame.subspan(kEthernetSize)};
  if (parsed.type != static_cast<uint16_t>(EtherType::kVlan)) return parsed;
  if (parsed.payload.size() < kVlanTagSize) return Drop::kTruncated;
  const std::span<const std::byte, kVlanTagSize> tag = parsed.payload.first<kVlanTagSize>();
  parsed.vlan = static_cast<uint16_t>(field<uint16_t, 0>(tag) & 0x0FFF);
  parsed.type = field<uint16_t, 2>(tag);
  parsed.payload = parsed.payload.subspan(kVlanTagSize);
  return parsed;
}

Parsed<IpPacket> parse_ipv4(std::span<std::byte> bytes) {
  if (bytes.size() < kIpv4Size) return Drop::kTruncated;
  const std::span<const std::byte, kIpv4Size> header = bytes.first<kIpv4Size>();
  const size_t header_size = size_t{field<uint8_t, 0>(header) & 0x0FU} * 4;
  const size_t total_size = field<uint16_t, 2>(header);
  if (field<uint8_t, 0>(header) >> 4 != 4 || header_size < kIpv4Size || total_size < header_size)
    return Drop::kIpMalformed;
  if (total_size > bytes.size()) return Drop::kTruncated;
  if (Checksum().add(bytes.first(header_size)).value() != 0) return Drop::kIpChecksum;
  if ((field<uint16_t, 6>(header) & kFragmentBits) != 0) return Drop::kFragment;
  const IpPacket packet{.from = from_ipv4(header.subspan<12, 4>()),
                        .to = from_ipv4(header.subspan<16, 4>()),
                        .protocol = field<uint8_t, 9>(header),
                        .hop_limit = field<uint8_t, 8>(header),
                        .ecn = static_cast<Ecn>(field<uint8_t, 1>(header) & 3U),
                        .payload = bytes.subspan(header_size, total_size - header_size)};
  if (!is_host_address(packet.from)) return Drop::kBadSource;
  return packet;
}

Parsed<IpPacket> parse_ipv6(std::span<std::byte> bytes) {
  if (bytes.size() < kIpv6Size) return Drop::kTruncated;
  const std::span<const std::byte, kIpv6Size> header = bytes.first<kIpv6Size>();
  if (field<uint8_t, 0>(header) >> 4 != 6) return Drop::kIpMalformed;
  const size_t payload_size = field<uint16_t, 4>(header);
  if (payload_size > bytes.size() - kIpv6Size) return Drop::kTruncated;
  const IpPacket packet{.from = from_ipv6(header.subspan<8, 16>()),
                        .to = from_ipv6(header.subspan<24, 16>()),
                        .protocol = field<uint8_t, 6>(header),
                        .hop_limit = field<uint8_t, 7>(header),
                        .ecn = static_cast<Ecn>(field<uint16_t, 0>(header) >> 4 & 3U),
                        .payload = bytes.subspan(kIpv6Size, payload_size)};
  if (packet.protocol == kFragmentHeader) return Drop::kFragment;
  if (is_extension_header(packet.protocol)) return Drop::kExtensionHeader;
  // A mapped address on the wire would pass for the IPv4 address that our own form of it means.
  if (is_ipv4(packet.from)) return Drop::kBadSource;
  if (is_ipv4(packet.to)) return Drop::kForeignAddress;
  if (!is_host_address(packet.from) && !is_unspecified(packet.from)) return Drop::kBadSource;
  return packet;
}

Parsed<UdpPacket> parse_udp(const IpPacket& packet, UdpCheck check) {
  const auto bytes = packet.payload;
  if (bytes.size() < kUdpSize) return Drop::kUdpMalformed;
  const std::span<const std::byte, kUdpSize> header = bytes.first<kUdpSize>();
  const size_t size = field<uint16_t, 4>(header);
  if (size < kUdpSize || size > bytes.size()) return Drop::kUdpMalformed;
  UdpPacket udp{.port_from = field<uint16_t, 0>(header), .port_to = field<uint16_t, 2>(header), .sum = UdpSum::kGood,
                .payload = bytes.subspan(kUdpSize, size - kUdpSize)};
  if (udp.port_from == 0 || udp.port_to == 0) return Drop::kUdpMalformed;
  if (field<uint16_t, 6>(header) == 0) {
    udp.sum = is_ipv4(packet.from) ? UdpSum::kAbsent : UdpSum::kWrong;  // RFC 8200, 8.1
  } else if (check == UdpCheck::kVerify) {
    Checksum sum = checksum_of({packet.from, packet.to, packet.protocol, size});
    if (sum.add(bytes.first(size)).value() != 0) udp.sum = UdpSum::kWrong;
  }
  return udp;
}

size_t write_ethernet(const EthernetHeader& header, std::span<std::byte> room) {
  Writer out(room);
  out.write_bytes(header.to.bytes);
  out.write_bytes(header.from.bytes);
  if (header.vlan != 0) {
    out.write_u16(static_cast<uint16_t>(EtherType::kVlan));
    out.write_u16(header.vlan);
  }
  out.write_u16(static_cast<uint16_t>(header.type));
  return out.used();
}

size_t write_ip(const IpHeader& header, std::span<std::byte> room) {
  TIDEWAY_CHECK(is_ipv4(header.from) == is_ipv4(header.to));
  TIDEWAY_CHECK(header.payload_size + (is_ipv4(header.from) ? kIpv4Size : 0) <= UINT16_MAX);
  Writer out(room);
  if (!is_ipv4(header.from)) {
    out.write_u32(uint32_t{6} << 28 | uint32_t{header.traffic_class} << 20);
    out.write_u16(static_cast<uint16_t>(header.payload_size));
    out.write_u8(static_cast<uint8_t>(header.protocol));
    out.write_u8(header.hop_limit);
    out.write_bytes(header.from);
    out.write_bytes(header.to);
    return out.used();
  }
  out.write_u8(0x45);  // version, five words of header
  out.write_u8(header.traffic_class);
  out.write_u16(static_cast<uint16_t>(kIpv4Size + header.payload_size));
  out.write_u16(0);
  out.write_u16(kDontFragment);
  out.write_u8(header.hop_limit);
  out.write_u8(static_cast<uint8_t>(header.protocol));
  out.write_u16(0);
  out.write_bytes(wire_bytes(header.from));
  out.write_bytes(wire_bytes(header.to));
  const uint16_t checksum = Checksum().add(out.written()).value();
  Writer(room.subspan(10, 2)).write_u16(checksum);
  return out.used();
}

}  // namespace tideway::ip
