// SPDX-License-Identifier: Apache-2.0
//
// Ports with two queue pairs, each with a worker: one host to others, whatever queue a frame comes to.
#include "dpdk/ring_ports.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace tideway::packet_io {
namespace {

class DpdkWorkersTest : public testing::Test {
 protected:
  DpdkWorkersTest() {
    start_test_eal();
    pair_ = DpdkRingPair::create({port_config(1, 1500_B), port_config(2, 1500_B)}, {.slots = 4096, .queues = 2}).value();
    for (uint16_t queue = 0; queue < 2; ++queue) {
      a_[queue] = DpdkPacketIo::create({pair_->a(), queue, TestClock::now}).value();
      b_[queue] = DpdkPacketIo::create({pair_->b(), queue, TestClock::now}).value();
    }
  }
  static PathId path(DpdkPacketIo& io, const Endpoint& local, const Endpoint& remote) {
    return io.open_path({.local = local, .remote = remote}).value().id;
  }
  static size_t receive(DpdkPacketIo& io) {
    std::array<Packet, kBurstMax> burst;
    return io.receive(burst);
  }
  void settle() {
    for (int turn = 0; turn < 100; ++turn)
      for (auto* ios : {&a_, &b_})
        for (auto& io : *ios) receive(*io);
  }
  static size_t send(DpdkPacketIo& io, PathId path, size_t count) {
    std::vector<Packet> packets(count);
    EXPECT_EQ(io.allocate(path, 100_B, packets), count);
    for (Packet& packet : packets) std::ranges::fill(packet.bytes, std::byte{0x5A});
    return io.send(packets);
  }

  std::unique_ptr<DpdkRingPair> pair_;
  std::array<std::unique_ptr<DpdkPacketIo>, 2> a_, b_;
  const Endpoint a_local_ = Endpoint::parse("10.0.0.1:7401").value(), b_local_ = Endpoint::parse("10.0.0.2:7402").value();
};

// The second worker's question comes to the other port's second worker, who does not answer; the answer to the first.
TEST_F(DpdkWorkersTest, EachLearnsNeighboursAndOnlyTheFirstAnswers) {
  const PathId out = path(*b_[1], b_local_, a_local_);
  settle();
  EXPECT_EQ(send(*b_[1], out, 1), 1U);
  EXPECT_EQ(a_[1]->host_stats().arp_replies, 0U);
  EXPECT_GE(a_[0]->host_stats().arp_replies, 1U);
  EXPECT_EQ(a_[1]->host_stats().announcements_sent + b_[1]->host_stats().announcements_sent, 0U);
  EXPECT_GE(a_[0]->host_stats().announcements_sent, 1U);
}

TEST_F(DpdkWorkersTest, APacketReachesThePortsOwnerThroughHisInbox) {
  path(*a_[0], a_local_, b_local_);
  const PathId out = path(*b_[1], b_local_, a_local_);
  settle();
  const uint64_t handed = a_[1]->stats().handed_over, taken = a_[0]->stats().taken_over;
  ASSERT_EQ(send(*b_[1], out, 20), 20U);
  EXPECT_EQ(receive(*a_[1]), 0U) << "it is the first one's port";
  EXPECT_EQ(a_[1]->stats().handed_over - handed, 20U);
  EXPECT_EQ(receive(*a_[0]), 20U);
  EXPECT_EQ(a_[0]->stats().taken_over - taken, 20U);
  EXPECT_EQ(a_[0]->stats().packets_received, 20U);
  EXPECT_EQ(a_[1]->stats().dropped_no_path + a_[0]->stats().dropped_no_path, 0U);
}

TEST_F(DpdkWorkersTest, AFullInboxLosesPacketsAndKeepsNoMbuf) {
  path(*a_[0], a_local_, b_local_);
  const PathId out = path(*b_[1], b_local_, a_local_);
  settle();
  size_t sent = 0;
  while (sent < kInboxSlots + 500) {
    sent += send(*b_[1], out, kBurstMax);
    receive(*a_[1]);
  }
  EXPECT_GE(a_[1]->stats().lost_handed_over, 500U);
  size_t received = 0;
  for (size_t count = 1; count > 0; received += count) count = receive(*a_[0]);
  EXPECT_EQ(received + a_[1]->stats().lost_handed_over, sent);
}

TEST_F(DpdkWorkersTest, APortBelongsToOneWorkerUntilItsLastPathCloses) {
  const PathId first = path(*a_[0], a_local_, b_local_), second = path(*a_[0], a_local_, Endpoint::parse("10.0.0.2:9").value());
  const auto refused = a_[1]->open_path({.local = a_local_, .remote = b_local_});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
  a_[0]->close_path(first);
  EXPECT_FALSE(a_[1]->open_path({.local = a_local_, .remote = b_local_}).ok());
  a_[0]->close_path(second);
  EXPECT_TRUE(a_[1]->open_path({.local = a_local_, .remote = b_local_}).ok());
}

TEST_F(DpdkWorkersTest, PortsThatAreLeftToTheBackendDiffer) {
  Endpoint any = a_local_;
  any.port = 0;
  const auto one = a_[0]->open_path({.local = any, .remote = {}}).value(), other = a_[1]->open_path({.local = any, .remote = {}}).value();
  EXPECT_NE(one.local.port, other.local.port);
}

}  // namespace
}  // namespace tideway::packet_io
