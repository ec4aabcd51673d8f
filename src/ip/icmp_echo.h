// SPDX-License-Identifier: Apache-2.0
//
// Answers to "ping" (RFC 792, RFC 4443): the same bytes back, so a reply is never longer than its request.
// Pure.
#pragma once
#include "ip/headers.h"

namespace tideway::ip {

// Whether an ICMP or ICMPv6 packet asks for an echo, by its type alone.
bool is_echo_request(const IpPacket& packet);

// Writes the IP packet that answers to the front of `room`; returns its size. Refused: a request that is short or has a
// wrong checksum (kIcmpMalformed), or whose answer is longer than `room` (kEchoTooLong). The answer has no IP options.
Parsed<size_t> write_echo_reply(const IpPacket& request, std::span<std::byte> room);

}  // namespace tideway::ip
