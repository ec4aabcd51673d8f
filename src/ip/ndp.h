// SPDX-License-Identifier: Apache-2.0
//
// IPv6 neighbour solicitation and advertisement (RFC 4861), as much as resolves addresses. Routers are configured
// (`next_hop`), so their advertisements and redirects are not read: one forged would move our traffic.
// Pure.
#pragma once
#include "ip/headers.h"

namespace tideway::ip {

enum class NdpType : uint8_t { kSolicitation = 135, kAdvertisement = 136 };

struct NdpMessage {
  NdpType type = NdpType::kSolicitation;
  IpAddress from{}, to{};            // of the packet; `from` is :: where somebody asks whether an address is free
  IpAddress target{};
  std::optional<MacAddress> mac{};   // the source's in a solicitation, the target's in an advertisement
  bool is_solicited = false;         // of an advertisement: it answers
  bool is_override = false;          // of an advertisement: replace what you know
  bool operator==(const NdpMessage&) const = default;
};

inline constexpr size_t kNdpSize = kIpv6Size + 24 + 8;  // with the one option we write

bool is_ndp(const IpPacket& packet);  // by its type; the rest may be wrong

// Checks all that RFC 4861, 7.1 asks for: hop limit 255 (no router passed it on), checksum, code, lengths, addresses.
std::optional<NdpMessage> parse_ndp(const IpPacket& packet);
// Writes the IPv6 packet, kNdpSize bytes at most, to the front of `room`, which is at least that long; returns its size.
size_t write_ndp(const NdpMessage& message, std::span<std::byte> room);

// Asks everybody in the target's solicited-node group.
NdpMessage ndp_solicitation(const MacAddress& mac, const IpAddress& from, const IpAddress& target);
// Answers; one from :: goes to all nodes, because the asker has no address yet.
NdpMessage ndp_advertisement(const NdpMessage& solicitation, const MacAddress& mac);
// Unsolicited, to all nodes: neighbours that hold an older entry correct it.
NdpMessage ndp_announcement(const MacAddress& mac, const IpAddress& address);

}  // namespace tideway::ip
