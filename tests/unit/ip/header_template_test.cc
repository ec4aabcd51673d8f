// SPDX-License-Identifier: Apache-2.0
#include "ip/header_template.h"

#include "base/random.h"
#include "frames.h"

#include <gtest/gtest.h>

namespace tideway::ip {
namespace {

using namespace frames;

PathHeaders path4() {
  return {.mac_from = kOurMac, .mac_to = kPeerMac, .from = {kOurs4, 7402}, .to = {kPeer4, 7401}};
}
PathHeaders path6() {
  return {.mac_from = kOurMac, .mac_to = kPeerMac, .from = {kOurs6, 7402}, .to = {kPeer6, 7401}};
}

Octets frame_of(const PathHeaders& path, const Octets& payload, Ecn ecn = Ecn::kEct0) {
  const HeaderTemplate headers(path);
  Octets frame(headers.size() + payload.size(), std::byte{0xEE});
  std::ranges::copy(payload, frame.begin() + static_cast<std::ptrdiff_t>(headers.size()));
  headers.write(frame, payload.size(), ecn);
  return frame;
}

TEST(HeaderTemplate, WritesTheBytesThatAnotherProgramDid) {
  EXPECT_EQ(to_hex(frame_of(path4(), text_bytes("tideway"))), to_hex(kUdp4Out));
  PathHeaders tagged = path6();
  tagged.vlan = 7;
  EXPECT_EQ(to_hex(frame_of(tagged, text_bytes("tideway"))), to_hex(kUdp6Out));
}

TEST(HeaderTemplate, KnowsTheSizesThatOffloadsAskFor) {
  const HeaderTemplate v4(path4());
  EXPECT_EQ(v4.size(), 42U);
  EXPECT_EQ(v4.ethernet_size(), 14U);
  EXPECT_EQ(v4.ip_size(), 20U);
  PathHeaders tagged = path6();
  tagged.vlan = 7;
  EXPECT_EQ(HeaderTemplate(tagged).size(), HeaderTemplate::kSizeMax);
  EXPECT_EQ(HeaderTemplate(tagged).ethernet_size(), 18U);
}

TEST(HeaderTemplate, OffloadedChecksumsLeaveTheSumOfThePseudoHeaderAndAZero) {
  PathHeaders path = path4();
  path.udp_checksum = UdpChecksum::kOffload;
  path.ipv4_checksum = Ipv4Checksum::kOffload;
  Octets frame = frame_of(path, text_bytes("tideway"));
  EXPECT_EQ(hex_of(frame, 40, 2), "14db");
  EXPECT_EQ(hex_of(frame, 24, 2), "0000");
  // What the port then does gives what software would have written.
  put_u16(frame, 40, Checksum().add(std::span(frame).subspan(34)).value());
  put_u16(frame, 24, Checksum().add(std::span(frame).subspan(14, 20)).value());
  EXPECT_EQ(to_hex(frame), to_hex(kUdp4Out));
}

TEST(HeaderTemplate, ZeroChecksumIsForIpv4Only) {
  PathHeaders v4 = path4(), v6 = path6();
  v4.udp_checksum = v6.udp_checksum = UdpChecksum::kZero;
  EXPECT_EQ(hex_of(frame_of(v4, text_bytes("tideway")), 40, 2), "0000");
  v6.vlan = 7;
  EXPECT_EQ(to_hex(frame_of(v6, text_bytes("tideway"))), to_hex(kUdp6Out));
}

TEST(HeaderTemplate, AChecksumThatComesOutZeroIsWrittenAsOnes) {
  const Octets frame = frame_of(path4(), from_hex("b14c"));  // found by trying
  EXPECT_EQ(hex_of(frame, 40, 2), "ffff");
}

TEST(HeaderTemplate, LeavesBytesBehindThePayloadAlone) {
  const HeaderTemplate headers(path4());
  Octets room(100, std::byte{0xEE});
  headers.write(room, 7, Ecn::kEct0);
  EXPECT_EQ(room[headers.size() + 7], std::byte{0xEE});
  EXPECT_EQ(hex_of(room, 16, 2), "0023");
}

TEST(HeaderTemplate, WhatItWritesParsesAtEverySizeAndEcn) {
  Random random(11);
  for (int round = 0; round < 500; ++round) {
    PathHeaders path = random.happens(0.5) ? path4() : path6();
    path.dscp = random.happens(0.5) ? Dscp::kDefault : Dscp::kLowerEffort;
    const auto ecn = static_cast<Ecn>(random.below(4));
    const Octets payload = test::pattern(random.below(round == 0 ? 1 : 9000), static_cast<uint32_t>(round));
    Octets frame = frame_of(path, payload, ecn);
    const auto ethernet = parse_ethernet(frame);
    ASSERT_TRUE(ethernet);
    const auto packet = path.from.is_ipv4() ? parse_ipv4(ethernet->payload) : parse_ipv6(ethernet->payload);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->ecn, ecn);
    EXPECT_EQ(packet->hop_limit, 64);
    const auto udp = parse_udp(*packet, UdpCheck::kVerify);
    ASSERT_TRUE(udp);
    EXPECT_EQ(udp->sum, UdpSum::kGood);
    ASSERT_TRUE(std::ranges::equal(udp->payload, payload));
  }
}

}  // namespace
}  // namespace tideway::ip
