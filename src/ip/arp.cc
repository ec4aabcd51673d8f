// SPDX-License-Identifier: Apache-2.0
#include "ip/arp.h"

#include "base/cursor.h"

#include <algorithm>

namespace tideway::ip {
namespace {

constexpr uint16_t kEthernetHardware = 1;
constexpr uint16_t kIpv4Protocol = 0x0800;
constexpr uint16_t kSizes = 0x0604;  // of a hardware and of a protocol address

void read_pair(Reader& in, MacAddress& mac, IpAddress& address) {
  std::ranges::copy(*in.read_bytes(6), mac.bytes.begin());
  address = from_ipv4(in.read_bytes(4)->first<4>());
}

}  // namespace

std::optional<ArpMessage> parse_arp(std::span<const std::byte> bytes) {
  if (bytes.size() < kArpSize) return std::nullopt;
  Reader in(bytes.first(kArpSize));
  if (in.read_u16() != kEthernetHardware || in.read_u16() != kIpv4Protocol || in.read_u16() != kSizes)
    return std::nullopt;
  const uint16_t operation = in.read_u16().value_or(0);
  if (operation != static_cast<uint16_t>(ArpOperation::kRequest) &&
      operation != static_cast<uint16_t>(ArpOperation::kReply))
    return std::nullopt;
  ArpMessage message{.operation = static_cast<ArpOperation>(operation)};
  read_pair(in, message.mac_from, message.from);
  read_pair(in, message.mac_to, message.to);
  const bool is_probe = message.operation == ArpOperation::kRequest && is_unspecified(message.from);
  if (!message.mac_from.is_host() || !(is_host_address(message.from) || is_probe)) return std::nullopt;
  return message;
}

size_t write_arp(const ArpMessage& message, std::span<std::byte> room) {
  Writer out(room);
  out.write_u16(kEthernetHardware);
  out.write_u16(kIpv4Protocol);
  out.write_u16(kSizes);
  out.write_u16(static_cast<uint16_t>(message.operation));
  out.write_bytes(message.mac_from.bytes);
  out.write_bytes(wire_bytes(message.from));
  out.write_bytes(message.mac_to.bytes);
  out.write_bytes(wire_bytes(message.to));
  return out.used();
}

ArpMessage arp_request(const MacAddress& mac, const IpAddress& from, const IpAddress& to) {
  return {.operation = ArpOperation::kRequest, .mac_from = mac, .from = from, .mac_to = {}, .to = to};
}

ArpMessage arp_reply(const ArpMessage& request, const MacAddress& mac) {
  return {.operation = ArpOperation::kReply, .mac_from = mac, .from = request.to, .mac_to = request.mac_from,
          .to = request.from};
}

ArpMessage arp_announcement(const MacAddress& mac, const IpAddress& address) {
  return arp_request(mac, address, address);
}

}  // namespace tideway::ip
