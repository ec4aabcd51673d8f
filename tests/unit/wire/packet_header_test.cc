// SPDX-License-Identifier: Apache-2.0
#include "wire/packet_header.h"

#include "support/vectors.h"

namespace tideway::wire {
namespace {

using test::Octets;
using test::to_hex;

constexpr PacketType kTypes[] = {PacketType::kProbe, PacketType::kData, PacketType::kAck, PacketType::kControl,
                                 PacketType::kClose};

PacketHeader header_of(PacketType type) {
  PacketHeader header{.type = type, .key_epoch_low = 0xFE, .flow = FlowId(0x0102),
                      .destination = ConnectionId(0x0304'0506'0708'090A), .packet_number = 0x3BCD'EF01'2345'6789, .data = {}};
  if (type == PacketType::kData)
    header.data = {.slot = SlotId(0xABCD), .flags = kLastInBlock | kAckNow, .head_units = 225, .block = BlockId(0xDEAD'BEEF),
                   .offset = 0x0041'8000};
  return header;
}

// The header, one byte of payload and room for the tag.
Octets packet_with(const PacketHeader& header) {
  Octets packet(header.size() + 1 + kAeadTagSize);
  write_header(header, packet);
  return packet;
}

TEST(PacketHeader, OfEveryTypeReadsBackAsWritten) {
  for (const PacketType type : kTypes) EXPECT_EQ(parse_header(packet_with(header_of(type))), header_of(type));
}

TEST(PacketHeader, ThoseOfTheVectorsAreReadAndWrittenAgain) {
  auto vectors = test::load_vectors("sealed_packets.txt");
  size_t count = 0;
  for (const auto& [name, packet] : vectors) {
    if (!name.ends_with("_packet")) continue;
    SCOPED_TRACE(name);
    auto parsed = parse_header(packet);
    ASSERT_TRUE(parsed);
    Octets again(parsed->size());
    parsed->data.flags &= kFlagsKnown;
    write_header(*parsed, again);
    Octets expected = vectors[name.substr(0, name.size() - 6) + "header"];
    if (parsed->type == PacketType::kData) expected[kFlagsAt] &= std::byte{kFlagsKnown};  // others are sent as zero
    EXPECT_EQ(to_hex(again), to_hex(expected));
    ++count;
  }
  EXPECT_EQ(count, 7U);
}

TEST(PacketHeader, OfTheFirstVectorHasTheFieldsOfTheDocument) {
  const auto header = parse_header(test::load_vectors("sealed_packets.txt")["data_packet"]);
  const PacketHeader expected{
      .type = PacketType::kData, .key_epoch_low = 0, .flow = FlowId(7), .destination = ConnectionId(0x0100'0211'2233'4455),
      .packet_number = 0x1234'5678,
      .data = {.slot = SlotId(5), .flags = kLastInBlock | kAckNow, .head_units = 1, .block = BlockId(9), .offset = 0}};
  EXPECT_EQ(header, expected);
}

TEST(PacketHeader, APacketTooShortForHeaderAndTagIsRefused) {
  for (const PacketType type : kTypes) {
    const Octets packet = packet_with(header_of(type));
    const size_t least = type == PacketType::kData ? kDataOverhead + 1 : kPacketSizeMin;  // DATA carries something
    for (size_t size = 0; size <= packet.size(); ++size)
      EXPECT_EQ(parse_header(std::span(packet).first(size)).has_value(), size >= least) << int(type) << ' ' << size;
  }
}

TEST(PacketHeader, OnlyOurVersionAndOurTypesAreRead) {
  Octets packet(100, std::byte{1});  // long enough for any type; byte 23, the length of the head, is not zero
  for (unsigned first = 0; first < 256; ++first) {
    packet[0] = static_cast<std::byte>(first);
    const unsigned type = first & 15;
    const bool is_ours = first >> 4 == (8 | kPacketVersion) && (type <= 3 || type == 5);  // 4 is reserved
    EXPECT_EQ(parse_header(packet).has_value(), is_ours) << first;
  }
}

TEST(PacketHeader, DataWithoutAHeadIsRefused) {
  PacketHeader header = header_of(PacketType::kData);
  header.data.head_units = 0;
  EXPECT_FALSE(parse_header(packet_with(header)));
  header.data.head_units = 255;
  EXPECT_TRUE(parse_header(packet_with(header)));
}

TEST(PacketHeader, FlagsWithoutAMeaningAreIgnored) {
  Octets packet = packet_with(header_of(PacketType::kData));
  for (unsigned flags = 0; flags < 256; ++flags) {
    packet[kFlagsAt] = static_cast<std::byte>(flags);
    const auto parsed = parse_header(packet);
    ASSERT_TRUE(parsed) << flags;
    EXPECT_EQ(parsed->data.flags & kFlagsKnown, flags & kFlagsKnown);
  }
}

TEST(DataPayload, IsThatOfTheTable) {
  struct Row { size_t mtu, ipv4, ipv6; };
  for (const Row& row : {Row{1280, 1152, 1152}, Row{1400, 1280, 1280}, Row{1500, 1408, 1392}, Row{3500, 3392, 3392},
                         Row{4000, 3904, 3904}, Row{9000, 8896, 8896}}) {
    EXPECT_EQ(data_payload_for_mtu(row.mtu, true), row.ipv4) << row.mtu;
    EXPECT_EQ(data_payload_for_mtu(row.mtu, false), row.ipv6) << row.mtu;
  }
}

TEST(DataPayload, FitsAnyMtuAndWastesLittleOfIt) {
  for (const bool is_ipv4 : {true, false}) {
    for (size_t mtu = 1280; mtu <= 9216; ++mtu) {
      const size_t payload = data_payload_for_mtu(mtu, is_ipv4), room = mtu - ip_overhead(is_ipv4) - kDataOverhead;
      ASSERT_LE(payload, room) << mtu;
      ASSERT_GT(payload + 64, room) << mtu;
      ASSERT_EQ(payload % 16, 0U) << mtu;
    }
  }
}

}  // namespace
}  // namespace tideway::wire
