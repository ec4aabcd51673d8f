// SPDX-License-Identifier: Apache-2.0
#include "conformance/packet_io_suite.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace tideway {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PacketIoSuite);

PacketIoSuite::Joined PacketIoSuite::join(Dscp dscp) {
  // As two gateways do it: each learns its port first, tells the other, then sets the remote.
  const Path a_first = a_.open_path({.local = ends_.a_address, .remote = {}, .dscp = dscp}).value();
  const Path b_first = b_.open_path({.local = ends_.b_address, .remote = {}, .dscp = dscp}).value();
  const Path a = a_.open_path({.local = a_first.local, .remote = b_first.local, .dscp = dscp}).value();
  const Path b = b_.open_path({.local = b_first.local, .remote = a_first.local, .dscp = dscp}).value();
  a_.close_path(a_first.id);
  b_.close_path(b_first.id);
  return {a, b};
}

namespace {

std::byte pattern(uint32_t tag, size_t at) { return static_cast<std::byte>((tag * 31 + at * 7) & 0xFF); }

void write_payload(uint32_t tag, std::span<std::byte> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = pattern(tag, i);
  std::memcpy(bytes.data(), &tag, sizeof tag);
}

std::vector<uint32_t> tags_of(const auto& arrivals) {
  std::vector<uint32_t> tags;
  for (const auto& arrival : arrivals) tags.push_back(arrival.tag);
  std::sort(tags.begin(), tags.end());
  return tags;
}

std::vector<uint32_t> counting(uint32_t first, size_t count) {
  std::vector<uint32_t> tags(count);
  for (uint32_t& tag : tags) tag = first++;
  return tags;
}

bool is_readable(int fd) {
  pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&watched, 1, 0) == 1;
}

}  // namespace

std::vector<Packet> PacketIoSuite::write(PathId path, const std::vector<size_t>& sizes) {
  std::vector<Packet> packets(sizes.size());
  const size_t largest = *std::max_element(sizes.begin(), sizes.end());
  EXPECT_EQ(a_.allocate(path, Bytes(largest), packets), packets.size());
  for (size_t i = 0; i < packets.size(); ++i) {
    packets[i].bytes = packets[i].bytes.first(sizes[i]);
    write_payload(++tag_last_, packets[i].bytes);
  }
  return packets;
}

void PacketIoSuite::send_all(std::vector<Packet> packets) {
  std::span<Packet> rest(packets);
  for (int turn = 0; turn < 1000 && !rest.empty(); ++turn) rest = rest.subspan(a_.send(rest));
  EXPECT_TRUE(rest.empty()) << rest.size() << " packets were never taken";
}

std::vector<Packet> PacketIoSuite::receive(size_t count) {
  std::vector<Packet> arrived;
  for (int turn = 0, idle = 0; turn < 100'000 && idle < 100; ++turn) {
    std::array<Packet, kBurstMax> burst;
    const size_t got = b_.receive(burst);
    EXPECT_LE(got, burst.size());
    for (Packet& packet : std::span(burst).first(got)) arrived.push_back(std::move(packet));
    if (arrived.size() >= count) ++idle;
  }
  EXPECT_EQ(arrived.size(), count);
  return arrived;
}

PacketIoSuite::Arrival PacketIoSuite::read(const Packet& packet) const {
  Arrival arrival{.tag = 0, .size = packet.bytes.size(), .from = packet.from, .to = packet.to, .ecn = packet.ecn};
  EXPECT_GE(packet.bytes.size(), sizeof arrival.tag);
  if (packet.bytes.size() < sizeof arrival.tag) return arrival;
  std::memcpy(&arrival.tag, packet.bytes.data(), sizeof arrival.tag);
  for (size_t i = sizeof arrival.tag; i < packet.bytes.size(); ++i)
    if (packet.bytes[i] != pattern(arrival.tag, i)) {
      ADD_FAILURE() << "packet " << arrival.tag << " is damaged at byte " << i;
      break;
    }
  return arrival;
}

std::vector<PacketIoSuite::Arrival> PacketIoSuite::read(const std::vector<Packet>& packets) const {
  std::vector<Arrival> arrivals;
  for (const Packet& packet : packets) arrivals.push_back(read(packet));
  return arrivals;
}

size_t PacketIoSuite::rooms(PacketIo& io, PathId path, Bytes payload) {
  std::vector<Packet> held(100'000);
  const size_t count = io.allocate(path, payload, held);
  EXPECT_LT(count, held.size()) << "the memory of a backend is bounded";
  return count;
}

TEST_P(PacketIoSuite, BurstsOfOneTo64ArriveOnceAndWhole) {
  const PathId path = join().a.id;
  for (size_t size = 1; size <= kBurstMax; ++size) {
    const uint32_t first = tag_last_ + 1;
    send_all(write(path, std::vector<size_t>(size, 1200)));
    EXPECT_EQ(tags_of(read(receive(size))), counting(first, size));
  }
}

TEST_P(PacketIoSuite, EverySizeUpToTheLargestArrives) {
  const PathId path = join().a.id;
  const size_t largest = a_.limits().payload_max.count();
  for (const size_t size : {size_t{4}, size_t{99}, size_t{1252}, size_t{1472}, size_t{8972}, largest}) {
    if (size > largest) continue;
    send_all(write(path, std::vector<size_t>(16, size)));
    for (const Arrival& arrival : read(receive(16))) EXPECT_EQ(arrival.size, size);
  }
}

TEST_P(PacketIoSuite, PacketsOfMixedSizesKeepTheirBorders) {
  const PathId path = join().a.id;
  const std::vector<size_t> sizes = {1400, 1400, 700, 1400, 4, 4, 1400, 1399, 1400, 1400, 30, 1400};
  send_all(write(path, sizes));
  auto arrivals = read(receive(sizes.size()));
  std::sort(arrivals.begin(), arrivals.end(), [](const Arrival& x, const Arrival& y) { return x.tag < y.tag; });
  for (size_t i = 0; i < arrivals.size(); ++i) {
    EXPECT_EQ(arrivals[i].tag, i + 1);
    EXPECT_EQ(arrivals[i].size, sizes[i]) << "packet " << i;
  }
}

TEST_P(PacketIoSuite, PathsThatTakeTurnsInOneBurstDoNotMix) {
  const Joined one = join(), two = join();
  ASSERT_NE(one.a.local, two.a.local);
  std::vector<Packet> burst;
  for (int i = 0; i < 12; ++i)
    for (Packet& packet : write(i % 2 == 0 ? one.a.id : two.a.id, {1000, 1000})) burst.push_back(std::move(packet));
  send_all(std::move(burst));
  const auto arrivals = read(receive(24));
  EXPECT_EQ(tags_of(arrivals), counting(1, 24));
  for (const Arrival& arrival : arrivals) {
    const Joined& path = (arrival.tag - 1) / 2 % 2 == 0 ? one : two;
    EXPECT_EQ(arrival.from, path.a.local);
    EXPECT_EQ(arrival.to, path.b.local);
  }
}

TEST_P(PacketIoSuite, TwoPathsMayShareALocalPort) {
  const Joined one = join();
  const Path other_end = b_.open_path({.local = ends_.b_address, .remote = {}}).value();
  const Path two = a_.open_path({.local = one.a.local, .remote = other_end.local}).value();
  EXPECT_EQ(two.local, one.a.local);
  send_all(write(one.a.id, {500}));
  send_all(write(two.id, {500}));
  for (const Arrival& arrival : read(receive(2))) {
    EXPECT_EQ(arrival.from, one.a.local);
    EXPECT_EQ(arrival.to, arrival.tag == 1 ? one.b.local : other_end.local);
  }
  a_.close_path(one.a.id);
  send_all(write(two.id, {500}));
  EXPECT_EQ(read(receive(1)).at(0).to, other_end.local) << "closing one path must not close the other's port";
}

TEST_P(PacketIoSuite, APathThatOnlyReceivesKeepsItsPortWhenTheRemoteIsSet) {
  const Path waiting = b_.open_path({.local = ends_.b_address, .remote = {}}).value();
  EXPECT_TRUE(waiting.local.is_set());
  const Path out = a_.open_path({.local = ends_.a_address, .remote = waiting.local}).value();
  send_all(write(out.id, {800}));
  const Endpoint peer = read(receive(1)).at(0).from;
  EXPECT_EQ(peer, out.local);
  const Path both = b_.open_path({.local = waiting.local, .remote = peer}).value();
  b_.close_path(waiting.id);
  EXPECT_EQ(both.local, waiting.local);
  send_all(write(out.id, {800}));
  EXPECT_EQ(read(receive(1)).at(0).to, waiting.local);
}

TEST_P(PacketIoSuite, PartialSendKeepsTheRest) {
  const PathId path = join().a.id;
  std::vector<Packet> packets;
  for (int i = 0; i < 4; ++i)
    for (Packet& packet : write(path, std::vector<size_t>(64, 200))) packets.push_back(std::move(packet));
  std::span<Packet> rest(packets);
  std::vector<Arrival> arrivals;
  bool was_partial = false;
  for (int turn = 0; turn < 1000 && !rest.empty(); ++turn) {
    const size_t offered = std::min(rest.size(), kBurstMax);
    const size_t sent = a_.send(rest.first(offered));
    for (size_t i = 0; i < offered; ++i) EXPECT_EQ(rest[i].is_empty(), i < sent) << "only what was sent is gone";
    rest = rest.subspan(sent);
    if (sent == offered) continue;
    was_partial = true;
    std::array<Packet, 40> burst;
    const size_t got = b_.receive(burst);
    for (const Packet& packet : std::span(burst).first(got)) arrivals.push_back(read(packet));
  }
  ASSERT_TRUE(rest.empty());
  EXPECT_EQ(was_partial, GetParam().is_send_bounded);
  std::array<Packet, kBurstMax> burst;
  for (int idle = 0; idle < 100;) {
    const size_t got = b_.receive(burst);
    for (const Packet& packet : std::span(burst).first(got)) arrivals.push_back(read(packet));
    idle = got == 0 ? idle + 1 : 0;
  }
  EXPECT_EQ(tags_of(arrivals), counting(1, 256));
}

TEST_P(PacketIoSuite, WhatTheOwnerDroppedOrShortenedIsSentAsItIsNow) {
  const PathId path = join().a.id;
  std::vector<Packet> packets = write(path, std::vector<size_t>(10, 1200));
  packets[7].bytes = packets[7].bytes.first(300);
  packets.erase(packets.begin() + 4);
  packets.erase(packets.begin() + 1);
  std::swap(packets[0], packets[1]);
  send_all(std::move(packets));
  const auto arrivals = read(receive(8));
  EXPECT_EQ(tags_of(arrivals), (std::vector<uint32_t>{1, 3, 4, 6, 7, 8, 9, 10}));
  for (const Arrival& arrival : arrivals) EXPECT_EQ(arrival.size, arrival.tag == 8 ? 300U : 1200U);
}

TEST_P(PacketIoSuite, RoomThatRanDryRecovers) {
  const PathId path = join().a.id;
  for (const Bytes payload : {100_B, 1200_B, a_.limits().payload_max}) {
    const size_t count = rooms(a_, path, payload);
    EXPECT_GE(count, kBurstMax);
    std::vector<Packet> held(count);
    ASSERT_EQ(a_.allocate(path, payload, held), count);
    Packet more;
    EXPECT_EQ(a_.allocate(path, payload, std::span(&more, 1)), 0U);
    held.clear();
    EXPECT_EQ(rooms(a_, path, payload), count);
  }
}

TEST_P(PacketIoSuite, EveryPacketGoesHome) {
  const PathId path = join().a.id;
  const size_t count = rooms(a_, path, 1200_B);
  for (int round = 0; round < 20; ++round) {
    std::vector<Packet> packets = write(path, std::vector<size_t>(40, 1200));
    packets.erase(packets.begin() + 7, packets.begin() + 19);  // never sent
    send_all(std::move(packets));
    receive(28);
  }
  EXPECT_EQ(rooms(a_, path, 1200_B), count);
}

TEST_P(PacketIoSuite, ReceivedPacketsKeepTheirBytesWhileMoreArrive) {
  const PathId path = join().a.id;
  std::vector<Packet> held;
  for (int i = 0; i < 4; ++i) {
    send_all(write(path, std::vector<size_t>(16, 1200)));
    for (Packet& packet : receive(16)) held.push_back(std::move(packet));
  }
  EXPECT_EQ(tags_of(read(held)), counting(1, 64));
}

TEST_P(PacketIoSuite, AReceiverThatHeldAllItsRoomHearsAgainAfterwards) {
  const PathId path = join().a.id;
  std::vector<Packet> held;
  std::array<Packet, kBurstMax> burst;
  bool is_dry = false;
  for (int i = 0; i < 10'000 && !is_dry; ++i) {
    std::vector<Packet> one(1);
    is_dry = a_.allocate(path, 300_B, one) == 0;
    if (is_dry) break;
    write_payload(++tag_last_, one[0].bytes);
    send_all(std::move(one));
    const size_t got = b_.receive(burst);
    is_dry = got == 0;
    for (Packet& packet : std::span(burst).first(got)) held.push_back(std::move(packet));
  }
  EXPECT_TRUE(is_dry) << "a receiver's memory is bounded";
  EXPECT_EQ(tags_of(read(held)), counting(1, held.size()));
  held.clear();
  for (int i = 0; i < 100; ++i) {  // what waited in the kernel, or was lost for lack of room, is out of the way
    const size_t got = b_.receive(burst);
    for (Packet& packet : std::span(burst).first(got)) packet.reset();
  }
  const uint32_t first = tag_last_ + 1;
  send_all(write(path, std::vector<size_t>(32, 300)));
  EXPECT_EQ(tags_of(read(receive(32))), counting(first, 32));
}

TEST_P(PacketIoSuite, EcnArrivesAsItWasSent) {
  const PathId path = join().a.id;
  std::vector<Packet> packets = write(path, std::vector<size_t>(6, 600));
  for (const Packet& packet : packets) EXPECT_EQ(packet.ecn, Ecn::kEct0);
  packets[2].ecn = packets[3].ecn = Ecn::kNotEct;
  send_all(std::move(packets));
  for (const Arrival& arrival : read(receive(6)))
    EXPECT_EQ(arrival.ecn, arrival.tag == 3 || arrival.tag == 4 ? Ecn::kNotEct : Ecn::kEct0) << arrival.tag;
}

TEST_P(PacketIoSuite, BothServiceClassesCarryPackets) {
  for (const Dscp dscp : {Dscp::kDefault, Dscp::kLowerEffort}) {
    send_all(write(join(dscp).a.id, {700, 700}));
    for (const Arrival& arrival : read(receive(2))) EXPECT_EQ(arrival.ecn, Ecn::kEct0);
  }
}

TEST_P(PacketIoSuite, ReceiveGivesAtMostTheSpaceAndABurst) {
  const PathId path = join().a.id;
  send_all(write(path, std::vector<size_t>(64, 500)));
  send_all(write(path, std::vector<size_t>(64, 500)));
  std::vector<Packet> few(3), many(1000), arrived;
  size_t got = 0;
  for (int turn = 0; turn < 1000 && got == 0; ++turn) got = b_.receive(few);
  EXPECT_LE(got, few.size());
  for (int turn = 0; turn < 1000 && got < 128; ++turn) {
    const size_t now = b_.receive(many);
    EXPECT_LE(now, b_.limits().burst_max);
    got += now;
  }
  EXPECT_EQ(got, 128U);
}

TEST_P(PacketIoSuite, TheDescriptorToWaitOnIsReadableWhileAPacketWaits) {
  const int fd = b_.limits().wait_fd;
  if (fd < 0) return;  // this backend is polled
  const PathId path = join().a.id;
  EXPECT_FALSE(is_readable(fd));
  send_all(write(path, std::vector<size_t>(5, 400)));
  std::array<Packet, 1> one;
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(is_readable(fd)) << "after " << i << " of 5";
    ASSERT_EQ(b_.receive(one), 1U);
  }
  one[0].reset();
  EXPECT_EQ(b_.receive(one), 0U);
  EXPECT_FALSE(is_readable(fd));
}

TEST_P(PacketIoSuite, APacketOfAClosedPathIsNotSentAndGoesHome) {
  const Joined joined = join(), other = join();
  const size_t count = rooms(a_, other.a.id, 1200_B);
  std::vector<Packet> packets = write(joined.a.id, {1200, 1200});
  for (Packet& packet : write(other.a.id, {1200})) packets.push_back(std::move(packet));
  a_.close_path(joined.a.id);
  const Path again = a_.open_path({.local = ends_.a_address, .remote = joined.b.local}).value();  // takes the place
  EXPECT_NE(again.id, joined.a.id);
  send_all(std::move(packets));
  EXPECT_EQ(tags_of(read(receive(1))), (std::vector<uint32_t>{3}));
  EXPECT_EQ(rooms(a_, other.a.id, 1200_B), count);
}

TEST_P(PacketIoSuite, AnAddressThatIsNotOursIsRefusedWithTheKeyToChange) {
  Endpoint foreign = Endpoint::parse(ends_.a_address.is_ipv4() ? "192.0.2.77:0" : "[2001:db8::77]:0").value();
  const auto refused = a_.open_path({.local = foreign, .remote = {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(refused.error().what.find(to_string(foreign)), std::string::npos);
  EXPECT_FALSE(refused.error().next.empty());
}

}  // namespace tideway
