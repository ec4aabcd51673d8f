// SPDX-License-Identifier: Apache-2.0
//
// ARP for Ethernet and IPv4 (RFC 826), and the announcement of RFC 5227.
// Pure.
#pragma once
#include "ip/address.h"

#include <optional>

namespace tideway::ip {

inline constexpr size_t kArpSize = 28;

enum class ArpOperation : uint16_t { kRequest = 1, kReply = 2 };

struct ArpMessage {
  ArpOperation operation = ArpOperation::kRequest;
  MacAddress mac_from{};
  IpAddress from{};  // 0.0.0.0 where somebody asks whether an address is free (RFC 5227)
  MacAddress mac_to{};  // zeros in a request
  IpAddress to{};
  bool operator==(const ArpMessage&) const = default;
};

// The message behind an Ethernet header; padding is ignored. Nothing when it is short, of other hardware or protocol, of
// another operation, or its sender is no host.
std::optional<ArpMessage> parse_arp(std::span<const std::byte> bytes);
// Writes kArpSize bytes to the front of `room`, which is at least that long; returns that size.
size_t write_arp(const ArpMessage& message, std::span<std::byte> room);

ArpMessage arp_request(const MacAddress& mac, const IpAddress& from, const IpAddress& to);
ArpMessage arp_reply(const ArpMessage& request, const MacAddress& mac);  // `mac` has what was asked for
// A request for the own address: neighbours that hold an older entry correct it. A request rather than a reply, because
// some stacks take only that form (RFC 5227, 3).
ArpMessage arp_announcement(const MacAddress& mac, const IpAddress& address);

}  // namespace tideway::ip
