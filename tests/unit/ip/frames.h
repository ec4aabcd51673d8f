// SPDX-License-Identifier: Apache-2.0
//
// Whole frames between the port under test (10.77.0.11/24, fd00::11/64 at 02:00:00:00:00:11) and its peer
// (10.77.0.22, fd00::22 at 02:00:00:00:00:aa). They and their checksums were computed by another program, in Python.
#pragma once
#include "ip/address.h"
#include "support/vectors.h"

#include <tideway/time.h>

namespace tideway::ip::frames {

using test::from_hex;
using test::Octets;
using test::to_hex;

inline MacAddress mac(const std::string& hex) {
  MacAddress mac;
  std::ranges::copy(from_hex(hex), mac.bytes.begin());
  return mac;
}
inline const MacAddress kOurMac = mac("020000000011"), kPeerMac = mac("0200000000aa"), kOtherMac = mac("0200000000bb");
inline IpAddress ip(std::string_view text) { return parse_address(text).value(); }
inline const IpAddress kOurs4 = ip("10.77.0.11"), kPeer4 = ip("10.77.0.22"), kOurs6 = ip("fd00::11"), kPeer6 = ip("fd00::22");
inline Octets text_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}
inline std::string hex_of(const Octets& frame, size_t at, size_t size) {
  return to_hex(std::span(frame).subspan(at, size));
}
inline Octets with(Octets frame, size_t at, int value) {
  frame[at] = static_cast<std::byte>(value);
  return frame;
}
constexpr Time at(Duration time) { return Time(std::chrono::seconds(100) + time); }
inline void put_u16(Octets& frame, size_t at, uint16_t value) {
  frame[at] = static_cast<std::byte>(value >> 8);
  frame[at + 1] = static_cast<std::byte>(value);
}

// Who has 10.77.0.11.
inline const Octets kArpRequest = from_hex(
    "ffffffffffff0200000000aa080600010800060400010200000000aa0a4d00160000000000000a4d000b");
// 10.77.0.22 is at kPeerMac.
inline const Octets kArpReply = from_hex(
    "0200000000110200000000aa080600010800060400020200000000aa0a4d00160200000000110a4d000b");
// "tideway", port 7401 to 7402, LE and ECT(0).
inline const Octets kUdp4 = from_hex(
    "0200000000110200000000aa080045060023000040004011260a0a4d00160a4d000b1ce91cea000fe81174696465776179");
// Without UDP checksum.
inline const Octets kUdp4Zero = from_hex(
    "0200000000110200000000aa08004500002300004000401126100a4d00160a4d000b1ce91cea000f000074696465776179");
// Two no-operations and an end.
inline const Octets kUdp4Options = from_hex(
    "0200000000110200000000aa080046000027000040004011230b0a4d00160a4d000b010101001ce91cea000fe81174696465"
    "776179");
// Tag 7.
inline const Octets kUdp4Vlan = from_hex(
    "0200000000110200000000aa8100000708004500002300004000401126100a4d00160a4d000b1ce91cea000fe81174696465"
    "776179");
// The first of several.
inline const Octets kUdp4Fragment = from_hex(
    "0200000000110200000000aa08004500002300002000401146100a4d00160a4d000b1ce91cea000fe81174696465776179");
// LE and CE.
inline const Octets kUdp6 = from_hex(
    "0200000000110200000000aa86dd60700000000f1140fd000000000000000000000000000022fd0000000000000000000000"
    "000000111ce91cea000f029874696465776179");
// Who has fd00::11.
inline const Octets kNs = from_hex(
    "3333ff0000110200000000aa86dd6000000000203afffd000000000000000000000000000022ff0200000000000000000001"
    "ff00001187007caf00000000fd00000000000000000000000000001101010200000000aa");
// May somebody take fd00::11.
inline const Octets kNsDad = from_hex(
    "3333ff0000110200000000aa86dd6000000000183aff00000000000000000000000000000000ff0200000000000000000001"
    "ff00001187007d8500000000fd000000000000000000000000000011");
// Fd00::22 is at kPeerMac, solicited, override.
inline const Octets kNa = from_hex(
    "0200000000110200000000aa86dd6000000000203afffd000000000000000000000000000022fd0000000000000000000000"
    "0000001188001ba260000000fd00000000000000000000000000002202010200000000aa");
// "ping me", with a DF bit of zero.
inline const Octets kEcho4 = from_hex(
    "0200000000110200000000aa08004500002300550000400165cb0a4d00160a4d000b0800818c1234000170696e67206d65");
inline const Octets kEcho4Reply = from_hex(
    "0200000000aa02000000001108004500002300004000400126200a4d000b0a4d00160000898c1234000170696e67206d65");
inline const Octets kEcho6 = from_hex(
    "0200000000110200000000aa86dd60000000000f3a40fd000000000000000000000000000022fd0000000000000000000000"
    "0000001180000f0e1234000170696e67206d65");
inline const Octets kEcho6Reply = from_hex(
    "0200000000aa02000000001186dd60000000000f3a40fd000000000000000000000000000011fd0000000000000000000000"
    "0000002281000e0e1234000170696e67206d65");
// Port 7402 to 7401, LE and ECT(0).
inline const Octets kUdp4Out = from_hex(
    "0200000000aa020000000011080045060023000040004011260a0a4d000b0a4d00161cea1ce9000fe81174696465776179");
// The same, tag 7.
inline const Octets kUdp6Out = from_hex(
    "0200000000aa0200000000118100000786dd60600000000f1140fd000000000000000000000000000011fd00000000000000"
    "00000000000000221cea1ce9000f029874696465776179");
// What we ask for fd00::22.
inline const Octets kNsAsk = from_hex(
    "3333ff00002202000000001186dd6000000000203afffd000000000000000000000000000011ff0200000000000000000001"
    "ff00002287007d3700000000fd0000000000000000000000000000220101020000000011");
// Fd00::11 is here.
inline const Octets kNaAnnounce = from_hex(
    "33330000000102000000001186dd6000000000203afffd000000000000000000000000000011ff0200000000000000000000"
    "0000000188005a6b20000000fd0000000000000000000000000000110201020000000011");

}  // namespace tideway::ip::frames
