// SPDX-License-Identifier: Apache-2.0
#include "flow/packet_builder.h"

#include "support/vectors.h"

namespace tideway::flow::packet_builder_test {
namespace {

using test::Octets;
using test::to_hex;

constexpr ConnectionId kDestination{0x0100'0211'2233'4455};
constexpr uint64_t kFirst = 0x1234'5678;

struct PacketBuilderTest : testing::Test {
  PacketBuilder builder{FlowId(7), kDestination};
  std::vector<Octets> bytes;
  std::vector<Packet> rooms;

  void begin(size_t count, size_t size = 1472, KeyEpoch epoch = KeyEpoch(0)) {
    bytes.assign(count, Octets(size));
    rooms = std::vector<Packet>(count);
    for (size_t i = 0; i < count; ++i) rooms[i].bytes = bytes[i];
    builder.begin({.rooms = rooms, .epoch = epoch, .first_number = kFirst, .ecn = Ecn::kEct0});
  }
  static SendRange range(std::span<const std::byte> payload, bool is_last = false, bool is_resent = false) {
    return {.range = {{SlotId(5), BlockId(9)}, 1408, static_cast<uint32_t>(payload.size())},
            .bytes = payload, .head_units = 3, .is_last_in_block = is_last, .is_resent = is_resent};
  }
  size_t add_forget(size_t packet_size = 1472) {
    Writer out = builder.frames(packet_size);
    wire::write_forget(out, 1000);
    return builder.add_frames(wire::PacketType::kControl, out);
  }
  // As the sealer and the wire would see packet `i`.
  wire::PacketHeader header(size_t i) {
    Octets sealed(rooms[i].bytes.begin(), rooms[i].bytes.end());
    return wire::parse_header(sealed).value();
  }
};

TEST_F(PacketBuilderTest, DataIsSealedStraightFromItsBlock) {
  const Octets block = test::pattern(3000);
  const auto payload = std::span(block).subspan(512, 1408);
  begin(2);
  EXPECT_EQ(builder.add_data(range(payload, false, true), wire::kAppLimited), 1408 + wire::kDataOverhead);
  EXPECT_EQ(rooms[0].bytes.size(), 1408 + wire::kDataOverhead) << "the room is shortened to the packet";
  const SealJob& job = builder.jobs()[0];
  EXPECT_EQ(job.packet_number, kFirst);
  EXPECT_EQ(job.plain.data(), payload.data()) << "no copy";
  EXPECT_EQ(job.plain.size(), payload.size());
  EXPECT_EQ(job.header.data(), bytes[0].data());
  EXPECT_EQ(job.header.size(), wire::kDataHeaderSize);
  EXPECT_EQ(job.out.data(), bytes[0].data() + wire::kDataHeaderSize);
  EXPECT_EQ(job.out.size(), payload.size() + kAeadTagSize);
  const wire::PacketHeader expected{
      .type = wire::PacketType::kData, .key_epoch_low = 0, .flow = FlowId(7), .destination = kDestination, .packet_number = kFirst,
      .data = {.slot = SlotId(5), .flags = wire::kResent | wire::kAppLimited, .head_units = 3, .block = BlockId(9), .offset = 1408}};
  EXPECT_EQ(header(0), expected);
}

TEST_F(PacketBuilderTest, MakesTheHeadersOfTheVectors) {
  auto vectors = test::load_vectors("sealed_packets.txt");
  begin(1);
  builder.add_data({.range = {{SlotId(5), BlockId(9)}, 0, 32}, .bytes = vectors["data_plain"], .head_units = 1,
                    .is_last_in_block = true, .is_resent = false}, wire::kAckNow);
  EXPECT_EQ(to_hex(builder.jobs()[0].header), to_hex(vectors["data_header"]));
}

TEST_F(PacketBuilderTest, NumbersRiseThroughTheBurstAndRoomsEnd) {
  const Octets payload = test::pattern(100);
  begin(3);
  for (uint64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(builder.has_room());
    EXPECT_EQ(builder.next_size(), 1472U);
    if (i == 1) add_forget();
    else builder.add_data(range(payload), 0);
    EXPECT_EQ(builder.count(), i + 1);
    EXPECT_EQ(header(i).packet_number, kFirst + i);
    EXPECT_EQ(builder.jobs()[i].packet_number, kFirst + i);
    EXPECT_EQ(rooms[i].ecn, Ecn::kEct0);
  }
  EXPECT_FALSE(builder.has_room());
  begin(1);
  EXPECT_EQ(builder.count(), 0U) << "a new burst starts from nothing";
  EXPECT_TRUE(builder.jobs().empty());
}

TEST_F(PacketBuilderTest, TheHeaderNamesTheLowByteOfTheKeyEpoch) {
  begin(1, 1472, KeyEpoch(0x1FE));
  add_forget();
  EXPECT_EQ(header(0).key_epoch_low, 0xFE);
}

TEST_F(PacketBuilderTest, FramesOfDifferentPacketsLieApartUntilTheBurstIsSealed) {
  begin(4);
  for (uint64_t i = 0; i < 4; ++i) {
    Writer out = builder.frames(1472);
    wire::write_forget(out, i);
    EXPECT_EQ(builder.add_frames(wire::PacketType::kControl, out), wire::kPacketOverhead + wire::kForgetFrameSize);
  }
  for (uint64_t i = 0; i < 4; ++i) {
    wire::FrameReader frames(builder.jobs()[i].plain);
    EXPECT_EQ(wire::parse_forget(frames.next().value().body), i);
    EXPECT_EQ(header(i).type, wire::PacketType::kControl);
  }
}

TEST_F(PacketBuilderTest, TheWriterHasRoomForAPacketOfTheSizeAndNoMore) {
  begin(2, 1252);
  EXPECT_EQ(builder.frames(500).left(), 500 - wire::kPacketOverhead);
  EXPECT_EQ(builder.frames(9000).left(), 1252 - wire::kPacketOverhead) << "the room is smaller";
  EXPECT_EQ(builder.frames(10).left(), 0U);
  Writer out = builder.frames(1252);
  wire::write_padding(out, out.left());
  EXPECT_EQ(builder.add_frames(wire::PacketType::kProbe, out), 1252U);
  EXPECT_EQ(rooms[0].bytes.size(), 1252U);
}

TEST_F(PacketBuilderTest, AFullArenaGivesAWriterWithoutRoom) {
  begin(kBurstMax, 9000);
  size_t total = 0;
  while (builder.has_room()) {
    Writer out = builder.frames(9000);
    if (out.left() < wire::kFrameHeaderSize) break;
    total += out.left();
    wire::write_padding(out, out.left());
    builder.add_frames(wire::PacketType::kProbe, out);
  }
  EXPECT_LE(total, PacketBuilder::kArenaSize);
  EXPECT_GE(total, PacketBuilder::kArenaSize - wire::kFrameHeaderSize);
  EXPECT_EQ(builder.frames(9000).left(), 0U);
  begin(1, 9000);
  EXPECT_EQ(builder.frames(9000).left(), 9000 - wire::kPacketOverhead) << "the next burst has all of it";
}

TEST_F(PacketBuilderTest, AckNowGoesToTheLastDataPacketOfThisBurst) {
  const Octets payload = test::pattern(100);
  begin(3);
  EXPECT_FALSE(builder.has_data());
  builder.add_data(range(payload), 0);
  builder.add_data(range(payload, true), 0);
  add_forget();
  EXPECT_TRUE(builder.has_data());
  builder.add_flags_to_last_data(wire::kAckNow);
  EXPECT_EQ(header(0).data.flags, 0);
  EXPECT_EQ(header(1).data.flags, wire::kLastInBlock | wire::kAckNow);
  EXPECT_EQ(builder.jobs()[1].header[wire::kFlagsAt], std::byte{wire::kLastInBlock | wire::kAckNow}) << "and is authenticated";
  begin(1);
  EXPECT_FALSE(builder.has_data());
  builder.add_flags_to_last_data(wire::kAckNow);  // of nothing
  EXPECT_EQ(builder.count(), 0U);
}

}  // namespace
}  // namespace tideway::flow::packet_builder_test
