// SPDX-License-Identifier: Apache-2.0
#include "wire/frames.h"

#include "base/varint.h"
#include "support/vectors.h"

#include <functional>

namespace tideway::wire {
namespace {

using test::Octets;
using test::to_hex;

constexpr CreditFrame kCredit{.slot = SlotId(5), .lane = LaneId(0x0102), .limit = 0x1122'3344'5566'7788};
constexpr BlockKey kKey{.slot = SlotId(0xFFFF), .block = BlockId(0x8000'0001)};
constexpr uint64_t kNumber = (uint64_t{1} << 62) - 1;

Octets written(const std::function<void(Writer&)>& write) {
  Octets bytes(16 << 10);
  Writer out(bytes);
  write(out);
  bytes.resize(out.used());
  return bytes;
}

PathToken token() {
  PathToken token;
  for (size_t i = 0; i < token.size(); ++i) token[i] = static_cast<std::byte>(0xA0 + i);
  return token;
}

// The body of the one frame of `plain`.
std::span<const std::byte> only_body(const Octets& plain, FrameType type) {
  FrameReader frames(plain);
  const auto frame = frames.next();
  EXPECT_TRUE(frame && frame->type == type) << int(type);
  EXPECT_FALSE(frames.next());
  EXPECT_FALSE(frames.is_malformed());
  return frame ? frame->body : std::span<const std::byte>();
}

bool is_malformed(std::span<const std::byte> plain) {
  FrameReader frames(plain);
  while (frames.next()) {}
  return frames.is_malformed();
}

// All frames of fixed length, each in its type's number of bytes.
Octets one_of_each() {
  return written([](Writer& out) {
    write_credit(out, FrameType::kCredit, kCredit);
    write_credit(out, FrameType::kCreditRecall, kCredit);
    write_credit(out, FrameType::kCreditReturn, kCredit);
    write_credit(out, FrameType::kBlocked, kCredit);
    write_abandon(out, kKey);
    write_forget(out, kNumber);
    write_frame_header(out, FrameType::kKeyRequest, 0);
    write_path(out, FrameType::kPathChallenge, token());
    write_path(out, FrameType::kPathResponse, token());
    write_close(out, CloseReason::kReplaced);
    write_padding(out, 9);
  });
}

TEST(Frames, HaveTheLayoutOfTheDocument) {
  EXPECT_EQ(to_hex(one_of_each()),
            "02000010000501020000000011223344556677880300000400050102"
            "0400001000050102000000001122334455667788050000100005010200000000112233445566"
            "778806000008ffff00008000000107000008"
            "3fffffffffffffff08000000"
            "09000010a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0a000010a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
            "0b00000200040000000500000000"
            "00");
}

TEST(Frames, TakeTheRoomTheirConstantsSay) {
  EXPECT_EQ(written([](Writer& out) { write_credit(out, FrameType::kBlocked, kCredit); }).size(), kCreditFrameSize);
  EXPECT_EQ(written([](Writer& out) { write_credit(out, FrameType::kCreditRecall, kCredit); }).size(), kCreditFrameSize - 12);
  EXPECT_EQ(written([](Writer& out) { write_abandon(out, kKey); }).size(), kAbandonFrameSize);
  EXPECT_EQ(written([](Writer& out) { write_forget(out, kNumber); }).size(), kForgetFrameSize);
  EXPECT_EQ(written([](Writer& out) { write_path(out, FrameType::kPathResponse, token()); }).size(), kPathFrameSize);
  EXPECT_EQ(written([](Writer& out) { write_close(out, CloseReason::kDone); }).size(), kCloseFrameSize);
  for (const size_t total : {kFrameHeaderSize, size_t{5}, size_t{1200}}) {
    const Octets padding = written([&](Writer& out) { write_padding(out, total); });
    EXPECT_EQ(padding.size(), total);
    EXPECT_EQ(std::ranges::count(only_body(padding, FrameType::kPadding), std::byte{}), int(total - kFrameHeaderSize));
  }
}

TEST(Frames, OfFixedLengthReadBackAsWritten) {
  for (const FrameType type : {FrameType::kCredit, FrameType::kCreditReturn, FrameType::kBlocked}) {
    const Octets plain = written([&](Writer& out) { write_credit(out, type, kCredit); });
    EXPECT_EQ(parse_credit(type, only_body(plain, type)), kCredit);
  }
  const Octets recall = written([](Writer& out) { write_credit(out, FrameType::kCreditRecall, kCredit); });
  const auto recalled = parse_credit(FrameType::kCreditRecall, only_body(recall, FrameType::kCreditRecall));
  ASSERT_TRUE(recalled);
  EXPECT_EQ(recalled->slot, kCredit.slot);
  EXPECT_EQ(recalled->lane, kCredit.lane);
  const Octets abandon = written([](Writer& out) { write_abandon(out, kKey); });
  EXPECT_EQ(parse_abandon(only_body(abandon, FrameType::kAbandon)), kKey);
  const Octets forget = written([](Writer& out) { write_forget(out, kNumber); });
  EXPECT_EQ(parse_forget(only_body(forget, FrameType::kForget)), kNumber);
  const Octets challenge = written([](Writer& out) { write_path(out, FrameType::kPathChallenge, token()); });
  EXPECT_EQ(parse_path(only_body(challenge, FrameType::kPathChallenge)), token());
  for (const auto reason : {CloseReason::kDone, CloseReason::kGoingAway, CloseReason::kProtocolError, CloseReason::kKeyLimit,
                            CloseReason::kReplaced}) {
    const Octets close = written([&](Writer& out) { write_close(out, reason); });
    EXPECT_EQ(parse_close(only_body(close, FrameType::kClose)), reason);
  }
}

TEST(Frames, ABodyOfAWrongLengthIsRefused) {
  const Octets bytes(64);
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const auto body = std::span(bytes).first(size);
    for (const FrameType type : {FrameType::kCredit, FrameType::kCreditReturn, FrameType::kBlocked})
      EXPECT_EQ(parse_credit(type, body).has_value(), size == 16) << size;
    EXPECT_EQ(parse_credit(FrameType::kCreditRecall, body).has_value(), size == 4) << size;
    EXPECT_EQ(parse_abandon(body).has_value(), size == 8) << size;
    EXPECT_EQ(parse_forget(body).has_value(), size == 8) << size;
    EXPECT_EQ(parse_path(body).has_value(), size == 16) << size;
    EXPECT_EQ(parse_close(body).has_value(), size == 2) << size;
  }
}

TEST(FrameReader, APacketCutWithinAFrameIsMalformed) {
  const Octets plain = one_of_each();
  std::vector<size_t> ends = {0};
  for (Reader in(plain); !in.is_empty();) {
    static_cast<void>(in.read_u16());
    static_cast<void>(in.read_bytes(in.read_u16().value()));
    ends.push_back(plain.size() - in.rest().size());
  }
  ASSERT_EQ(ends.size(), 12U);
  for (size_t size = 0; size <= plain.size(); ++size)
    EXPECT_EQ(is_malformed(std::span(plain).first(size)), !std::ranges::binary_search(ends, size)) << size;
}

TEST(FrameReader, UnknownTypesFrom0x80OnAreSkippedAndOthersAreMalformed) {
  for (unsigned type = 0x0C; type < 256; ++type) {
    Octets plain = {static_cast<std::byte>(type), {}, {}, std::byte{3}, {}, {}, {}};
    const Octets forget = written([](Writer& out) { write_forget(out, 1); });
    plain.insert(plain.end(), forget.begin(), forget.end());
    if (type >= kIgnorableFrom) {
      EXPECT_EQ(parse_forget(only_body(plain, FrameType::kForget)), 1U);
    } else {
      FrameReader frames(plain);
      EXPECT_FALSE(frames.next()) << type;
      EXPECT_TRUE(frames.is_malformed()) << type;
    }
  }
}

TEST(FrameReader, NothingFollowsAnError) {
  Octets plain = {std::byte{0x7F}, {}, {}, {}};
  const Octets forget = written([](Writer& out) { write_forget(out, 1); });
  plain.insert(plain.end(), forget.begin(), forget.end());
  FrameReader frames(plain);
  EXPECT_FALSE(frames.next());
  EXPECT_FALSE(frames.next());
  EXPECT_TRUE(frames.is_malformed());
}

TEST(Frames, ArePutTogetherAsInTheSealedPacketsOfTheVectors) {
  auto vectors = test::load_vectors("sealed_packets.txt");
  const Octets control = written([](Writer& out) {
    write_credit(out, FrameType::kCredit, {.slot = SlotId(5), .lane = LaneId(0), .limit = 8 << 20});
    write_forget(out, 1000);
  });
  EXPECT_EQ(to_hex(control), to_hex(vectors["control_plain"]));
  const Octets probe = written([](Writer& out) {
    write_path(out, FrameType::kPathChallenge, token());
    write_padding(out, 1252 - 36 - kPathFrameSize);
  });
  EXPECT_EQ(to_hex(probe), to_hex(vectors["probe_plain"]));
  const Octets close = written([](Writer& out) { write_close(out, CloseReason::kGoingAway); });
  EXPECT_EQ(to_hex(close), to_hex(vectors["close_plain"]));
}

TEST(Frames, WhatIsSentAsZeroIsIgnoredOnReceipt) {
  Octets credit = written([](Writer& out) { write_credit(out, FrameType::kCredit, kCredit); });
  for (const size_t at : {1U, 8U, 9U, 10U, 11U}) credit[at] = std::byte{0xFF};
  EXPECT_EQ(parse_credit(FrameType::kCredit, only_body(credit, FrameType::kCredit)), kCredit);
  Octets abandon = written([](Writer& out) { write_abandon(out, kKey); });
  for (const size_t at : {1U, 6U, 7U}) abandon[at] = std::byte{0xFF};
  EXPECT_EQ(parse_abandon(only_body(abandon, FrameType::kAbandon)), kKey);
  Octets ack = test::load_vectors("ack_frames.txt")["ack_1"];
  for (const size_t at : {30U, 31U}) ack[at] = std::byte{0xFF};
  ASSERT_TRUE(parse_ack(ack));
  EXPECT_EQ(parse_ack(ack)->ranges_count, 1U);
}

// The frames of docs/vectors/ack_frames.txt.
AckFrame ack_0() {
  AckFrame frame;
  frame.largest = 1000;
  frame.floor = 1001;
  frame.received_at = Time(Duration(5'000'000'000));
  frame.ack_delay = Duration(250'000);
  return frame;
}

AckFrame ack_1() {
  AckFrame frame = ack_0();
  frame.floor = 900;
  frame.delivered = 140'800;
  frame.ecn_ect0 = 100;
  frame.ecn_ce = 2;
  frame.ranges[frame.ranges_count++] = {900, 1000};
  return frame;
}

AckFrame ack_256() {
  AckFrame frame;
  frame.largest = 0x1'1234'5678;
  frame.floor = 0x1'1230'0000;
  frame.received_at = Time(Duration((int64_t{1} << 62) + 7));
  frame.ack_delay = Duration((int64_t{1} << 32) - 1);
  frame.delivered = (uint64_t{1} << 40) + 1;
  frame.ecn_ect0 = uint64_t{1} << 33;
  frame.ecn_ce = 3;
  uint64_t end = frame.largest + 1;  // of the numbers not told yet
  for (uint64_t i = 0; i < 256; ++i) {
    end -= i == 0 ? 0 : 1 + i % 100;
    const uint64_t length = 1 + 37 * i % 200;
    frame.ranges[frame.ranges_count++] = {end - length, end - 1};
    end -= length;
  }
  return frame;
}

void expect_equal(const AckFrame& a, const AckFrame& b) {
  EXPECT_EQ(a.largest, b.largest);
  EXPECT_EQ(a.floor, b.floor);
  EXPECT_EQ(a.received_at, b.received_at);
  EXPECT_EQ(a.ack_delay, b.ack_delay);
  EXPECT_EQ(a.delivered, b.delivered);
  EXPECT_EQ(a.ecn_ect0, b.ecn_ect0);
  EXPECT_EQ(a.ecn_ce, b.ecn_ce);
  EXPECT_TRUE(std::ranges::equal(a.received(), b.received()));
}

struct AckBody { uint64_t largest, floor; std::vector<uint64_t> gaps_and_lengths; };

Octets body_of(const AckBody& ack) {
  return written([&](Writer& out) {
    out.write_u64(ack.largest);
    out.write_u64(ack.floor);
    out.write_zeros(12);
    out.write_u16(static_cast<uint16_t>(ack.gaps_and_lengths.size() / 2));
    out.write_zeros(26);
    for (const uint64_t value : ack.gaps_and_lengths) write_varint(out, value);
  });
}

TEST(AckFrame, With0And1And256RangesIsThatOfTheVectors) {
  auto vectors = test::load_vectors("ack_frames.txt");
  for (const auto& [name, frame] : {std::pair{"ack_0", ack_0()}, {"ack_1", ack_1()}, {"ack_256", ack_256()}}) {
    SCOPED_TRACE(name);
    const Octets plain = written([&ack = frame](Writer& out) { EXPECT_EQ(write_ack(out, ack), ack.ranges_count); });
    EXPECT_EQ(to_hex(only_body(plain, FrameType::kAck)), to_hex(vectors[name]));
    const auto parsed = parse_ack(vectors[name]);
    ASSERT_TRUE(parsed);
    expect_equal(*parsed, frame);
  }
}

TEST(AckFrame, OfTheSealedPacketOfTheVectorsIsTheOneWithOneRange) {
  const Octets plain = written([](Writer& out) { write_ack(out, ack_1()); });
  EXPECT_EQ(to_hex(plain), to_hex(test::load_vectors("sealed_packets.txt")["ack_plain"]));
}

TEST(AckFrame, IsRefusedForTheReasonsOfTheVectors) {
  size_t count = 0;
  for (const auto& [name, body] : test::load_vectors("ack_frames.txt")) {
    if (!name.starts_with("refused_")) continue;
    EXPECT_FALSE(parse_ack(body)) << name;
    ++count;
  }
  EXPECT_GE(count, 8U);
}

TEST(AckFrame, CutAnywhereOrWithAByteBehindItIsRefused) {
  for (const char* name : {"ack_0", "ack_1", "ack_256"}) {
    Octets body = test::load_vectors("ack_frames.txt")[name];
    for (size_t size = 0; size < body.size(); ++size) EXPECT_FALSE(parse_ack(std::span(body).first(size))) << name << size;
    body.push_back({});
    EXPECT_FALSE(parse_ack(body)) << name;
  }
}

TEST(AckFrame, GapsAndLengthsThatWrapAroundAreRefused) {
  EXPECT_TRUE(parse_ack(body_of({1000, 0, {0, 1001}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {0, 1002}}))) << "below zero";
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {0, kVarintMax}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {kVarintMax, 1}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {kVarintMax, kVarintMax}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {0, 1, kVarintMax, 1}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {0, 1, 1, 1000}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {1001, 1}})));
  // Enough of the largest values to come round 2^64 to where they began.
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {kVarintMax, kVarintMax, kVarintMax, kVarintMax, 3, 1}})));
  EXPECT_TRUE(parse_ack(body_of({kVarintMax, 0, {0, kVarintMax}}))) << "1 to 2^62 - 1, the most there is";
}

TEST(AckFrame, NoRangeGoesBelowTheFloor) {
  EXPECT_TRUE(parse_ack(body_of({1000, 900, {0, 101}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 900, {0, 102}})));
  EXPECT_TRUE(parse_ack(body_of({1000, 900, {100, 1}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 900, {101, 1}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 900, {0, 50, 50, 2}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 1001, {0, 1}})));
  EXPECT_TRUE(parse_ack(body_of({1000, 1001, {}}))) << "nothing is reported any more";
  EXPECT_FALSE(parse_ack(body_of({1000, 1002, {}})));
}

TEST(AckFrame, RangesAreApartAndNotEmpty) {
  EXPECT_TRUE(parse_ack(body_of({1000, 0, {0, 1, 1, 1}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {0, 1, 0, 1}}))) << "they touch";
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {0, 1, 1, 0}})));
  EXPECT_FALSE(parse_ack(body_of({1000, 0, {5, 0}})));
}

TEST(AckFrame, IntoASmallRoomGoTheNewestRanges) {
  const AckFrame frame = ack_256();
  const size_t whole = written([&](Writer& out) { write_ack(out, frame); }).size();
  for (size_t room = kFrameHeaderSize + kAckFixedSize; room <= whole; ++room) {
    Octets bytes(room);
    Writer out(bytes);
    const size_t count = write_ack(out, frame);
    ASSERT_LE(out.used(), room);
    FrameReader frames(out.written());
    const auto parsed = parse_ack(frames.next().value().body);
    ASSERT_TRUE(parsed) << room;
    ASSERT_TRUE(std::ranges::equal(parsed->received(), frame.received().first(count))) << room;
    ASSERT_EQ(count == 256, room == whole) << room;
    ASSERT_EQ(count == 0, room < kFrameHeaderSize + kAckFixedSize + 2) << room << ": a range takes two bytes";
  }
}

TEST(AckFrame, ADelayTooLongForItsFieldSaturates) {
  AckFrame frame = ack_0();
  frame.ack_delay = std::chrono::seconds(5);
  const Octets plain = written([&](Writer& out) { write_ack(out, frame); });
  EXPECT_EQ(parse_ack(only_body(plain, FrameType::kAck))->ack_delay, Duration((int64_t{1} << 32) - 1));
}

}  // namespace
}  // namespace tideway::wire
