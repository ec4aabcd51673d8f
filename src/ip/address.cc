// SPDX-License-Identifier: Apache-2.0
#include "ip/address.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace tideway::ip {
namespace {

constexpr size_t kIpv4At = 12;  // where the four bytes stand in the mapped form

bool first_bits_agree(std::span<const std::byte> a, std::span<const std::byte> b, size_t bits) {
  const size_t whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<std::byte>(0xFF00U >> (bits % 8));
  return (a[whole] & mask) == (b[whole] & mask);
}

// The all-zeros and all-ones addresses of an IPv4 network mean the network and everybody in it; a network of two or one
// has neither (RFC 3021).
bool is_network_or_broadcast(const Prefix& prefix) {
  if (!is_ipv4(prefix.address) || prefix.length > 30) return false;
  uint32_t value = 0;
  for (const std::byte byte : wire_bytes(prefix.address)) value = value << 8 | static_cast<uint32_t>(byte);
  const uint32_t host_bits = UINT32_MAX >> prefix.length;
  return (value & host_bits) == 0 || (value & host_bits) == host_bits;
}

// A mapped IPv4 address written as IPv6 is refused: it would leave open which kind of length a prefix has.
std::optional<IpAddress> read_address(std::string_view text) {
  const bool is_ipv6_text = text.find(':') != text.npos;
  const auto endpoint = Endpoint::parse(is_ipv6_text ? '[' + std::string(text) + "]:0" : std::string(text) + ":0");
  if (!endpoint.ok() || is_ipv6_text == endpoint.value().is_ipv4()) return std::nullopt;
  return endpoint.value().address;
}

Error bad_prefix(std::string_view text, std::string_view why) {
  return {Fault::kConfigInvalid, "\"" + std::string(text.substr(0, 128)) + "\" " + std::string(why),
          "write 10.77.0.11/24 or fd00::1/64: the port's own address, and the length of its network"};
}

}  // namespace

std::string to_string(const MacAddress& mac) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : mac.bytes) {
    if (!text.empty()) text += ':';
    text += kDigits[static_cast<size_t>(byte) >> 4];
    text += kDigits[static_cast<size_t>(byte) & 15];
  }
  return text;
}

IpAddress from_ipv4(std::span<const std::byte, 4> bytes) {
  IpAddress address{};
  address[10] = address[11] = std::byte{0xFF};
  std::ranges::copy(bytes, address.begin() + kIpv4At);
  return address;
}

bool is_ipv4(const IpAddress& address) { return Endpoint{address, 0}.is_ipv4(); }

bool is_unspecified(const IpAddress& address) {
  return std::ranges::all_of(wire_bytes(address), [](std::byte byte) { return byte == std::byte{0}; });
}

bool is_link_local(const IpAddress& address) {
  return address[0] == std::byte{0xFE} && (address[1] & std::byte{0xC0}) == std::byte{0x80};
}

bool is_host_address(const IpAddress& address) {
  if (is_unspecified(address)) return false;
  if (is_ipv4(address)) {
    const auto first = static_cast<uint8_t>(address[kIpv4At]);
    return first != 0 && first != 127 && first < 224;
  }
  IpAddress loopback{};
  loopback[15] = std::byte{1};
  return address[0] != std::byte{0xFF} && address != loopback;
}

Result<IpAddress> parse_address(std::string_view text) {
  const auto address = read_address(text);
  if (address && is_host_address(*address)) return *address;
  return Error{Fault::kConfigInvalid, '"' + std::string(text.substr(0, 128)) + "\" is not the IP address of a host",
               "write 10.77.0.1 or fd00::1"};
}

std::string to_string(const IpAddress& address) {
  std::string text = to_string(Endpoint{address, 0});  // 10.0.0.1:0 or [fd00::1]:0
  text.resize(text.size() - 2);
  return is_ipv4(address) ? text : text.substr(1, text.size() - 2);
}

IpAddress solicited_node(const IpAddress& address) {
  IpAddress group{};
  group[0] = group[12] = std::byte{0xFF};
  group[1] = std::byte{0x02};
  group[11] = std::byte{0x01};
  std::ranges::copy(std::span(address).last<3>(), group.begin() + 13);
  return group;
}

MacAddress multicast_mac(const IpAddress& group) {
  MacAddress mac;
  mac.bytes[0] = mac.bytes[1] = std::byte{0x33};
  std::ranges::copy(std::span(group).last<4>(), mac.bytes.begin() + 2);
  return mac;
}

bool Prefix::contains(const IpAddress& other) const {
  return is_ipv4(address) == is_ipv4(other) && first_bits_agree(wire_bytes(address), wire_bytes(other), length);
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == text.npos) return bad_prefix(text, "is not an address with the length of its network");
  const auto address = read_address(text.substr(0, slash));
  if (!address) return bad_prefix(text, "holds no IP address");
  Prefix prefix{.address = *address};
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix.length);
  const int length_max = is_ipv4(*address) ? 32 : 128;
  if (failure != std::errc() || end != digits.data() + digits.size() || prefix.length > length_max)
    return bad_prefix(text, "needs a length from 0 to " + std::to_string(length_max));
  if (!is_host_address(prefix.address) || is_network_or_broadcast(prefix))
    return bad_prefix(text, "is not an address that one host can have");
  return prefix;
}

std::string to_string(const Prefix& prefix) {
  return to_string(prefix.address) + '/' + std::to_string(prefix.length);
}

}  // namespace tideway::ip
