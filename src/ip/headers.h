// SPDX-License-Identifier: Apache-2.0
//
// Ethernet (with at most one 802.1Q tag), IPv4, IPv6 and UDP headers: reading those of a foreign frame, and writing
// those of the few frames a port sends on its own account. Data goes out through ip/header_template.h.
//
// Fragments and IPv6 extension headers are refused: no peer of ours sends them (DF is on every packet), and a
// reassembly buffer is a place to be filled by strangers. IPv4 options are skipped.
// Pure.
#pragma once
#include "ip/checksum.h"
#include "ip/drop.h"

#include <optional>

namespace tideway::ip {

inline constexpr size_t kEthernetSize = 14;
inline constexpr size_t kVlanTagSize = 4;
inline constexpr size_t kIpv4Size = 20;  // without options
inline constexpr size_t kIpv6Size = 40;
inline constexpr size_t kUdpSize = 8;
inline constexpr uint16_t kVlanMax = 4094;
inline constexpr uint8_t kHopLimit = 64;  // RFC 1700; enough for any path, and what hosts use

enum class EtherType : uint16_t { kIpv4 = 0x0800, kArp = 0x0806, kVlan = 0x8100, kIpv6 = 0x86DD };
enum class Protocol : uint8_t { kIcmp = 1, kUdp = 17, kIcmpv6 = 58 };

// ---- reading ----

struct EthernetFrame {
  MacAddress to{}, from{};
  std::optional<uint16_t> vlan{};  // of the tag, 0 to 4095; 0 is a priority without a network
  uint16_t type = 0;             // an EtherType, or one we do not know
  std::span<std::byte> payload{};  // padding of short frames included
};
Parsed<EthernetFrame> parse_ethernet(std::span<std::byte> frame);

struct IpPacket {
  IpAddress from{}, to{};
  uint8_t protocol = 0;
  uint8_t hop_limit = 0;
  Ecn ecn = Ecn::kNotEct;
  std::span<std::byte> payload{};  // behind the IP header, without padding
};
// The source is one that a host can have, or unspecified on IPv6 (RFC 4862 asks so); the destination is anything.
Parsed<IpPacket> parse_ipv4(std::span<std::byte> bytes);
Parsed<IpPacket> parse_ipv6(std::span<std::byte> bytes);

// Whether received UDP checksums are summed. A wrong one is only counted, because the tag of the packet decides, so kSkip
// loses nothing but the count; it saves a pass over each payload.
enum class UdpCheck : uint8_t { kVerify, kSkip };
enum class UdpSum : uint8_t { kGood, kAbsent, kWrong };  // absent: zero, as IPv4 allows; kSkip says kGood for others

struct UdpPacket {
  uint16_t port_from = 0, port_to = 0;  // never 0
  UdpSum sum = UdpSum::kGood;
  std::span<std::byte> payload{};  // may be empty
};
Parsed<UdpPacket> parse_udp(const IpPacket& packet, UdpCheck check);

// ---- writing ----

struct EthernetHeader {
  MacAddress to{}, from{};
  uint16_t vlan = 0;  // 0: no tag
  EtherType type = EtherType::kIpv4;
  size_t size() const { return kEthernetSize + (vlan != 0 ? kVlanTagSize : 0); }
};
// Writes header.size() bytes to the front of `room`, which is at least that long; returns that size. The same below.
size_t write_ethernet(const EthernetHeader& header, std::span<std::byte> room);

struct IpHeader {
  IpAddress from{}, to{};  // of the same family
  Protocol protocol = Protocol::kUdp;
  uint8_t traffic_class = 0;  // DSCP and ECN
  uint8_t hop_limit = kHopLimit;
  size_t payload_size = 0;  // behind this header, up to 65,515 on IPv4 and 65,535 on IPv6
  size_t size() const { return is_ipv4(from) ? kIpv4Size : kIpv6Size; }
};
// DF is set, the identification is zero as RFC 6864 allows where nothing is ever fragmented.
size_t write_ip(const IpHeader& header, std::span<std::byte> room);

}  // namespace tideway::ip
