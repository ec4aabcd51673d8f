// SPDX-License-Identifier: Apache-2.0
#include "ip/arp.h"

#include "frames.h"

#include <gtest/gtest.h>

namespace tideway::ip {
namespace {

using namespace frames;

Octets body_of(const Octets& frame) { return {frame.begin() + 14, frame.end()}; }

Octets written(const ArpMessage& message) {
  Octets room(kArpSize);
  EXPECT_EQ(write_arp(message, room), kArpSize);
  return room;
}

TEST(Arp, ReadsAndWritesARequest) {
  const auto request = parse_arp(body_of(kArpRequest));
  ASSERT_TRUE(request);
  EXPECT_EQ(*request, arp_request(kPeerMac, kPeer4, kOurs4));
  EXPECT_EQ(to_hex(written(*request)), to_hex(body_of(kArpRequest)));
}

TEST(Arp, AReplyGoesBackToTheAskerFromTheAddressAskedFor) {
  const ArpMessage reply = arp_reply(arp_request(kOurMac, kOurs4, kPeer4), kPeerMac);
  EXPECT_EQ(to_hex(written(reply)), to_hex(body_of(kArpReply)));
  EXPECT_EQ(parse_arp(body_of(kArpReply)), reply);
}

TEST(Arp, AnAnnouncementNamesTheSameAddressTwice) {
  EXPECT_EQ(to_hex(written(arp_announcement(kOurMac, kOurs4))),
            "0001080006040001" "020000000011" "0a4d000b" "000000000000" "0a4d000b");
}

TEST(Arp, IgnoresPadding) {
  Octets padded = body_of(kArpRequest);
  padded.resize(46, std::byte{0xAA});
  EXPECT_EQ(parse_arp(padded), parse_arp(body_of(kArpRequest)));
}

TEST(Arp, RefusesEveryTruncatedMessage) {
  const Octets whole = body_of(kArpReply);
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_arp(std::span(whole).first(size))) << size;
}

TEST(Arp, RefusesOtherHardwareProtocolSizesAndOperations) {
  for (const size_t at : {0U, 1U, 2U, 3U, 4U, 5U, 6U}) {
    Octets bytes = body_of(kArpRequest);
    bytes[at] ^= std::byte{0x40};
    EXPECT_FALSE(parse_arp(bytes)) << at;
  }
  for (const int operation : {0, 3, 8}) {
    Octets bytes = body_of(kArpRequest);
    bytes[7] = static_cast<std::byte>(operation);
    EXPECT_FALSE(parse_arp(bytes));
  }
}

TEST(Arp, RefusesSendersThatAreNoHosts) {
  ArpMessage message = arp_request(kPeerMac, kPeer4, kOurs4);
  message.mac_from = kBroadcastMac;
  EXPECT_FALSE(parse_arp(written(message)));
  message.mac_from = {};
  EXPECT_FALSE(parse_arp(written(message)));
  message.mac_from = kPeerMac;
  message.from[12] = std::byte{224};
  EXPECT_FALSE(parse_arp(written(message)));
}

TEST(Arp, AnUnspecifiedSenderMayAskButNotAnswer) {
  ArpMessage probe = parse_arp(body_of(kArpRequest)).value();
  std::fill(probe.from.begin() + 12, probe.from.end(), std::byte{0});
  EXPECT_TRUE(parse_arp(written(probe)));
  probe.operation = ArpOperation::kReply;
  EXPECT_FALSE(parse_arp(written(probe)));
}

}  // namespace
}  // namespace tideway::ip
