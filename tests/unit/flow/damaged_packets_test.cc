// SPDX-License-Identifier: Apache-2.0
//
// Packets that were changed on their way, or sent again, arrive at a port, a table and a flow as those of a net worker do.
// Each is dropped, counted once, under the reason that its damage gives, and changes nothing else.
#include "flow/lane.h"

#include "crypto/registry.h"
#include "packet_io/sim_packet_io.h"
#include "support/fixed_controller.h"
#include "wire/packet_header.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace tideway::flow::damaged_packets_test {
namespace {

constexpr uint8_t kWorker = 9;
constexpr SlotId kSlot{4};
constexpr size_t kPayload = 128;
constexpr size_t kFlagsEnd = 23;  // of the header; the head's length follows
const Time kStart = Time{} + std::chrono::seconds(1);

using Octets = std::vector<std::byte>;

std::unique_ptr<Aead> key_of(uint8_t epoch) {
  std::array<std::byte, kAeadKeySize> key{};
  key[0] = std::byte{epoch};
  return crypto::make_aead(key, std::array<std::byte, kAeadIvSize>{});
}

// What was counted, by reason.
struct Counts {
  uint64_t received = 0, is_short = 0, unknown = 0, foreign = 0, malformed = 0, refused = 0, replay = 0, auth = 0;

  uint64_t dropped() const { return is_short + unknown + foreign + malformed + refused + replay + auth; }
  Counts since(const Counts& before) const {
    return {received - before.received, is_short - before.is_short, unknown - before.unknown, foreign - before.foreign,
            malformed - before.malformed, refused - before.refused, replay - before.replay, auth - before.auth};
  }
  bool operator==(const Counts&) const = default;
};

void PrintTo(const Counts& counts, std::ostream* out) {
  *out << "received " << counts.received << " short " << counts.is_short << " unknown " << counts.unknown << " foreign "
       << counts.foreign << " malformed " << counts.malformed << " refused " << counts.refused << " replay " << counts.replay
       << " auth " << counts.auth;
}

class DamagedPackets : public testing::Test {
 protected:
  DamagedPackets() {
    FlowConfig config;
    config.id = kFlow;
    config.local = local_ = table_.reserve(77).value();
    config.mtu_max = 1500_B;
    config.peer = peer_;
    config.replay_bits = AckRanges::kBitsMin;
    flow_ = &lane_.add_flow(kStart, config, std::make_unique<test::FixedController>(1_MiB, 1_Gbit));
    for (uint8_t epoch = 0; epoch < 2; ++epoch) {
      flow_->install_send_key(KeyEpoch(epoch), key_of(epoch));
      flow_->install_receive_key(KeyEpoch(epoch), key_of(epoch));
    }
    EXPECT_TRUE(lane_.open_receiving(kSlot).ok());
    EXPECT_TRUE(io_.open_path({.local = here_, .remote = peer_}).ok());
  }

  // A packet of the peer, the next part of block 0.
  Octets data(uint64_t number) { return sealed(wire::PacketType::kData, number); }
  Octets sealed(wire::PacketType type, uint64_t number) {
    const auto offset = static_cast<uint32_t>(number * kPayload);
    const wire::PacketHeader header{.type = type, .flow = kFlow, .destination = local_, .packet_number = number,
                                    .data = {.slot = kSlot, .head_units = 1, .block = BlockId(0), .offset = offset}};
    const Octets plain(kPayload);  // of frames: padding
    Octets packet(header.size() + plain.size() + kAeadTagSize);
    wire::write_header(header, packet);
    const auto whole = std::span(packet);
    const SealJob job{number, whole.first(header.size()), plain, whole.subspan(header.size())};
    key_of(0)->seal(std::span(&job, 1));
    return packet;
  }

  // What is counted when it arrives.
  Counts arrive(const Octets& packet) {
    const Counts before = counts();
    EXPECT_TRUE(wire_.second->offer({.from = peer_, .to = here_, .ecn = Ecn::kNotEct, .bytes = packet}));
    std::array<Packet, kBurstMax> burst;
    const size_t count = io_.receive(burst);
    EXPECT_EQ(count, 1U);
    const size_t foreign = table_.dispatch(kStart, std::span(burst).first(count));
    for (Packet& left : std::span(burst).first(foreign)) left.reset();
    return counts().since(before);
  }

  Counts counts() const {
    const FlowStats flow = flow_->stats();
    const FlowTableStats& table = table_.stats();
    return {flow.packets_received, table.packets_short, table.packets_unknown, table.packets_foreign, flow.dropped_malformed,
            flow.dropped_refused, flow.dropped_replay, flow.dropped_auth};
  }

  static constexpr FlowId kFlow{7};
  const Endpoint here_ = Endpoint::parse("10.0.0.2:7401").value(), peer_ = Endpoint::parse("10.0.0.1:50000").value();
  std::pair<std::unique_ptr<packet_io::SimWire>, std::unique_ptr<packet_io::SimWire>> wire_ = packet_io::quiet_wire(4);
  packet_io::SimPacketIo io_{{.address = here_, .payload_max = 20_KiB, .rooms = 8}, *wire_.first};
  std::unique_ptr<BufferPool> pool_ = BufferPool::create(20).value();
  FlowTable table_{kWorker};
  Lane lane_{{.lane = LaneId(2), .unit = kBufferSize, .blocks_given_max = 8}, *pool_, table_};
  ConnectionId local_;
  Flow* flow_ = nullptr;
};

Octets cut(Octets packet, size_t size) {
  packet.resize(size);
  return packet;
}

Octets flipped(Octets packet, size_t at, uint8_t mask) {
  packet[at] ^= std::byte{mask};
  return packet;
}

TEST_F(DamagedPackets, EachKindIsCountedUnderItsReason) {
  constexpr Counts kShort{.is_short = 1}, kUnknown{.unknown = 1}, kForeign{.foreign = 1}, kMalformed{.malformed = 1},
      kRefused{.refused = 1}, kAuth{.auth = 1};
  const Octets whole = data(1);
  struct Damage { const char* what; Counts expected; Octets packet; };
  const Damage damages[] = {
      {"nothing at all", kShort, {}},
      {"cut inside of the connection id", kShort, cut(whole, 11)},
      {"cut behind the connection id", kMalformed, cut(whole, 12)},
      {"cut inside of the number", kMalformed, cut(whole, 19)},
      {"no room for a tag", kMalformed, cut(sealed(wire::PacketType::kAck, 1), 35)},
      {"DATA without payload", kMalformed, cut(whole, 48)},
      {"cut inside of the payload", kAuth, cut(whole, 49)},
      {"cut inside of the tag", kAuth, cut(whole, whole.size() - 1)},
      {"bytes added", kAuth, cut(whole, whole.size() + 1)},
      {"larger than any of ours", kMalformed, cut(whole, (16 << 10) + 1)},
      {"fixed bit", kMalformed, flipped(whole, 0, 0x80)},
      {"version 0", kMalformed, flipped(whole, 0, 0x10)},
      {"version 3", kMalformed, flipped(whole, 0, 0x20)},
      {"the type kept for repair", kMalformed, flipped(whole, 0, 0x05)},
      {"an unknown type", kMalformed, flipped(whole, 0, 0x0E)},
      {"DATA as CONTROL", kAuth, flipped(whole, 0, 0x02)},
      {"the next key epoch", kAuth, flipped(whole, 1, 0x01)},
      {"a key epoch nobody has", kRefused, flipped(whole, 1, 0x02)},
      {"the key epoch before the first", kRefused, flipped(whole, 1, 0xFF)},
      {"flow", kRefused, flipped(whole, 3, 0x01)},
      {"worker", kForeign, flipped(whole, 4, 0x01)},
      {"slot of the flow", kUnknown, flipped(whole, 6, 0x01)},
      {"slot beyond the table", kUnknown, flipped(whole, 5, 0x80)},
      {"random bits of the connection id", kUnknown, flipped(whole, 11, 0x01)},
      {"number", kAuth, flipped(whole, 19, 0x40)},
      {"number far ahead", kAuth, flipped(whole, 12, 0x80)},
      {"transfer slot", kRefused, flipped(whole, 21, 0x01)},
      {"flags", kAuth, flipped(whole, kFlagsEnd - 1, 0x02)},
      {"no head", kMalformed, flipped(whole, kFlagsEnd, 0x01)},
      {"another head", kAuth, flipped(whole, kFlagsEnd, 0x02)},
      {"another block", kAuth, flipped(whole, 27, 0x01)},
      {"offset outside of the block", kRefused, flipped(whole, 28, 0x80)},
      {"offset within the block", kAuth, flipped(whole, 30, 0x10)},
  };
  for (const Damage& damage : damages) EXPECT_EQ(arrive(damage.packet), damage.expected) << damage.what;
  EXPECT_EQ(arrive(whole), Counts{.received = 1}) << "what was damaged on the way may still arrive whole";
}

TEST_F(DamagedPackets, NoBitMayChange) {
  for (const auto type : {wire::PacketType::kData, wire::PacketType::kControl}) {
    const Octets whole = sealed(type, type == wire::PacketType::kData ? 1 : 2);
    const size_t header = type == wire::PacketType::kData ? wire::kDataHeaderSize : wire::kHeaderSize;
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
      const Counts counted = arrive(flipped(whole, bit / 8, static_cast<uint8_t>(1 << bit % 8)));
      ASSERT_EQ(counted.received, 0U) << "bit " << bit;
      ASSERT_EQ(counted.dropped(), 1U) << "bit " << bit;
      ASSERT_EQ(counted.auth, bit / 8 >= header ? 1U : counted.auth) << "bit " << bit;
    }
    EXPECT_EQ(arrive(whole), Counts{.received = 1});
  }
}

TEST_F(DamagedPackets, ASecondArrivalIsAReplayWhateverItLooksLike) {
  const Octets whole = data(1), control = sealed(wire::PacketType::kControl, 2);
  EXPECT_EQ(arrive(whole), Counts{.received = 1});
  EXPECT_EQ(arrive(control), Counts{.received = 1});
  constexpr Counts kReplay{.replay = 1};
  EXPECT_EQ(arrive(whole), kReplay);
  EXPECT_EQ(arrive(control), kReplay);
  EXPECT_EQ(arrive(flipped(whole, whole.size() - 1, 1)), kReplay);
  EXPECT_EQ(arrive(cut(whole, 60)), kReplay);
}

TEST_F(DamagedPackets, APacketOlderThanTheWindowIsAReplay) {
  const Octets old = sealed(wire::PacketType::kControl, 3), late = sealed(wire::PacketType::kControl, 4);
  EXPECT_EQ(arrive(sealed(wire::PacketType::kControl, AckRanges::kBitsMin + 3)), Counts{.received = 1});
  EXPECT_EQ(arrive(old), Counts{.replay = 1});
  EXPECT_EQ(arrive(late), Counts{.received = 1}) << "the oldest number within the window";
}

}  // namespace
}  // namespace tideway::flow::damaged_packets_test
