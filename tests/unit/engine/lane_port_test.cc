// SPDX-License-Identifier: Apache-2.0
//
// What a lane does with its share of a rate.
#include "engine/lane_port.h"

#include "base/cursor.h"
#include "packet_io/sim_packet_io.h"
#include "support/test_aead.h"
#include "wire/frames.h"
#include "wire/packet_header.h"

#include <gtest/gtest.h>

#include <functional>

namespace tideway::engine {
namespace {

using std::chrono::milliseconds;

// Lets all through, and wants to leave a long train at first.
class StartsWithTrain final : public CongestionController {
 public:
  void on_ack(const AckSample&) override {}
  void on_loss(const LossSample&) override {}
  void on_spurious_loss(Time) override {}
  Bytes window() const override { return 1_MiB; }
  Rate pacing_rate() const override { return 1_Gbit; }
  Bytes train() const override { return 64_KiB; }
};

struct LaneShare : testing::Test {
  static constexpr SlotId kOf{3};
  static constexpr TransferHandle kBy{1};
  static constexpr Rate kSmall = Rate::bytes_per_second(10'000);  // a packet takes more than a tenth of a second
  const LaneHandle handle = lane_handle(0, 1);
  Time now{milliseconds(1000)};
  std::unique_ptr<BufferPool> pool = BufferPool::create(4).value();
  flow::FlowTable table{0};
  flow::CreditPool credit{.blocks_max = 2};
  std::pair<std::unique_ptr<packet_io::SimWire>, std::unique_ptr<packet_io::SimWire>> wire = packet_io::quiet_wire(1024);
  packet_io::SimPacketIo io{{.address = Endpoint::parse("10.0.0.1:0").value()}, *wire.first};
  std::shared_ptr<LaneBoard> board = std::make_shared<LaneBoard>(1);
  SpscRing<BlockNotice> notices{8};
  std::unique_ptr<LanePort> lane;
  Delivery delivery = Delivery::kDatagram;
  const ConnectionId local = table.reserve(7).value();
  const Endpoint peer = Endpoint::parse("10.0.0.2:7401").value();
  Endpoint here;

  void SetUp() override {
    OpenLane open;
    open.credit_unit = kBufferSize;
    open.board = board;
    open.delivery = delivery;
    lane = std::make_unique<LanePort>(now, open, LanePort::Ground{*pool, table, credit});
    OpenFlow flow;
    flow.config.local = local;
    flow.config.mtu_max = 1500_B;
    flow.config.delivery = delivery;
    flow.config.rtt_initial = milliseconds(10);
    flow.config.peer = peer;
    for (auto* keys : {&flow.send_keys, &flow.receive_keys})
      for (auto& key : *keys) key = std::make_unique<test::TestAead>(1);
    const auto path = io.open_path({.local = io_address(), .remote = flow.config.peer}).value();
    flow.local = here = path.local;
    lane->add_flow(now, std::move(flow), path.id, std::make_unique<StartsWithTrain>());
    lane->deal(now, kSmall);
  }
  static Endpoint io_address() { return Endpoint::parse("10.0.0.1:0").value(); }
  void offer_block() {
    ASSERT_TRUE(lane->open_slot({OpenSlot::Role::kSending, handle, kOf, kBy, 2 * kBufferSize}).ok());
    lane->take_block({handle, kBy, {{kOf, BlockId(0)}, 1, 1'000'000, pool->take()}});
    ASSERT_TRUE(lane->start_blocks(handle, notices));
  }
  uint64_t sent_by(Time until) {
    for (; now <= until; now += milliseconds(1)) lane->transmit(now, io);
    lane->tell_board();
    return board->flows[0].bytes_sent.get();
  }
  void TearDown() override {
    lane->close(now, io);
    lane.reset();
  }
};

// It used to count as one who wants nothing, because it had sent nothing, and stayed where it was for seconds.
TEST_F(LaneShare, WhoWaitsForHisPacketWantsMore) {
  offer_block();
  sent_by(now + milliseconds(20));
  lane->deal(now, kSmall);  // of this share nothing has left by the next deal
  sent_by(now + milliseconds(20));
  EXPECT_TRUE(lane->wanted_rate(now).is_unlimited());
}

TEST_F(LaneShare, WhoHasNothingToSendWantsNothing) {
  sent_by(now + milliseconds(20));
  lane->deal(now, kSmall);
  sent_by(now + milliseconds(20));
  EXPECT_LT(lane->wanted_rate(now), kSmall);  // its path challenges
}

// It used to wait as the share before had asked it to.
TEST_F(LaneShare, ALargerOneCountsAtOnce) {
  offer_block();
  const uint64_t before = sent_by(now + milliseconds(20));
  lane->deal(now, 10_Mbit);
  EXPECT_LE(lane->next_deadline(now), now + milliseconds(2));
  EXPECT_GT(sent_by(now + milliseconds(2)), before + 1000);
}

// A train of 64 KiB would take seven seconds to come together.
TEST_F(LaneShare, NoTrainIsWaitedForBehindIt) {
  offer_block();
  const uint64_t before = sent_by(now + milliseconds(20));
  EXPECT_GT(sent_by(now + milliseconds(200)), before + 1000);
}

// With all headers, and though not every byte of a packet can be used.
TEST_F(LaneShare, OfALinkItUsesWhatTheLinkIsChargedFor) {
  offer_block();
  lane->deal(now, Rate::unlimited(), 20_Mbit);
  const auto charged_by = [this](Time until) {
    sent_by(until);
    const flow::FlowStats stats = lane->lane().flows()[0]->stats();
    return static_cast<double>(stats.bytes_sent + stats.packets_sent * (38 + 20 + 8));
  };
  const double before = charged_by(now + milliseconds(20));
  const double charged = charged_by(now + milliseconds(200)) - before, share = static_cast<double>((20_Mbit).over(milliseconds(200)).count());
  EXPECT_LE(charged, share * 1.01);
  EXPECT_GE(charged, share * 0.992);
}

// What a lane sends belongs to the transfers of several classes at once.
TEST_F(LaneShare, WhatLeavesIsCountedByTheClassOfItsSlot) {
  constexpr SlotId kOther{4};
  constexpr TransferHandle kAnother{2};
  lane->deal(now, Rate::unlimited());
  ASSERT_TRUE(lane->open_slot({.lane = handle, .slot = kOf, .transfer = kBy, .credit_bytes = 2 * kBufferSize, .account = Account::kRestore}).ok());
  ASSERT_TRUE(lane->open_slot({.lane = handle, .slot = kOther, .transfer = kAnother, .credit_bytes = 2 * kBufferSize, .account = Account::kStaging}).ok());
  lane->take_block({handle, kBy, {{kOf, BlockId(0)}, 1, 20'000, pool->take()}});
  lane->take_block({handle, kAnother, {{kOther, BlockId(0)}, 1, 50'000, pool->take()}});
  ASSERT_TRUE(lane->start_blocks(handle, notices));
  const uint64_t all = sent_by(now + milliseconds(20));
  const auto sent = [this](Account account) { return board->bytes_sent[static_cast<size_t>(account)].get(); };
  EXPECT_GT(sent(Account::kRestore), 20'000u);
  EXPECT_LT(sent(Account::kRestore), 22'000u);
  EXPECT_GT(sent(Account::kStaging), 50'000u);
  EXPECT_LT(sent(Account::kStaging), 55'000u);
  EXPECT_GT(sent(Account::kOther), 0u) << "the challenge of its path";
  EXPECT_EQ(sent(Account::kRestore) + sent(Account::kStaging) + sent(Account::kOther), all);
}

// There the kernel makes the packets: 1,448 bytes in 1,538.
struct LaneShareOfStream : LaneShare {
  LaneShareOfStream() { delivery = Delivery::kStream; }
};
TEST_F(LaneShareOfStream, OfALinkItUsesWhatTheLinkIsChargedFor) {
  offer_block();
  lane->deal(now, Rate::unlimited(), 20_Mbit);
  const uint64_t before = sent_by(now + milliseconds(20));
  const auto charged = static_cast<double>(sent_by(now + milliseconds(200)) - before) * 1538 / 1448;
  const auto share = static_cast<double>((20_Mbit).over(milliseconds(200)).count());
  EXPECT_LE(charged, share * 1.005);
  EXPECT_GE(charged, share * 0.997);
}

struct LaneInBurst : LaneShare {
  static constexpr Rate kAllowed = Rate::bytes_per_second(1'000'000);
  Gates gates{1, {}};

  void close_gate(gate::GateReason why, Rate in_bursts) {
    lane->put_gate(now, gates, 0, 0);
    lane->set_ceiling(Rate::unlimited(), in_bursts);
    lane->deal(now, Rate::unlimited());
    gates.word(0).write({{.closed_until = now + milliseconds(500), .reason = why}, 0, 0, {}});
    sent_by(now + milliseconds(20));
    offer_block();
  }
  uint64_t sent_within_200_ms() {
    const uint64_t before = sent_by(now);
    return sent_by(now + milliseconds(200)) - before;
  }
  uint64_t sent_while_closed(gate::GateReason why, Rate in_bursts) {
    close_gate(why, in_bursts);
    return sent_within_200_ms();
  }
};

TEST_F(LaneInBurst, ADeadlineTakesWhatItsOwnersAllow) {
  const uint64_t sent = sent_while_closed(gate::GateReason::kTraining, kAllowed);
  EXPECT_GT(sent, 150'000U);
  EXPECT_LT(sent, 220'000U);
}

TEST_F(LaneInBurst, WithoutThatOnlyTheTricklePasses) { EXPECT_LT(sent_while_closed(gate::GateReason::kTraining, Rate()), 60'000U); }

TEST_F(LaneInBurst, NothingMorePassesWhileItIsMeasuredWhatBulkCosts) { EXPECT_LT(sent_while_closed(gate::GateReason::kHoldout, kAllowed), 60'000U); }

TEST_F(LaneInBurst, WhatIsAllowedMayChangeUnderWay) {
  close_gate(gate::GateReason::kTraining, Rate());
  sent_by(now + milliseconds(10));  // for longer nobody answers, and the flow rests
  lane->set_ceiling(Rate::unlimited(), kAllowed);
  EXPECT_GT(sent_within_200_ms(), 150'000U);
}

// A peer that has the keys, and sends what no gateway would.
struct DataLies : LaneShare {
  static constexpr std::string_view kBroke = "the peer broke the packet protocol";
  using Frames = std::function<void(Writer&)>;
  uint64_t next_number = 0;

  // What the engine is told of the lane when a packet with these frames has arrived.
  std::optional<Error> hear(wire::PacketType type, const Frames& frames) {
    const wire::PacketHeader header{.type = type, .flow = {}, .destination = local, .packet_number = next_number++, .data = {}};
    std::array<std::byte, 1024> plain{};
    Writer out(plain);
    frames(out);
    std::vector<std::byte> packet(header.size() + out.used() + kAeadTagSize);
    wire::write_header(header, packet);
    const auto whole = std::span(packet);
    const SealJob job{header.packet_number, whole.first(header.size()), std::span(plain).first(out.used()), whole.subspan(header.size())};
    test::TestAead(1).seal({&job, 1});
    EXPECT_TRUE(wire.second->offer({.from = peer, .to = here, .ecn = Ecn::kNotEct, .bytes = packet}));
    std::array<Packet, kBurstMax> burst;
    const size_t count = io.receive(burst);
    EXPECT_EQ(count, 1U);
    EXPECT_EQ(table.dispatch(now, std::span(burst).first(count)), 0U);
    return lane->take_death(now);
  }
  void expect_cut_off(wire::PacketType type, const Frames& frames) {
    EXPECT_FALSE(hear(wire::PacketType::kControl, [](Writer& out) { wire::write_padding(out, 40); })) << "what is sound";
    const auto death = hear(type, frames);
    ASSERT_TRUE(death);
    EXPECT_EQ(death->fault, Fault::kProtocolError);
    EXPECT_EQ(death->what, kBroke);
    EXPECT_FALSE(lane->take_death(now)) << "it is told once";
  }
};

TEST_F(DataLies, N20AnAcknowledgementOfWhatWasNotSentEndsTheSession) {
  expect_cut_off(wire::PacketType::kAck, [](Writer& out) {
    wire::AckFrame ack;
    ack.largest = 1'000'000;
    ack.ranges_count = 1;
    ack.ranges[0] = {1'000'000, 1'000'000};
    wire::write_ack(out, ack);
  });
}

TEST_F(DataLies, X01AFrameOfNoTypeEndsTheSession) {
  expect_cut_off(wire::PacketType::kControl, [](Writer& out) { wire::write_frame_header(out, wire::FrameType{0x0C}, 0); });
}

TEST_F(DataLies, X01AFrameThatIsCutEndsTheSession) {
  expect_cut_off(wire::PacketType::kControl, [](Writer& out) { wire::write_frame_header(out, wire::FrameType::kForget, 8); });
}

TEST_F(DataLies, X01WhatHasToArriveInAPacketThatIsNotAcknowledgedEndsTheSession) {
  expect_cut_off(wire::PacketType::kAck, [](Writer& out) { wire::write_forget(out, 0); });
}

TEST_F(DataLies, X24CreditOfALaneThatIsNotThisOneEndsTheSession) {
  expect_cut_off(wire::PacketType::kControl, [](Writer& out) { wire::write_credit(out, wire::FrameType::kCredit, {kOf, LaneId(99), UINT64_MAX}); });
}

}  // namespace
}  // namespace tideway::engine
