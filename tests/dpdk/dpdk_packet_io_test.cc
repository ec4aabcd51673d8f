// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_packet_io.h"

#include "dpdk/ring_ports.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace tideway::packet_io {
namespace {

using namespace std::chrono_literals;

class DpdkPacketIoTest : public testing::Test {
 protected:
  RingPorts ports_ = make_ring_ports(port_config(1, 1500_B), port_config(2, 1500_B));
  DpdkPacketIo& a_ = *ports_.a;
  DpdkPacketIo& b_ = *ports_.b;
  const Endpoint a_local_ = Endpoint::parse("10.0.0.1:7401").value(), b_local_ = Endpoint::parse("10.0.0.2:7401").value();

  PathId path(DpdkPacketIo& io, const Endpoint& local, const Endpoint& remote) {
    return io.open_path({.local = local, .remote = remote}).value().id;
  }
  std::vector<Packet> write(PathId path, size_t count, size_t size = 100) {
    std::vector<Packet> packets(count);
    EXPECT_EQ(a_.allocate(path, Bytes(size), packets), count);
    for (Packet& packet : packets) std::ranges::fill(packet.bytes, std::byte{0x5A});
    return packets;
  }
  size_t receive(DpdkPacketIo& io) {
    std::array<Packet, kBurstMax> burst;
    return io.receive(burst);
  }
};

TEST_F(DpdkPacketIoTest, TheFirstPacketsWaitForTheNextHopAndThenGo) {
  const PathId out = path(a_, a_local_, b_local_);
  path(b_, b_local_, a_local_);
  auto packets = write(out, 3);
  EXPECT_EQ(a_.send(packets), 0U) << "nobody has told the MAC yet";
  EXPECT_EQ(a_.stats().lost_unresolved, 0U);
  ports_.settle();
  EXPECT_EQ(a_.send(packets), 3U);
  EXPECT_EQ(receive(b_), 3U);
  EXPECT_EQ(b_.host_stats().arp_replies, 1U);
}

TEST_F(DpdkPacketIoTest, PacketsForANextHopThatNobodyHasAreDroppedAfterAWhile) {
  const PathId out = path(a_, a_local_, Endpoint::parse("10.0.0.77:7401").value());
  auto packets = write(out, 3);
  receive(a_);
  EXPECT_EQ(a_.send(packets), 0U);
  TestClock::advance(kResolveTime);
  receive(a_);
  EXPECT_EQ(a_.send(packets), 3U);
  EXPECT_EQ(a_.stats().lost_unresolved, 3U);
  EXPECT_EQ(a_.packets_out(), 0U);
  EXPECT_EQ(a_.host_stats().neighbours.asks_sent, 2U) << "at the start, and when it was time again";
}

TEST_F(DpdkPacketIoTest, OneUnresolvedPathDoesNotHoldUpWhatWasOfferedBeforeIt) {
  const PathId good = path(a_, a_local_, b_local_), bad = path(a_, a_local_, Endpoint::parse("10.0.0.77:7401").value());
  path(b_, b_local_, a_local_);
  ports_.settle();
  auto packets = write(good, 2);
  for (Packet& packet : write(bad, 1)) packets.push_back(std::move(packet));
  for (Packet& packet : write(good, 2)) packets.push_back(std::move(packet));
  EXPECT_EQ(a_.send(packets), 2U);
  TestClock::advance(kResolveTime);
  receive(a_);
  EXPECT_EQ(a_.send(std::span(packets).subspan(2)), 3U);
  EXPECT_EQ(receive(b_), 4U);
}

TEST_F(DpdkPacketIoTest, AShortPacketIsPaddedAndArrivesInItsOwnLength) {
  const PathId out = path(a_, a_local_, b_local_);
  path(b_, b_local_, a_local_);
  ports_.settle();
  auto packets = write(out, 1, 1);
  ASSERT_EQ(a_.send(packets), 1U);
  std::array<Packet, 4> burst;
  ASSERT_EQ(b_.receive(burst), 1U);
  EXPECT_EQ(burst[0].bytes.size(), 1U);
  EXPECT_EQ(burst[0].bytes[0], std::byte{0x5A});
  // What follows it in the frame, up to Ethernet's least length, is nothing that lay in memory before.
  const std::byte* end = burst[0].bytes.data() + 1;
  EXPECT_TRUE(std::all_of(end, end + 60 - 14 - 28 - 1, [](std::byte byte) { return byte == std::byte{}; }));
}

TEST_F(DpdkPacketIoTest, AFrameOfSeveralSegmentsIsDroppedAndCounted) {
  const std::array<std::byte, 40> part{};
  const std::span<const std::byte> parts[] = {part, part};
  ASSERT_TRUE(ports_.pair->inject_a(parts));
  EXPECT_EQ(receive(a_), 0U);
  EXPECT_EQ(a_.stats().dropped_segments, 1U);
}

TEST_F(DpdkPacketIoTest, StrangeFramesAreDroppedUnderTheirReason) {
  const std::array<std::byte, 60> zeros{};
  const std::span<const std::byte> parts[] = {zeros};
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(ports_.pair->inject_a(parts));
    EXPECT_EQ(receive(a_), 0U);
  }
  const ip::HostStats stats = a_.host_stats();
  uint64_t dropped = 0;
  for (const uint64_t count : stats.dropped) dropped += count;
  EXPECT_EQ(dropped, 100U);
}

TEST_F(DpdkPacketIoTest, ADatagramForAPortThatNobodyHasOpenIsDroppedAndCounted) {
  const PathId out = path(a_, a_local_, b_local_);
  ports_.settle();
  auto packets = write(out, 2);
  ASSERT_EQ(a_.send(packets), 2U);
  EXPECT_EQ(receive(b_), 0U);
  EXPECT_EQ(b_.stats().dropped_no_path, 2U);
}

TEST_F(DpdkPacketIoTest, WhenTheLinkComesBackThePortAnnouncesItselfAgain) {
  TestClock::advance(10s);
  ports_.settle();
  TestClock::advance(10s);
  ports_.settle();
  TestClock::advance(10s);
  ports_.settle();
  const uint64_t announced = a_.host_stats().announcements_sent;
  ports_.pair->set_link(false);
  TestClock::advance(kLinkPeriod);
  receive(a_);
  EXPECT_FALSE(a_.port().is_link_up());
  ports_.pair->set_link(true);
  TestClock::advance(kLinkPeriod);
  receive(a_);
  EXPECT_TRUE(a_.port().is_link_up());
  EXPECT_EQ(a_.stats().link_ups, 1U);
  EXPECT_GT(a_.host_stats().announcements_sent, announced);
}

TEST_F(DpdkPacketIoTest, TheDeviceCountsWhatTheWorkerCounts) {
  const PathId out = path(a_, a_local_, b_local_);
  path(b_, b_local_, a_local_);
  ports_.settle();
  auto packets = write(out, 5);
  ASSERT_EQ(a_.send(packets), 5U);
  ASSERT_EQ(receive(b_), 5U);
  EXPECT_EQ(a_.stats().packets_sent, 5U);
  EXPECT_EQ(b_.stats().packets_received, 5U);
  EXPECT_EQ(a_.port().stats().packets_sent, 5U + a_.stats().own_frames_sent);
  EXPECT_EQ(b_.port().stats().packets_received, a_.port().stats().packets_sent);
}

TEST_F(DpdkPacketIoTest, ARemoteThatCannotBeReachedIsRefusedWithTheKeyToChange) {
  const auto refused = a_.open_path({.local = a_local_, .remote = Endpoint::parse("192.0.2.1:7401").value()});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().next.find("next_hop"), std::string::npos);
  const auto mixed = a_.open_path({.local = a_local_, .remote = Endpoint::parse("[fd00::2]:7401").value()});
  EXPECT_FALSE(mixed.ok());
}

TEST_F(DpdkPacketIoTest, ClosedPathsGiveTheirPlacesAndNextHopsBack) {
  for (int round = 0; round < 3; ++round) {
    std::vector<PathId> paths;
    while (true) {
      const auto opened = a_.open_path({.local = {a_local_.address, 0}, .remote = b_local_});
      if (!opened.ok()) {
        EXPECT_EQ(opened.error().fault, Fault::kOverloaded);
        break;
      }
      paths.push_back(opened.value().id);
    }
    EXPECT_EQ(paths.size(), kDpdkPathsMax);
    for (const PathId one : paths) a_.close_path(one);
  }
}

TEST(DpdkNextHop, WhoIsNotOnLinkIsReachedThroughTheRouter) {
  DpdkPortConfig near = port_config(1, 1500_B), far = port_config(2, 1500_B);
  near.next_hops = {ip::parse_address("10.0.0.2").value()};
  far.addresses.push_back(ip::Prefix::parse("192.0.2.7/24").value());
  far.next_hops = {ip::parse_address("10.0.0.1").value()};
  RingPorts ports = make_ring_ports(near, far);
  const Endpoint local = Endpoint::parse("10.0.0.1:7401").value(), remote = Endpoint::parse("192.0.2.7:7401").value();
  const PathId out = ports.a->open_path({.local = local, .remote = remote}).value().id;
  ASSERT_TRUE(ports.b->open_path({.local = remote, .remote = local}).ok());
  ports.settle();
  std::array<Packet, 2> packets;
  ASSERT_EQ(ports.a->allocate(out, 500_B, packets), 2U);
  EXPECT_EQ(ports.a->send(packets), 2U);
  std::array<Packet, 4> burst;
  EXPECT_EQ(ports.b->receive(burst), 2U);
}

TEST(DpdkChecksums, OnIpv4TheyMayBeLeftOutAndNeverAreOnIpv6) {
  DpdkPortConfig config = port_config(1, 1500_B);
  config.udp_checksum = ip::UdpChecksum::kZero;
  RingPorts ports = make_ring_ports(config, port_config(2, 1500_B));
  for (const auto& [local, remote] : {std::pair{"10.0.0.1:7401", "10.0.0.2:7401"}, std::pair{"[fd00::1]:7401", "[fd00::2]:7401"}}) {
    const PathId out = ports.a->open_path({.local = Endpoint::parse(local).value(), .remote = Endpoint::parse(remote).value()}).value().id;
    ASSERT_TRUE(ports.b->open_path({.local = Endpoint::parse(remote).value(), .remote = Endpoint::parse(local).value()}).ok());
    ports.settle();
    std::array<Packet, 1> packets, burst;
    ASSERT_EQ(ports.a->allocate(out, 500_B, packets), 1U);
    ASSERT_EQ(ports.a->send(packets), 1U);
    ASSERT_EQ(ports.b->receive(burst), 1U);
  }
  EXPECT_EQ(ports.b->host_stats().udp_checksum_absent, 1U);
  EXPECT_EQ(ports.b->host_stats().udp_checksum_wrong, 0U);
}

}  // namespace
}  // namespace tideway::packet_io
