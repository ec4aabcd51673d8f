// SPDX-License-Identifier: Apache-2.0
//
// The internet checksum (RFC 1071), and what it covers for UDP and ICMPv6 besides the packet itself.
// Pure.
#pragma once
#include "ip/address.h"

namespace tideway::ip {

// A one's complement sum on its way. Parts of even length may be added in any order, one of odd length only last: it
// counts as if a zero byte followed. Sums eight bytes per step in the machine's byte order, which RFC 1071, 2(B) allows.
class Checksum {
 public:
  Checksum& add(std::span<const std::byte> bytes);
  Checksum& add_u16(uint16_t word);
  uint16_t sum() const;                                            // as a port that finishes it wants it in the field
  uint16_t value() const { return static_cast<uint16_t>(~sum()); }  // to be written; 0 over bytes that hold a right one

 private:
  uint64_t sum_ = 0;  // in the machine's byte order
};

struct PseudoHeader {
  const IpAddress& from;
  const IpAddress& to;  // of the same family
  uint8_t protocol;
  size_t size;  // of the UDP or ICMPv6 packet, up to 65,535
};
// The sum over a pseudo header of RFC 768 or RFC 8200, 8.1.
Checksum checksum_of(const PseudoHeader& pseudo);

}  // namespace tideway::ip
