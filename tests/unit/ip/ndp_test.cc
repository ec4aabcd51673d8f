// SPDX-License-Identifier: Apache-2.0
#include "ip/ndp.h"

#include "frames.h"

#include <gtest/gtest.h>

namespace tideway::ip {
namespace {

using namespace frames;

constexpr size_t kBodyAt = 54;

std::optional<NdpMessage> parse(Octets frame) {
  const auto packet = parse_ipv6(std::span(frame).subspan(14));
  return packet ? parse_ndp(*packet) : std::nullopt;
}

// The same frame with a changed body, and a checksum that is right again.
Octets repaired(Octets frame) {
  put_u16(frame, 18, static_cast<uint16_t>(frame.size() - kBodyAt));
  put_u16(frame, kBodyAt + 2, 0);
  IpAddress from, to;
  std::copy_n(frame.begin() + 22, 16, from.begin());
  std::copy_n(frame.begin() + 38, 16, to.begin());
  Checksum sum = checksum_of({from, to, 58, frame.size() - kBodyAt});
  put_u16(frame, kBodyAt + 2, sum.add(std::span(frame).subspan(kBodyAt)).value());
  return frame;
}

std::string written(const NdpMessage& message) {
  Octets room(kNdpSize);
  const size_t size = write_ndp(message, room);
  return to_hex(std::span(room).first(size));
}

TEST(Ndp, ReadsASolicitation) {
  const auto message = parse(kNs);
  ASSERT_TRUE(message);
  EXPECT_EQ(*message, ndp_solicitation(kPeerMac, kPeer6, kOurs6));
}

TEST(Ndp, ReadsAnAdvertisementAndItsFlags) {
  const auto message = parse(kNa);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, NdpType::kAdvertisement);
  EXPECT_EQ(message->target, kPeer6);
  EXPECT_EQ(message->mac, kPeerMac);
  EXPECT_TRUE(message->is_solicited && message->is_override);
  EXPECT_FALSE(parse(repaired(with(kNa, kBodyAt + 4, 0x40)))->is_override);
}

TEST(Ndp, WritesTheBytesThatAnotherProgramDid) {
  EXPECT_EQ(written(ndp_solicitation(kOurMac, kOurs6, kPeer6)), to_hex(std::span(kNsAsk).subspan(14)));
  EXPECT_EQ(written(ndp_announcement(kOurMac, kOurs6)), to_hex(std::span(kNaAnnounce).subspan(14)));
  EXPECT_EQ(written(ndp_advertisement(ndp_solicitation(kOurMac, kOurs6, kPeer6), kPeerMac)),
            to_hex(std::span(kNa).subspan(14)));
}

TEST(Ndp, AnAskerWithoutAddressIsAnsweredThroughAllNodes) {
  const auto probe = parse(kNsDad);
  ASSERT_TRUE(probe);
  EXPECT_TRUE(is_unspecified(probe->from));
  EXPECT_EQ(written(ndp_advertisement(*probe, kOurMac)), to_hex(std::span(kNaAnnounce).subspan(14)));
}

TEST(Ndp, RefusesWhatARouterPassedOn) {
  EXPECT_FALSE(parse(with(kNs, 21, 254)));
  EXPECT_FALSE(parse(with(kNa, 21, 64)));
}

TEST(Ndp, RefusesAWrongChecksumInEachBit) {
  for (const Octets& whole : {kNs, kNa})
    for (size_t bit = kBodyAt * 8; bit < whole.size() * 8; ++bit)
      EXPECT_FALSE(parse(with(whole, bit / 8, static_cast<uint8_t>(static_cast<int>(whole[bit / 8]) ^ 1 << bit % 8))));
}

TEST(Ndp, RefusesABadCodeTargetOrOption) {
  EXPECT_FALSE(parse(repaired(with(kNs, kBodyAt + 1, 1))));      // code
  EXPECT_FALSE(parse(repaired(with(kNs, kBodyAt + 8, 0xFF))));   // a group as target
  EXPECT_FALSE(parse(repaired(with(kNs, kBodyAt + 25, 0))));     // an option of no length
  EXPECT_FALSE(parse(repaired(with(kNs, kBodyAt + 25, 2))));     // one that runs over the end
  EXPECT_FALSE(parse(repaired(with(kNs, kBodyAt + 26, 0x03))));  // a group as MAC
}

TEST(Ndp, SkipsOptionsItDoesNotKnow) {
  Octets frame = with(kNs, kBodyAt + 24, 14);  // a nonce (RFC 3971)
  const Octets mac = from_hex("01010200000000aa");
  frame.insert(frame.end(), mac.begin(), mac.end());
  EXPECT_EQ(parse(repaired(frame))->mac, kPeerMac);
}

TEST(Ndp, RefusesAProbeThatNamesAMacOrIsSentToOneHost) {
  Octets named = kNsDad;
  const Octets mac = from_hex("01010200000000aa");
  named.insert(named.end(), mac.begin(), mac.end());
  EXPECT_FALSE(parse(repaired(named)));
  Octets unicast = kNsDad;
  std::ranges::copy(kOurs6, unicast.begin() + 38);
  EXPECT_FALSE(parse(repaired(unicast)));
}

TEST(Ndp, RefusesASolicitedAnswerToAGroup) {
  Octets frame = kNa;
  std::ranges::copy(kAllNodes, frame.begin() + 38);
  EXPECT_FALSE(parse(repaired(frame)));
  EXPECT_TRUE(parse(repaired(with(frame, kBodyAt + 4, 0x20))));
}

TEST(Ndp, RefusesEveryTruncatedBody) {
  for (const Octets& whole : {kNs, kNa})
    for (size_t size = kBodyAt + 4; size < whole.size(); ++size) {
      Octets cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const bool lacks_only_the_option = size == kBodyAt + 24;
      EXPECT_EQ(parse(repaired(cut)).has_value(), lacks_only_the_option) << size;
    }
}

}  // namespace
}  // namespace tideway::ip
