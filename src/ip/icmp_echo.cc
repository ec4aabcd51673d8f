// SPDX-License-Identifier: Apache-2.0
#include "ip/icmp_echo.h"

#include "base/cursor.h"

namespace tideway::ip {
namespace {

constexpr size_t kHeaderSize = 8;  // type, code, checksum, identifier, sequence number

struct EchoTypes {
  Protocol protocol;
  uint8_t request, reply;
};
EchoTypes types_for(const IpAddress& address) {
  return is_ipv4(address) ? EchoTypes{Protocol::kIcmp, 8, 0} : EchoTypes{Protocol::kIcmpv6, 128, 129};
}

// ICMPv6 covers a pseudo header, ICMP does not.
Checksum checksum_start(const IpAddress& from, const IpAddress& to, size_t size) {
  if (is_ipv4(from)) return {};
  return checksum_of({from, to, static_cast<uint8_t>(Protocol::kIcmpv6), size});
}

}  // namespace

bool is_echo_request(const IpPacket& packet) {
  return !packet.payload.empty() && packet.payload[0] == std::byte{types_for(packet.from).request};
}

Parsed<size_t> write_echo_reply(const IpPacket& request, std::span<std::byte> room) {
  const auto message = request.payload;
  if (message.size() < kHeaderSize || !is_echo_request(request) || message[1] != std::byte{0})
    return Drop::kIcmpMalformed;
  if (checksum_start(request.from, request.to, message.size()).add(message).value() != 0) return Drop::kIcmpMalformed;

  const EchoTypes types = types_for(request.from);
  const IpHeader header{.from = request.to, .to = request.from, .protocol = types.protocol,
                        .payload_size = message.size()};
  if (header.size() + message.size() > room.size()) return Drop::kEchoTooLong;
  const size_t ip_size = write_ip(header, room);
  const auto body = room.subspan(ip_size, message.size());
  Writer out(body);
  out.write_u8(types.reply);
  out.write_u8(0);
  out.write_u16(0);
  out.write_bytes(message.subspan(4));
  const uint16_t checksum = checksum_start(header.from, header.to, message.size()).add(body).value();
  Writer(body.subspan(2, 2)).write_u16(checksum);
  return ip_size + message.size();
}

}  // namespace tideway::ip
