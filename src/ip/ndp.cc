// SPDX-License-Identifier: Apache-2.0
#include "ip/ndp.h"

#include "base/cursor.h"

#include <algorithm>

namespace tideway::ip {
namespace {

constexpr uint8_t kNdpHopLimit = 255;
constexpr size_t kBodySize = 24;  // type, code, checksum, flags, target
constexpr size_t kOptionUnit = 8;
constexpr uint8_t kSourceMac = 1, kTargetMac = 2;  // options
constexpr uint32_t kSolicitedFlag = 1U << 30, kOverrideFlag = 1U << 29;
constexpr size_t kChecksumAt = 2;

bool is_multicast(const IpAddress& address) { return address[0] == std::byte{0xFF}; }

uint8_t option_of(NdpType type) { return type == NdpType::kSolicitation ? kSourceMac : kTargetMac; }

// The link-layer address among the options. False: an option of no length, or one that runs over the end.
bool read_options(Reader& in, NdpMessage& message) {
  while (!in.is_empty()) {
    const auto type = in.read_u8(), units = in.read_u8();
    if (!type || !units || *units == 0) return false;
    const auto body = in.read_bytes(*units * kOptionUnit - 2);
    if (!body) return false;
    if (*type != option_of(message.type) || *units != 1) continue;
    MacAddress mac;
    std::ranges::copy(*body, mac.bytes.begin());
    if (!mac.is_host()) return false;
    message.mac = mac;
  }
  return true;
}

bool addresses_are_sound(const NdpMessage& message) {
  if (is_multicast(message.target) || !is_host_address(message.target) || is_ipv4(message.target)) return false;
  if (message.type == NdpType::kAdvertisement)
    return !is_unspecified(message.from) && !(is_multicast(message.to) && message.is_solicited);
  if (!is_unspecified(message.from)) return true;
  return message.to == solicited_node(message.target) && !message.mac;
}

}  // namespace

bool is_ndp(const IpPacket& packet) {
  if (packet.payload.empty()) return false;
  const auto type = static_cast<NdpType>(packet.payload[0]);
  return type == NdpType::kSolicitation || type == NdpType::kAdvertisement;
}

std::optional<NdpMessage> parse_ndp(const IpPacket& packet) {
  const auto bytes = packet.payload;
  if (packet.hop_limit != kNdpHopLimit || bytes.size() < kBodySize || !is_ndp(packet)) return std::nullopt;
  Checksum sum = checksum_of({packet.from, packet.to, packet.protocol, bytes.size()});
  if (sum.add(bytes).value() != 0) return std::nullopt;
  Reader in(bytes);
  NdpMessage message{.type = static_cast<NdpType>(in.read_u8().value_or(0)), .from = packet.from, .to = packet.to};
  if (in.read_u8() != 0) return std::nullopt;  // the code
  static_cast<void>(in.read_u16());            // the checksum
  const uint32_t flags = in.read_u32().value_or(0);
  if (message.type == NdpType::kAdvertisement) {
    message.is_solicited = (flags & kSolicitedFlag) != 0;
    message.is_override = (flags & kOverrideFlag) != 0;
  }
  std::ranges::copy(*in.read_bytes(16), message.target.begin());
  if (!read_options(in, message) || !addresses_are_sound(message)) return std::nullopt;
  return message;
}

size_t write_ndp(const NdpMessage& message, std::span<std::byte> room) {
  const size_t body_size = kBodySize + (message.mac ? kOptionUnit : 0);
  const size_t ip_size = write_ip({.from = message.from, .to = message.to, .protocol = Protocol::kIcmpv6,
                                   .hop_limit = kNdpHopLimit, .payload_size = body_size}, room);
  const auto body = room.subspan(ip_size, body_size);
  Writer out(body);
  out.write_u8(static_cast<uint8_t>(message.type));
  out.write_u8(0);
  out.write_u16(0);
  out.write_u32((message.is_solicited ? kSolicitedFlag : 0) | (message.is_override ? kOverrideFlag : 0));
  out.write_bytes(message.target);
  if (message.mac) {
    out.write_u8(option_of(message.type));
    out.write_u8(1);
    out.write_bytes(message.mac->bytes);
  }
  Checksum sum = checksum_of({message.from, message.to, static_cast<uint8_t>(Protocol::kIcmpv6), body_size});
  Writer(body.subspan(kChecksumAt, 2)).write_u16(sum.add(body).value());
  return ip_size + body_size;
}

NdpMessage ndp_solicitation(const MacAddress& mac, const IpAddress& from, const IpAddress& target) {
  return {.type = NdpType::kSolicitation, .from = from, .to = solicited_node(target), .target = target, .mac = mac};
}

NdpMessage ndp_advertisement(const NdpMessage& solicitation, const MacAddress& mac) {
  const bool has_asker = !is_unspecified(solicitation.from);
  return {.type = NdpType::kAdvertisement, .from = solicitation.target,
          .to = has_asker ? solicitation.from : kAllNodes, .target = solicitation.target, .mac = mac,
          .is_solicited = has_asker, .is_override = true};
}

NdpMessage ndp_announcement(const MacAddress& mac, const IpAddress& address) {
  return {.type = NdpType::kAdvertisement, .from = address, .to = kAllNodes, .target = address, .mac = mac,
          .is_solicited = false, .is_override = true};
}

}  // namespace tideway::ip
