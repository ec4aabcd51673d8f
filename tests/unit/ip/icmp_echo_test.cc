// SPDX-License-Identifier: Apache-2.0
#include "ip/icmp_echo.h"

#include "frames.h"

#include <gtest/gtest.h>

namespace tideway::ip {
namespace {

using namespace frames;

IpPacket packet_of(Octets& frame) {
  const auto bytes = std::span(frame).subspan(14);
  const auto packet = frame[12] == std::byte{0x08} ? parse_ipv4(bytes) : parse_ipv6(bytes);
  EXPECT_TRUE(packet);
  return *packet;
}

TEST(IcmpEcho, RepliesWithTheBytesThatAnotherProgramDid) {
  for (const auto& [request, reply] : {std::pair(kEcho4, kEcho4Reply), std::pair(kEcho6, kEcho6Reply)}) {
    Octets frame = request, room(200);
    const auto size = write_echo_reply(packet_of(frame), room);
    ASSERT_TRUE(size);
    EXPECT_EQ(to_hex(std::span(room).first(*size)), to_hex(std::span(reply).subspan(14)));
  }
}

TEST(IcmpEcho, AReplyIsNeverLongerThanItsRequest) {
  Octets frame = kEcho4, room(2000);
  frame.resize(1500, std::byte{0xAA});  // padding is not part of the request
  const auto size = write_echo_reply(packet_of(frame), room);
  ASSERT_TRUE(size);
  EXPECT_EQ(*size, kEcho4.size() - 14);
}

TEST(IcmpEcho, RefusesAWrongChecksumTypeOrCode) {
  for (const size_t at : {34U, 35U, 36U, 40U}) {
    Octets frame = kEcho4, room(200);
    frame[at] ^= std::byte{1};
    EXPECT_EQ(write_echo_reply(packet_of(frame), room).why(), Drop::kIcmpMalformed) << at;
  }
  Octets frame = kEcho6, room(200);
  frame.back() ^= std::byte{1};
  EXPECT_FALSE(write_echo_reply(packet_of(frame), room));
}

TEST(IcmpEcho, RefusesARequestThatItsRoomCannotAnswer) {
  Octets frame = kEcho4, room(kEcho4.size() - 15);
  EXPECT_EQ(write_echo_reply(packet_of(frame), room).why(), Drop::kEchoTooLong);
}

TEST(IcmpEcho, RefusesEveryRequestShorterThanItsHeader) {
  for (size_t size = 0; size < 8; ++size) {
    Octets frame = kEcho6, room(200);
    put_u16(frame, 18, static_cast<uint16_t>(size));
    EXPECT_FALSE(write_echo_reply(packet_of(frame), room)) << size;
  }
}

TEST(IcmpEcho, KnowsARequestFromAReply) {
  Octets request = kEcho4, reply = kEcho6Reply;
  EXPECT_TRUE(is_echo_request(packet_of(request)));
  EXPECT_FALSE(is_echo_request(packet_of(reply)));
}

}  // namespace
}  // namespace tideway::ip
