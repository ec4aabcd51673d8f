// SPDX-License-Identifier: Apache-2.0
//
// What a lane and a table do without a link; tests/sim/sim_pair_test.cc has the rest.
#include "flow/lane.h"

#include "base/cursor.h"
#include "support/fixed_controller.h"
#include "support/test_aead.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace tideway::flow::lane_test {
namespace {

constexpr LaneId kLane{2};
constexpr uint8_t kWorker = 9;
constexpr SlotId kSlot{4};
const Time kStart = Time{} + std::chrono::seconds(1);

struct LaneTest : testing::Test {
  std::unique_ptr<BufferPool> pool = BufferPool::create(20).value();
  FlowTable table{kWorker};
  Lane lane{{.lane = kLane, .unit = kBufferSize, .blocks_given_max = 8}, *pool, table};

  ConnectionId add_flow(uint16_t id) {
    const ConnectionId local = table.reserve(id * 77U).value();
    FlowConfig config;
    config.id = FlowId(id);
    config.local = local;
    config.mtu_max = 1500_B;
    config.peer.port = 1;
    config.replay_bits = AckRanges::kBitsMin;
    lane.add_flow(kStart, config, std::make_unique<test::FixedController>(1_MiB, 1_Gbit));
    return local;
  }
  PackedBlock make_block(uint32_t number) {
    return {.key = {kSlot, BlockId(number)}, .head_units = 1, .length = 1000, .buffer = pool->take()};
  }
  // Packets that carry these connection ids, too short to be anything else.
  std::vector<Packet> packets_of(std::initializer_list<uint64_t> ids) {
    std::vector<Packet> packets;
    for (const uint64_t id : ids) {
      bytes_.push_back(std::make_unique<std::array<std::byte, 12>>());
      Writer out(*bytes_.back());
      out.write_u32(0x91000000);
      out.write_u64(id);
      packets.emplace_back().bytes = *bytes_.back();
    }
    return packets;
  }
  uint64_t seen_by(size_t flow) const { return lane.flows()[flow]->stats().dropped_malformed; }

 private:
  std::vector<std::unique_ptr<std::array<std::byte, 12>>> bytes_;
};

TEST(FlowTable, AConnectionIdNamesWorkerSlotAndFortyRandomBits) {
  FlowTable table(0xAB);
  const ConnectionId first = table.reserve(0xFFFF'FF12'3456'789A).value(), second = table.reserve(0).value();
  EXPECT_EQ(first.value(), 0xAB00'0012'3456'789AU);
  EXPECT_EQ(second.value(), 0xAB00'0100'0000'0000U);
  EXPECT_EQ(FlowTable::worker_of(second), 0xAB);
}

TEST(FlowTable, IdsRunOutAndComeBackLongestFreeFirst) {
  FlowTable table(0);
  std::vector<ConnectionId> ids;
  while (const auto id = table.reserve(7)) ids.push_back(*id);
  EXPECT_EQ(ids.size(), FlowTable::kFlowsMax);
  table.release(ids[5]);
  table.release(ids[3]);
  table.release(ids[3]);                       // twice changes nothing
  table.release(ConnectionId(ids[9].value() ^ 1));  // of nobody
  EXPECT_EQ(table.reserve(8).value().value() >> 40, 3U);
  EXPECT_EQ(table.reserve(8).value().value() >> 40, 5U);
  EXPECT_FALSE(table.reserve(8).has_value());
}

TEST_F(LaneTest, PacketsReachTheFlowWhoseWholeIdTheyCarry) {
  const uint64_t a = add_flow(1).value(), b = add_flow(2).value();
  const uint64_t beyond = uint64_t{kWorker} << 56 | uint64_t{0xFFFF} << 40;  // a slot the table does not have
  auto burst = packets_of({a, b, a, b, b, a ^ 1, b ^ uint64_t{1} << 41, beyond});
  EXPECT_EQ(table.dispatch(kStart, burst), 0U);
  EXPECT_EQ(seen_by(0), 2U);
  EXPECT_EQ(seen_by(1), 3U);
  EXPECT_EQ(table.stats().packets_unknown, 3U);
}

TEST_F(LaneTest, PacketsOfOtherWorkersAreLeftAtTheFront) {
  const uint64_t a = add_flow(1).value();
  const uint64_t other = a ^ uint64_t{3} << 56;
  auto burst = packets_of({a, other, a, other + 1});
  ASSERT_EQ(table.dispatch(kStart, burst), 2U);
  EXPECT_EQ(FlowTable::id_of(burst[0]), ConnectionId(other));
  EXPECT_EQ(FlowTable::id_of(burst[1]), ConnectionId(other + 1));
  EXPECT_EQ(seen_by(0), 2U);
  EXPECT_EQ(table.stats().packets_foreign, 2U);
}

TEST_F(LaneTest, PacketsTooShortForAnIdAreCounted) {
  add_flow(1);
  std::vector<Packet> burst = packets_of({1, 2});
  burst[0].bytes = burst[0].bytes.first(11);
  burst[1].bytes = {};
  EXPECT_EQ(table.dispatch(kStart, burst), 0U);
  EXPECT_EQ(table.stats().packets_short, 2U);
}

TEST_F(LaneTest, ARemovedFlowGetsNothingMore) {
  const uint64_t a = add_flow(1).value(), b = add_flow(2).value();
  lane.remove_flow(kStart, FlowId(1));
  ASSERT_EQ(lane.flows().size(), 1U);
  auto burst = packets_of({a, b});
  table.dispatch(kStart, burst);
  EXPECT_EQ(table.stats().packets_unknown, 1U);
  EXPECT_EQ(seen_by(0), 1U);
}

TEST_F(LaneTest, ABlockStaysWithTheCallerUntilThereIsCredit) {
  lane.open_sending(kSlot, Bytes(2 * kBufferSize));
  EXPECT_TRUE(lane.offer(make_block(0)));
  EXPECT_TRUE(lane.offer(make_block(1)));
  PackedBlock third = make_block(2);
  EXPECT_FALSE(lane.offer(std::move(third)));
  EXPECT_FALSE(third.buffer.is_empty());
  EXPECT_EQ(lane.stats().credit.stalls, 1U);
  lane.close_sending(kSlot);
  EXPECT_EQ(pool->free(), 19U);
}

TEST_F(LaneTest, OpeningGivesCreditAndTooManyAreOverloaded) {
  ASSERT_TRUE(lane.open_receiving(SlotId(1)).ok());
  ASSERT_TRUE(lane.open_receiving(SlotId(2)).ok());
  EXPECT_GE(lane.credit_given(SlotId(1)), Bytes(2 * kBufferSize));
  const Status third = lane.open_receiving(SlotId(3));
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().fault, Fault::kOverloaded);
  EXPECT_EQ(lane.credit_given(SlotId(3)), Bytes());
  lane.close_receiving(SlotId(1));
  EXPECT_TRUE(lane.open_receiving(SlotId(3)).ok());
  lane.on_buffer_free(SlotId(1));  // of a slot that is gone: ignored
}

TEST_F(LaneTest, ALaneWithoutFlowsIsNotDeadAndOneWhoseFlowsClosedIsAfterASecond) {
  lane.on_turn(kStart);
  EXPECT_FALSE(lane.is_dead(kStart + std::chrono::hours(1)));
  add_flow(1);
  lane.flows()[0]->close(kStart);
  lane.on_turn(kStart);
  EXPECT_EQ(lane.next_deadline(), kStart + Lane::kDeadAfter);
  EXPECT_FALSE(lane.is_dead(kStart + std::chrono::milliseconds(999)));
  EXPECT_TRUE(lane.is_dead(kStart + Lane::kDeadAfter));
  lane.on_turn(kStart + Lane::kDeadAfter);
  EXPECT_EQ(lane.next_deadline(), kNever);
  EXPECT_TRUE(lane.is_dead(kStart + Lane::kDeadAfter));
}

TEST_F(LaneTest, ADeadLaneGivesItsBlocksBack) {
  lane.open_sending(kSlot, Bytes(2 * kBufferSize));
  ASSERT_TRUE(lane.offer(make_block(0)));
  ASSERT_TRUE(lane.offer(make_block(1)));
  add_flow(1);
  lane.flows()[0]->close(kStart);
  lane.on_turn(kStart);
  const Time dead = kStart + Lane::kDeadAfter;
  EXPECT_EQ(lane.take_back(dead).value().key.block, BlockId(0));
  EXPECT_EQ(lane.take_back(dead).value().key.block, BlockId(1));
  EXPECT_FALSE(lane.take_back(dead).has_value());
}

// A packet takes some 60 of them. The rest used to leave with whatever was due next: an ack, a round trip later.
TEST_F(LaneTest, CreditFramesThatDidNotFitAPacketAreDueAtOnce) {
  constexpr uint16_t kSlots = 150;
  add_flow(1);
  Flow& flow = *lane.flows()[0];
  flow.install_send_key(KeyEpoch(0), std::make_unique<test::TestAead>(1));
  for (uint16_t slot = 1; slot <= kSlots; ++slot) {
    lane.open_sending(SlotId(slot), Bytes());
    PackedBlock block = make_block(0);
    block.key.slot = SlotId(slot);
    ASSERT_FALSE(lane.offer(std::move(block)));  // BLOCKED is due
  }
  std::array<std::array<std::byte, 1472>, 4> memory{};
  int bursts = 0;
  for (; lane.next_deadline() <= kStart && bursts < 10; ++bursts) {
    EXPECT_GT(flow.packets_wanted(kStart), 0U);
    std::array<Packet, 4> rooms;
    for (size_t i = 0; i < rooms.size(); ++i) rooms[i].bytes = memory[i];
    flow.write_burst(kStart, rooms);
  }
  EXPECT_GE(bursts, 3);
  EXPECT_LT(bursts, 10) << "and what has left is not due any more";
}

}  // namespace
}  // namespace tideway::flow::lane_test
