// SPDX-License-Identifier: Apache-2.0
#include "ip/headers.h"

#include "frames.h"

#include <gtest/gtest.h>

namespace tideway::ip {
namespace {

using namespace frames;

constexpr size_t kIpAt = 14;

std::span<std::byte> ip_of(Octets& frame) { return std::span(frame).subspan(kIpAt); }

// A changed IPv4 header with its checksum made right again.
void repair(Octets& frame) {
  const size_t size = std::min((static_cast<size_t>(frame[kIpAt]) & 15) * 4, frame.size() - kIpAt);
  put_u16(frame, kIpAt + 10, 0);
  put_u16(frame, kIpAt + 10, Checksum().add(std::span(frame).subspan(kIpAt, size)).value());
}

Drop why_ipv4(Octets frame) {
  repair(frame);
  const auto parsed = parse_ipv4(ip_of(frame));
  EXPECT_FALSE(parsed);
  return parsed.why();
}

Drop why_ipv6(Octets frame) {
  const auto parsed = parse_ipv6(ip_of(frame));
  EXPECT_FALSE(parsed);
  return parsed.why();
}

TEST(Ethernet, ReadsFramesWithAndWithoutTag) {
  Octets plain = kUdp4, tagged = kUdp4Vlan;
  const auto a = parse_ethernet(plain), b = parse_ethernet(tagged);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->to, kOurMac);
  EXPECT_EQ(a->from, kPeerMac);
  EXPECT_FALSE(a->vlan);
  EXPECT_EQ(b->vlan, 7);
  EXPECT_EQ(b->type, static_cast<uint16_t>(EtherType::kIpv4));
  EXPECT_EQ(b->payload.size(), a->payload.size());
}

TEST(Ethernet, TakesOneTagAndShowsTheSecondAsItsType) {
  Octets frame = kUdp4Vlan;
  put_u16(frame, 14, 0xE000 | 4095);  // priority bits are not part of the number
  put_u16(frame, 16, 0x8100);
  const auto parsed = parse_ethernet(frame);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->vlan, 4095);
  EXPECT_EQ(parsed->type, static_cast<uint16_t>(EtherType::kVlan));
}

TEST(Ethernet, WritesWhatItReads) {
  std::array<std::byte, 18> room{};
  EXPECT_EQ(write_ethernet({.to = kOurMac, .from = kPeerMac, .vlan = 7, .type = EtherType::kIpv4}, room), 18U);
  EXPECT_EQ(to_hex(room), to_hex(std::span(kUdp4Vlan).first(18)));
  EXPECT_EQ(write_ethernet({.to = kOurMac, .from = kPeerMac, .vlan = 0, .type = EtherType::kIpv6}, room), 14U);
  EXPECT_EQ(to_hex(std::span(room).first(14)), to_hex(std::span(kUdp6).first(14)));
}

TEST(Ipv4, ReadsAddressesEcnAndThePayloadWithoutPadding) {
  Octets frame = kUdp4;
  frame.resize(60);  // as short frames arrive
  const auto packet = parse_ipv4(ip_of(frame));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->from, kPeer4);
  EXPECT_EQ(packet->to, kOurs4);
  EXPECT_EQ(packet->protocol, 17);
  EXPECT_EQ(packet->hop_limit, 64);
  EXPECT_EQ(packet->ecn, Ecn::kEct0);
  EXPECT_EQ(packet->payload.size(), 15U);
}

TEST(Ipv4, SkipsOptions) {
  Octets frame = kUdp4Options;
  const auto packet = parse_ipv4(ip_of(frame));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->payload.size(), 15U);
  EXPECT_TRUE(parse_udp(*packet, UdpCheck::kVerify));
}

TEST(Ipv4, RefusesFragmentsFirstMiddleAndLast) {
  EXPECT_EQ(why_ipv4(kUdp4Fragment), Drop::kFragment);
  EXPECT_EQ(why_ipv4(with(kUdp4Fragment, kIpAt + 7, 9)), Drop::kFragment);
  EXPECT_EQ(why_ipv4(with(with(kUdp4Fragment, kIpAt + 6, 0), kIpAt + 7, 9)), Drop::kFragment);
}

TEST(Ipv4, RefusesHeadersThatContradictThemselves) {
  EXPECT_EQ(why_ipv4(with(kUdp4, kIpAt, 0x55)), Drop::kIpMalformed);       // version
  EXPECT_EQ(why_ipv4(with(kUdp4, kIpAt, 0x44)), Drop::kIpMalformed);       // header of 16 bytes
  EXPECT_EQ(why_ipv4(with(kUdp4, kIpAt, 0x4F)), Drop::kIpMalformed);       // header longer than the packet
  EXPECT_EQ(why_ipv4(with(kUdp4, kIpAt + 3, 19)), Drop::kIpMalformed);     // packet shorter than the header
  EXPECT_EQ(why_ipv4(with(kUdp4, kIpAt + 3, 36)), Drop::kTruncated);       // packet longer than the frame
  for (const int first : {0, 127, 224, 255}) EXPECT_EQ(why_ipv4(with(kUdp4, kIpAt + 12, first)), Drop::kBadSource);
}

TEST(Ipv4, RefusesAWrongHeaderChecksumInEachBit) {
  for (size_t bit = 0; bit < 20 * 8; ++bit) {
    Octets frame = kUdp4;
    frame[kIpAt + bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(parse_ipv4(ip_of(frame))) << bit;
  }
}

TEST(Ipv6, ReadsAddressesEcnAndThePayloadWithoutPadding) {
  Octets frame = kUdp6;
  frame.resize(100);
  const auto packet = parse_ipv6(ip_of(frame));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->from, kPeer6);
  EXPECT_EQ(packet->to, kOurs6);
  EXPECT_EQ(packet->ecn, Ecn::kCe);
  EXPECT_EQ(packet->payload.size(), 15U);
}

TEST(Ipv6, RefusesFragmentsAndExtensionHeaders) {
  EXPECT_EQ(why_ipv6(with(kUdp6, kIpAt + 6, 44)), Drop::kFragment);
  for (const int next : {0, 43, 50, 51, 60, 135, 139, 140})
    EXPECT_EQ(why_ipv6(with(kUdp6, kIpAt + 6, next)), Drop::kExtensionHeader) << next;
}

TEST(Ipv6, RefusesMappedAddressesBecauseTheyWouldPassForIpv4) {
  Octets from = kUdp6, to = kUdp6;
  std::ranges::copy(kPeer4, from.begin() + kIpAt + 8);
  std::ranges::copy(kOurs4, to.begin() + kIpAt + 24);
  EXPECT_EQ(why_ipv6(from), Drop::kBadSource);
  EXPECT_EQ(why_ipv6(to), Drop::kForeignAddress);
}

TEST(Ipv6, RefusesAWrongVersionLengthOrMulticastSource) {
  EXPECT_EQ(why_ipv6(with(kUdp6, kIpAt, 0x40)), Drop::kIpMalformed);
  EXPECT_EQ(why_ipv6(with(kUdp6, kIpAt + 5, 16)), Drop::kTruncated);
  EXPECT_EQ(why_ipv6(with(kUdp6, kIpAt + 8, 0xFF)), Drop::kBadSource);
}

UdpPacket udp_of(Octets& frame, UdpCheck check = UdpCheck::kVerify) {
  const bool is_v4 = frame[12] == std::byte{0x08};
  const auto packet = is_v4 ? parse_ipv4(ip_of(frame)) : parse_ipv6(ip_of(frame));
  const auto udp = parse_udp(*packet, check);
  EXPECT_TRUE(udp);
  return *udp;
}

TEST(Udp, ReadsPortsPayloadAndAGoodChecksum) {
  for (Octets frame : {kUdp4, kUdp6}) {
    const UdpPacket udp = udp_of(frame);
    EXPECT_EQ(udp.port_from, 7401);
    EXPECT_EQ(udp.port_to, 7402);
    EXPECT_EQ(udp.sum, UdpSum::kGood);
    EXPECT_EQ(to_hex(udp.payload), to_hex(text_bytes("tideway")));
  }
}

TEST(Udp, TellsAWrongChecksumFromAnAbsentOneAndMaySkip) {
  Octets absent = kUdp4Zero, wrong = with(kUdp4, kUdp4.size() - 1, 'x'), zero6 = kUdp6;
  put_u16(zero6, 60, 0);
  EXPECT_EQ(udp_of(absent).sum, UdpSum::kAbsent);
  EXPECT_EQ(udp_of(wrong).sum, UdpSum::kWrong);
  EXPECT_EQ(udp_of(wrong, UdpCheck::kSkip).sum, UdpSum::kGood);
  EXPECT_EQ(udp_of(zero6).sum, UdpSum::kWrong);
}

TEST(Udp, RefusesLengthsOutsideThePacketAndPortsOfZero) {
  for (const uint32_t size : {0U, 7U, 16U, 65535U}) {
    Octets frame = kUdp4;
    put_u16(frame, 38, static_cast<uint16_t>(size));
    EXPECT_EQ(parse_udp(*parse_ipv4(ip_of(frame)), UdpCheck::kVerify).why(), Drop::kUdpMalformed) << size;
  }
  for (const size_t at : {34U, 36U}) {
    Octets frame = kUdp4;
    put_u16(frame, at, 0);
    EXPECT_FALSE(parse_udp(*parse_ipv4(ip_of(frame)), UdpCheck::kVerify));
  }
  Octets empty = kUdp4;
  put_u16(empty, 38, 8);
  EXPECT_TRUE(udp_of(empty).payload.empty());
}

TEST(Headers, RefuseEveryTruncatedFrame) {
  for (const Octets& whole : {kUdp4, kUdp4Vlan, kUdp4Options, kUdp6})
    for (size_t size = 0; size < whole.size(); ++size) {
      Octets cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto frame = parse_ethernet(cut);
      if (size < kEthernetSize || (whole == kUdp4Vlan && size < 18)) {
        ASSERT_FALSE(frame) << size;
        continue;
      }
      EXPECT_FALSE(frame->type == 0x0800 ? parse_ipv4(frame->payload) : parse_ipv6(frame->payload)) << size;
    }
}

TEST(Headers, WriteIpAsAnotherProgramDid) {
  std::array<std::byte, 40> room{};
  const size_t v4 = write_ip({.from = kOurs4, .to = kPeer4, .protocol = Protocol::kIcmp, .payload_size = 15}, room);
  EXPECT_EQ(to_hex(std::span(room).first(v4)), to_hex(std::span(kEcho4Reply).subspan(14, 20)));
  const size_t v6 = write_ip({.from = kOurs6, .to = kPeer6, .protocol = Protocol::kIcmpv6, .payload_size = 15}, room);
  EXPECT_EQ(to_hex(std::span(room).first(v6)), to_hex(std::span(kEcho6Reply).subspan(14, 40)));
}

TEST(Headers, WriteTheTrafficClassAndTheLargestPayload) {
  std::array<std::byte, 40> room{};
  for (const auto& [from, to, most] : {std::tuple(kOurs4, kPeer4, size_t{65'515}), std::tuple(kOurs6, kPeer6, size_t{65'535})}) {
    const size_t size = write_ip({.from = from, .to = to, .traffic_class = 0x07, .payload_size = most}, room);
    Octets packet(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
    packet.resize(size + most);
    const auto parsed = is_ipv4(from) ? parse_ipv4(packet) : parse_ipv6(packet);
    ASSERT_TRUE(parsed) << name_of(parsed.why());
    EXPECT_EQ(parsed->ecn, Ecn::kCe);
    EXPECT_EQ(parsed->payload.size(), most);
    const unsigned traffic_class = is_ipv4(from) ? static_cast<unsigned>(packet[1])
                                                 : (static_cast<unsigned>(packet[0]) << 4 | static_cast<unsigned>(packet[1]) >> 4) & 0xFF;
    EXPECT_EQ(traffic_class, 0x07U);
  }
}

}  // namespace
}  // namespace tideway::ip
