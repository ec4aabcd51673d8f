// SPDX-License-Identifier: Apache-2.0
//
// The headers in front of each packet of one path, computed once: a write copies them and patches lengths, ECN and
// checksums. DF is set, the hop limit is 64, the identification is zero (RFC 6864: nothing is ever fragmented).
// Pure.
#pragma once
#include "ip/headers.h"

namespace tideway::ip {

// The checksum over payload and addresses. Required on IPv6.
enum class UdpChecksum : uint8_t {
  kSoftware,
  kOffload,  // the field holds the sum over the pseudo header, and the port finishes it
  kZero,     // none on IPv4, for virtual devices; on IPv6 as kSoftware
};
// The checksum of the IPv4 header, which is valid on the wire in any case, because clouds drop others.
enum class Ipv4Checksum : uint8_t {
  kSoftware,
  kOffload,  // the field is zero, and the port fills it
};

struct PathHeaders {
  MacAddress mac_from{}, mac_to{};
  Endpoint from, to;  // of the same family, ports set
  uint16_t vlan = 0;  // 0: no tag
  Dscp dscp = Dscp::kLowerEffort;
  UdpChecksum udp_checksum = UdpChecksum::kSoftware;
  Ipv4Checksum ipv4_checksum = Ipv4Checksum::kSoftware;
};

class HeaderTemplate {
 public:
  static constexpr size_t kSizeMax = kEthernetSize + kVlanTagSize + kIpv6Size + kUdpSize;  // 66

  explicit HeaderTemplate(const PathHeaders& path);

  // Writes the headers in front of a payload that lies already at room[size(), size() + payload_size). `payload_size`
  // is at most 65,507 on IPv4 and 65,527 on IPv6; `room` may be longer than both.
  void write(std::span<std::byte> room, size_t payload_size, Ecn ecn) const;

  size_t size() const { return ethernet_size_ + ip_size_ + kUdpSize; }
  size_t ethernet_size() const { return ethernet_size_; }  // what a port's offload calls the lengths of layers 2 and 3
  size_t ip_size() const { return ip_size_; }
  bool is_ipv4() const { return ip_size_ == kIpv4Size; }

 private:
  void patch_ipv4(std::span<std::byte> ip, size_t udp_size, Ecn ecn) const;
  void patch_ipv6(std::span<std::byte> ip, size_t udp_size, Ecn ecn) const;

  std::array<std::byte, kSizeMax> bytes_{};
  size_t ethernet_size_, ip_size_;
  uint8_t traffic_class_;   // without ECN
  Checksum ipv4_sum_;       // over the header with lengths, class and checksum of zero
  Checksum pseudo_sum_;     // over the pseudo header without the length
  UdpChecksum udp_checksum_;
  Ipv4Checksum ipv4_checksum_;
};

}  // namespace tideway::ip
