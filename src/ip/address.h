// SPDX-License-Identifier: Apache-2.0
//
// Addresses of a port that no kernel owns: MAC, IP, and an own IP address together with its network.
// Pure.
#pragma once
#include <tideway/packet_io.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tideway::ip {

struct MacAddress {
  std::array<std::byte, 6> bytes{};

  bool is_zero() const { return *this == MacAddress{}; }
  bool is_group() const { return (bytes[0] & std::byte{1}) != std::byte{0}; }  // multicast or broadcast
  bool is_host() const { return !is_zero() && !is_group(); }
  auto operator<=>(const MacAddress&) const = default;
};
inline constexpr MacAddress kBroadcastMac = {{std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF},
                                              std::byte{0xFF}, std::byte{0xFF}}};
std::string to_string(const MacAddress& mac);

// The address of an Endpoint: IPv4 is kept as IPv4-mapped IPv6, which never stands on the wire.
using IpAddress = std::array<std::byte, 16>;

inline constexpr IpAddress kAllNodes = [] {  // ff02::1
  IpAddress address{};
  address[0] = std::byte{0xFF};
  address[1] = std::byte{0x02};
  address[15] = std::byte{0x01};
  return address;
}();

IpAddress from_ipv4(std::span<const std::byte, 4> bytes);
bool is_ipv4(const IpAddress& address);
bool is_unspecified(const IpAddress& address);  // 0.0.0.0 or ::
bool is_link_local(const IpAddress& address);   // fe80::/10
// Whether one host can have it on a network: not unspecified, loopback, multicast, broadcast or of the reserved 240/4.
bool is_host_address(const IpAddress& address);
// The bytes that stand on the wire: 4 or 16.
inline std::span<const std::byte> wire_bytes(const IpAddress& address) {
  return is_ipv4(address) ? std::span(address).subspan(12) : std::span(address);
}
// "10.77.0.1" or "fd00::1", an address that a host can have. Errors: config_invalid.
Result<IpAddress> parse_address(std::string_view text);
std::string to_string(const IpAddress& address);

// ff02::1:ffXX:XXXX, where the neighbours of an IPv6 address ask for it (RFC 4291, 2.7.1).
IpAddress solicited_node(const IpAddress& address);
// 33:33 and the last four bytes of an IPv6 multicast address (RFC 2464, 7).
MacAddress multicast_mac(const IpAddress& group);

// An own address and the length of its network.
struct Prefix {
  IpAddress address{};
  uint8_t length = 0;  // 0 to 32 for IPv4, 0 to 128 for IPv6

  bool contains(const IpAddress& other) const;  // of the same family, and in this network
  bool operator==(const Prefix&) const = default;

  // "10.77.0.11/24" or "fd00::1/64". Errors: config_invalid, also for an address that no host of that network can have.
  static Result<Prefix> parse(std::string_view text);
};
std::string to_string(const Prefix& prefix);

}  // namespace tideway::ip
