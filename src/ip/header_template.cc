// SPDX-License-Identifier: Apache-2.0
#include "ip/header_template.h"

#include "base/cursor.h"

#include <cstring>

namespace tideway::ip {
namespace {

void put_u16(std::span<std::byte> bytes, size_t at, uint16_t value) {
  TIDEWAY_DCHECK(at + 2 <= bytes.size());
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}

}  // namespace

HeaderTemplate::HeaderTemplate(const PathHeaders& path)
    : traffic_class_(static_cast<uint8_t>(static_cast<unsigned>(path.dscp) << 2)),
      udp_checksum_(path.udp_checksum),
      ipv4_checksum_(path.ipv4_checksum) {
  TIDEWAY_CHECK(path.from.is_set() && path.to.is_set() && path.vlan <= kVlanMax);
  const bool is_ipv4 = path.from.is_ipv4();
  ethernet_size_ = write_ethernet({.to = path.mac_to, .from = path.mac_from, .vlan = path.vlan,
                                   .type = is_ipv4 ? EtherType::kIpv4 : EtherType::kIpv6}, bytes_);
  const auto ip = std::span(bytes_).subspan(ethernet_size_);
  ip_size_ = write_ip({.from = path.from.address, .to = path.to.address, .protocol = Protocol::kUdp}, ip);
  if (is_ipv4) {
    put_u16(ip, 2, 0);
    put_u16(ip, 10, 0);
    ipv4_sum_.add(ip.first(kIpv4Size));
  } else if (udp_checksum_ == UdpChecksum::kZero) {
    udp_checksum_ = UdpChecksum::kSoftware;
  }
  Writer udp(ip.subspan(ip_size_));
  udp.write_u16(path.from.port);
  udp.write_u16(path.to.port);
  pseudo_sum_ = checksum_of({path.from.address, path.to.address, static_cast<uint8_t>(Protocol::kUdp), 0});
}

void HeaderTemplate::write(std::span<std::byte> room, size_t payload_size, Ecn ecn) const {
  const size_t udp_size = kUdpSize + payload_size;
  TIDEWAY_CHECK(room.size() >= size() + payload_size && udp_size + (is_ipv4() ? kIpv4Size : 0) <= UINT16_MAX);
  std::memcpy(room.data(), bytes_.data(), size());
  const auto ip = room.subspan(ethernet_size_);
  if (is_ipv4()) patch_ipv4(ip, udp_size, ecn); else patch_ipv6(ip, udp_size, ecn);

  const auto udp = ip.subspan(ip_size_, udp_size);
  put_u16(udp, 4, static_cast<uint16_t>(udp_size));
  if (udp_checksum_ == UdpChecksum::kZero) return;
  Checksum sum = pseudo_sum_;
  sum.add_u16(static_cast<uint16_t>(udp_size));
  if (udp_checksum_ == UdpChecksum::kOffload) return put_u16(udp, 6, sum.sum());
  const uint16_t checksum = sum.add(udp).value();
  put_u16(udp, 6, checksum == 0 ? 0xFFFF : checksum);  // zero would say that there is none (RFC 768)
}

void HeaderTemplate::patch_ipv4(std::span<std::byte> ip, size_t udp_size, Ecn ecn) const {
  const auto traffic_class = static_cast<uint8_t>(traffic_class_ | static_cast<uint8_t>(ecn));
  const auto total_size = static_cast<uint16_t>(kIpv4Size + udp_size);
  ip[1] = std::byte{traffic_class};
  put_u16(ip, 2, total_size);
  if (ipv4_checksum_ == Ipv4Checksum::kOffload) return;
  Checksum sum = ipv4_sum_;
  put_u16(ip, 10, sum.add_u16(traffic_class).add_u16(total_size).value());
}

void HeaderTemplate::patch_ipv6(std::span<std::byte> ip, size_t udp_size, Ecn ecn) const {
  const auto traffic_class = static_cast<uint16_t>(traffic_class_ | static_cast<uint8_t>(ecn));
  put_u16(ip, 0, static_cast<uint16_t>(0x6000 | traffic_class << 4));
  put_u16(ip, 4, static_cast<uint16_t>(udp_size));
}

}  // namespace tideway::ip
