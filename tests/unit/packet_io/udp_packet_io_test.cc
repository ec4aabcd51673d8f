// SPDX-License-Identifier: Apache-2.0
//
// What only the kernel backend does: its answers to a kernel that refuses. The refusals are real. Some need a network
// namespace of the test's own, and root; those tests skip themselves elsewhere.
#include "packet_io/udp_packet_io.h"

#include "base/clock.h"
#include "support/sim_sockets.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <thread>

namespace tideway::packet_io {
namespace {

Endpoint at(const char* text) { return Endpoint::parse(text).value(); }

std::unique_ptr<UdpPacketIo> make(const UdpConfig& config = {}) { return UdpPacketIo::create(config).value(); }

// Packets of these sizes, the first byte of each its number.
std::vector<Packet> write(UdpPacketIo& io, PathId path, const std::vector<size_t>& sizes) {
  std::vector<Packet> packets(sizes.size());
  const size_t largest = *std::max_element(sizes.begin(), sizes.end());
  EXPECT_EQ(io.allocate(path, Bytes(largest), packets), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    packets[i].bytes = packets[i].bytes.first(sizes[i]);
    packets[i].bytes[0] = static_cast<std::byte>(i);
  }
  return packets;
}

// The numbers of all packets that wait, in the order in which they came.
std::vector<int> numbers_received(UdpPacketIo& io) {
  std::vector<int> numbers;
  for (int turn = 0; turn < 50; ++turn) {
    std::array<Packet, kBurstMax> burst;
    const size_t got = io.receive(burst);
    for (const Packet& packet : std::span(burst).first(got)) numbers.push_back(static_cast<int>(packet.bytes[0]));
  }
  return numbers;
}

std::vector<int> counting(int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

// The descriptor of this process that is bound to a local port.
int socket_of(const Endpoint& local) {
  for (int fd = 3; fd < 4096; ++fd) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    const bool is_socket = getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
    if (is_socket && to_endpoint(address) == local) return fd;
  }
  return -1;
}

// Runs `body` on a thread in an empty network namespace. False: this user may not make one.
bool in_own_network(const std::function<void()>& body) {
  bool is_allowed = false;
  std::thread([&] {
    is_allowed = unshare(CLONE_NEWNET) == 0;
    if (is_allowed) body();
  }).join();
  return is_allowed;
}

ifreq request_for(const char* interface) {
  ifreq request{};
  std::strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
  return request;
}

sockaddr ipv4(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, text, &address.sin_addr);
  sockaddr plain;
  std::memcpy(&plain, &address, sizeof plain);
  return plain;
}

void bring_up(const char* interface, int mtu) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = request_for(interface);
  request.ifr_mtu = mtu;
  EXPECT_EQ(ioctl(fd, SIOCSIFMTU, &request), 0);
  request = request_for(interface);
  EXPECT_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  EXPECT_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
  close(fd);
}

TEST(UdpPacketIo, ARunThatTheKernelRefusesGoesPacketByPacketAtOnce) {
  const auto a = make(), b = make();
  const Path to = b->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
  const Path from = a->open_path({.local = at("127.0.0.1:0"), .remote = to.local}).value();
  // Linux segments nothing for a socket without checksums: EINVAL for a run, while single packets pass.
  const int off = 1;
  ASSERT_EQ(setsockopt(socket_of(from.local), SOL_SOCKET, SO_NO_CHECK, &off, sizeof off), 0);
  std::vector<Packet> packets = write(*a, from.id, std::vector<size_t>(20, 1200));
  EXPECT_EQ(a->send(packets), 20U);
  EXPECT_EQ(numbers_received(*b), counting(20));
  EXPECT_EQ(a->stats().gso_refused, 1U);
  EXPECT_EQ(a->notes().gso, Gso::kOff) << "the socket remembers";
  packets = write(*a, from.id, std::vector<size_t>(20, 1200));
  EXPECT_EQ(a->send(packets), 20U);
  EXPECT_EQ(a->stats().messages_sent, 40U);
  EXPECT_EQ(a->stats().packets_sent, 40U);
  EXPECT_EQ(a->stats().gso_refused, 1U);
}

TEST(UdpPacketIo, ARunIsOneMessage) {
  const auto a = make(), b = make();
  const Path to = b->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
  const Path from = a->open_path({.local = at("127.0.0.1:0"), .remote = to.local}).value();
  std::vector<Packet> packets = write(*a, from.id, std::vector<size_t>(40, 1200));
  EXPECT_EQ(a->send(packets), 40U);
  EXPECT_EQ(a->stats().messages_sent, 1U);
  EXPECT_EQ(numbers_received(*b), counting(40));
  EXPECT_LT(b->stats().messages_received, 40U) << "GRO joins what came together";
}

// How many packets a message brings is a guess. Where it was too high, as after a run, the rest is fetched at once.
TEST(UdpPacketIo, SinglePacketsBehindARunAreTakenInOneTurn) {
  const auto a = make(), b = make();
  const Endpoint to = b->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value().local;
  const PathId path = a->open_path({.local = at("127.0.0.1:0"), .remote = to}).value().id;
  auto run = write(*a, path, std::vector<size_t>(20, 100));
  ASSERT_EQ(a->send(run), 20U);
  ASSERT_EQ(numbers_received(*b).size(), 20U);
  std::vector<size_t> growing;
  for (size_t size = 100; size < 120; ++size) growing.push_back(size);  // no run: each is larger than the one before
  auto single = write(*a, path, growing);
  ASSERT_EQ(a->send(single), 20U);
  std::array<Packet, kBurstMax> burst;
  EXPECT_EQ(b->receive(burst), 20U);
}

TEST(UdpPacketIo, APacketCarriesWhenItCame) {
  const auto io = make();
  const Path here = io->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
  const Path there = io->open_path({.local = at("127.0.0.1:0"), .remote = here.local}).value();
  auto packets = write(*io, there.id, {100});
  const Time before = read_clock();
  ASSERT_EQ(io->send(packets), 1U);
  std::array<Packet, kBurstMax> burst;
  ASSERT_EQ(io->receive(burst), 1U);
  EXPECT_GE(burst[0].arrived_at, before - std::chrono::milliseconds(1)) << "calendar and clock are two";
  EXPECT_LE(burst[0].arrived_at, read_clock());
}

TEST(UdpPacketIo, APacketThatCannotReachItsPeerIsLostAndCounted) {
  const auto a = make();
  // From the loopback address no other host can be reached; the kernel says so with EINVAL.
  const Path path = a->open_path({.local = at("127.0.0.1:0"), .remote = at("192.0.2.1:7401")}).value();
  std::vector<Packet> packets = write(*a, path.id, std::vector<size_t>(8, 1200));
  EXPECT_EQ(a->send(packets), 8U);
  const UdpStats& stats = a->stats();
  EXPECT_EQ(stats.lost_unreachable + stats.lost_other, 8U);
  EXPECT_EQ(stats.packets_sent, 0U);
  EXPECT_EQ(a->notes().gso, Gso::kOn) << "segmentation was not at fault";
  EXPECT_EQ(a->send_buffers_free(), UdpConfig().send_buffers);
}

TEST(UdpPacketIo, APacketBeyondTheMtuIsLostAndItsSmallerNeighboursArrive) {
  const bool is_allowed = in_own_network([] {
    bring_up("lo", 1500);
    const auto a = make(), b = make();
    const Path to = b->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
    const Path from = a->open_path({.local = at("127.0.0.1:0"), .remote = to.local}).value();
    EXPECT_EQ(a->notes().interface_mtu, 1500_B);
    std::vector<Packet> probes = write(*a, from.id, {1472, 8972, 3972, 1473, 1472, 1252});
    EXPECT_EQ(a->send(probes), 6U);
    EXPECT_EQ(numbers_received(*b), (std::vector<int>{0, 4, 5}));
    EXPECT_EQ(a->stats().lost_too_big, 3U);
    EXPECT_EQ(a->notes().gso, Gso::kOn);
  });
  if (!is_allowed) GTEST_SKIP() << "needs root for a network namespace";
}

// An interface whose frames the test itself reads.
class Tap {
 public:
  Tap() : fd_(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)) {
    ifreq request = request_for("tap0");
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    is_open_ = fd_ >= 0 && ioctl(fd_, TUNSETIFF, &request) == 0;
    if (!is_open_) return;
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request = request_for("tap0");
    request.ifr_addr = ipv4("10.99.0.1");
    EXPECT_EQ(ioctl(control, SIOCSIFADDR, &request), 0);
    request.ifr_netmask = ipv4("255.255.255.0");
    EXPECT_EQ(ioctl(control, SIOCSIFNETMASK, &request), 0);
    close(control);
    bring_up("tap0", 1500);
  }
  ~Tap() {
    if (fd_ >= 0) close(fd_);
  }
  bool is_open() const { return is_open_; }

  // From now on packets to 10.99.0.2 have a MAC address to go to.
  void add_neighbour() {
    arpreq request{};
    request.arp_pa = ipv4("10.99.0.2");
    request.arp_ha.sa_family = ARPHRD_ETHER;
    request.arp_ha.sa_data[0] = 2;
    request.arp_ha.sa_data[5] = 7;
    request.arp_flags = ATF_COM | ATF_PERM;
    std::strncpy(request.arp_dev, "tap0", sizeof request.arp_dev - 1);
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(ioctl(control, SIOCSARP, &request), 0);
    close(control);
  }

  struct Frame { int number; uint8_t traffic_class; bool may_be_fragmented; };
  // The UDP packets that left through the interface.
  std::vector<Frame> take() {
    constexpr size_t kIp = 14, kPayload = kIp + 20 + 8;
    std::vector<Frame> frames;
    std::array<uint8_t, 2048> frame;
    ssize_t size = 0;
    while ((size = read(fd_, frame.data(), frame.size())) > 0) {
      const bool is_ipv4 = static_cast<size_t>(size) > kPayload && frame[12] == 0x08 && frame[13] == 0x00;
      if (is_ipv4 && frame[kIp + 9] == IPPROTO_UDP)
        frames.push_back({frame[kPayload], frame[kIp + 1], (frame[kIp + 6] & 0x40) == 0});
    }
    return frames;
  }

 private:
  int fd_;
  bool is_open_ = false;
};

// A neighbour that does not answer yet: packets wait in the kernel until the socket's buffer is full of them.
TEST(UdpPacketIo, AFullSocketLeavesTheRestWithTheCallerAndTakesItLater) {
  bool has_tap = false;
  const bool is_allowed = in_own_network([&] {
    Tap tap;
    has_tap = tap.is_open();
    if (!has_tap) return;
    const auto a = make({.socket_send = 20'000_B});
    const Path path = a->open_path({.local = at("10.99.0.1:7401"), .remote = at("10.99.0.2:7401")}).value();
    std::vector<Packet> packets = write(*a, path.id, std::vector<size_t>(64, 1000));
    for (size_t i = 8; i < packets.size(); i += 9) packets[i].bytes = packets[i].bytes.first(500);  // runs of nine
    std::span<Packet> rest(packets);
    rest = rest.subspan(a->send(rest));
    ASSERT_GT(rest.size(), 0U);
    ASSERT_LT(rest.size(), 64U);
    EXPECT_GT(a->stats().send_full, 0U);
    EXPECT_EQ(a->send(rest), 0U) << "it is still full, and says so without waiting";
    tap.add_neighbour();
    std::vector<Tap::Frame> frames = tap.take();
    for (int turn = 0; turn < 100 && !rest.empty(); ++turn) {
      rest = rest.subspan(a->send(rest));
      for (const Tap::Frame& frame : tap.take()) frames.push_back(frame);
    }
    ASSERT_EQ(frames.size(), 64U);
    for (size_t i = 0; i < frames.size(); ++i) {
      EXPECT_EQ(frames[i].number, static_cast<int>(i));
      EXPECT_EQ(frames[i].traffic_class, 0b000001'10) << "lower effort (RFC 8622) and ECT(0)";
      EXPECT_FALSE(frames[i].may_be_fragmented);
    }
    EXPECT_EQ(a->send_buffers_free(), UdpConfig().send_buffers);
  });
  if (!is_allowed || !has_tap) GTEST_SKIP() << "needs root and /dev/net/tun";
}

TEST(UdpPacketIo, AnUnreachableNetworkIsCountedByItsName) {
  const bool is_allowed = in_own_network([] {
    bring_up("lo", 1500);
    const auto a = make();
    const Path path = a->open_path({.local = at("0.0.0.0:0"), .remote = at("192.0.2.1:7401")}).value();
    std::vector<Packet> packets = write(*a, path.id, {1200, 1200});
    EXPECT_EQ(a->send(packets), 2U);
    EXPECT_EQ(a->stats().lost_unreachable, 2U);
  });
  if (!is_allowed) GTEST_SKIP() << "needs root for a network namespace";
}

// As a router on the way would send it to `from`, about a packet of its to `to`, which listens on the same host.
void forge_too_big(const Endpoint& from, const Endpoint& to, uint16_t mtu) {
  std::array<uint8_t, 8 + 20 + 8> bytes{};
  const auto put = [&](size_t place, uint32_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes[place + i] = static_cast<uint8_t>(value >> (8 * (size - 1 - i)));
  };
  put(0, 3 << 8 | 4, 2);  // destination unreachable: fragmentation needed
  put(6, mtu, 2);
  put(8, 0x45, 1);        // what it is about: IPv4 without options, and UDP
  put(10, 1428, 2);
  put(16, 64 << 8 | IPPROTO_UDP, 2);
  put(20, INADDR_LOOPBACK, 4);
  put(24, INADDR_LOOPBACK, 4);
  put(28, from.port, 2);
  put(30, to.port, 2);
  put(32, 1408, 2);
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  put(2, ~((sum & 0xffff) + (sum >> 16)) & 0xffff, 2);
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  const sockaddr target = ipv4("127.0.0.1");
  EXPECT_EQ(sendto(fd, bytes.data(), bytes.size(), 0, &target, sizeof target), static_cast<ssize_t>(bytes.size()));
  close(fd);
}

// What the kernel believes that it may send to ourselves.
int mtu_to_loopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr target = ipv4("127.0.0.1");
  reinterpret_cast<sockaddr_in*>(&target)->sin_port = htons(9);
  EXPECT_EQ(connect(fd, &target, sizeof target), 0);
  int mtu = 0;
  socklen_t size = sizeof mtu;
  EXPECT_EQ(getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &size), 0);
  close(fd);
  return mtu;
}

TEST(UdpPacketIo, N07AForgedPacketTooBigThatTheKernelBelievesChangesNothing) {
  const bool is_allowed = in_own_network([] {
    bring_up("lo", 1500);
    const auto a = make(), b = make();
    const Path to = b->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
    const Path from = a->open_path({.local = at("127.0.0.1:0"), .remote = to.local}).value();
    forge_too_big(from.local, to.local, 600);
    EXPECT_EQ(mtu_to_loopback(), 600);
    std::vector<Packet> packets = write(*a, from.id, {1400, 1400, 1400, 1200});
    EXPECT_EQ(a->send(packets), 4U);
    EXPECT_EQ(numbers_received(*b), counting(4));
    EXPECT_EQ(a->stats().lost_too_big, 0U);
  });
  if (!is_allowed) GTEST_SKIP() << "needs root for a network namespace";
}

TEST(UdpPacketIo, PacketsThatAFullSocketMissedAreCounted) {
  const auto a = make({.gso = Gso::kOff}), b = make({.socket_receive = 32_KiB});
  const Path to = b->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
  const Path from = a->open_path({.local = at("127.0.0.1:0"), .remote = to.local}).value();
  for (int i = 0; i < 4; ++i) {
    std::vector<Packet> packets = write(*a, from.id, std::vector<size_t>(64, 1400));
    EXPECT_EQ(a->send(packets), 64U);
  }
  const uint64_t missed = b->receive_overflows();
  EXPECT_GT(missed, 0U);
  EXPECT_EQ(numbers_received(*b).size() + missed, 256U);
}

// Whatever single call fails, no packet is both sent and lost, and no buffer stays away.
TEST(UdpPacketIo, EachSocketCallThatFailsCostsItsPacketsOrNothing) {
  using test::SimSockets, test::SocketFault;
  for (const auto kind : {SocketFault::Kind::kError, SocketFault::Kind::kInterrupted, SocketFault::Kind::kAgain}) {
    bool was_hit = true;
    for (uint64_t fail_at = 1; was_hit && fail_at < 100; ++fail_at) {
      const auto a = make(), b = make();
      const SimSockets sockets({kind, fail_at});
      const auto to = b->open_path({.local = at("127.0.0.1:0"), .remote = {}});
      const auto from = a->open_path({.local = at("127.0.0.1:0"), .remote = to.ok() ? to.value().local : at("127.0.0.1:9")});
      was_hit = sockets.was_hit();
      if (!to.ok() || !from.ok()) {
        const Error& why = to.ok() ? from.error() : to.error();
        EXPECT_TRUE(kind == SocketFault::Kind::kError && !why.what.empty()) << "call " << fail_at << ": " << why.what;
        was_hit = true;
        continue;
      }
      std::vector<Packet> packets = write(*a, from.value().id, std::vector<size_t>(20, 1200));
      std::span<Packet> rest(packets);
      for (int turn = 0; turn < 50 && !rest.empty(); ++turn) rest = rest.subspan(a->send(rest));
      EXPECT_TRUE(rest.empty()) << "call " << fail_at;
      const size_t came = numbers_received(*b).size();
      was_hit = sockets.was_hit();
      const UdpStats& stats = a->stats();
      EXPECT_EQ(stats.packets_sent + stats.lost_other + stats.lost_unreachable + stats.lost_refused + stats.lost_denied, 20U) << "call " << fail_at;
      EXPECT_EQ(came, stats.packets_sent) << "call " << fail_at;
      EXPECT_TRUE(came == 20 || kind == SocketFault::Kind::kError) << "call " << fail_at << ": " << came;
      EXPECT_EQ(a->send_buffers_free(), UdpConfig().send_buffers) << "call " << fail_at;
    }
    EXPECT_FALSE(was_hit) << "no end of calls";
  }
}

TEST(UdpPacketIo, APortInUseIsRefusedWithTheKeyToChange) {
  const auto a = make(), b = make();
  const Path taken = a->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
  const auto refused = b->open_path({.local = taken.local, .remote = {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(refused.error().what.find(to_string(taken.local)), std::string::npos);
  EXPECT_NE(refused.error().next.find("address in [data_plane]"), std::string::npos);
}

TEST(UdpPacketIo, APathDoesNotMixFamilies) {
  const auto a = make();
  const auto refused = a->open_path({.local = at("127.0.0.1:0"), .remote = at("[::1]:7401")});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kConfigInvalid);
}

TEST(UdpPacketIo, TheLastPathOfAPortGivesItBack) {
  const auto a = make(), b = make();
  const Path first = a->open_path({.local = at("127.0.0.1:0"), .remote = {}}).value();
  const Path second = a->open_path({.local = first.local, .remote = at("127.0.0.1:9")}).value();
  a->close_path(first.id);
  EXPECT_FALSE(b->open_path({.local = first.local, .remote = {}}).ok());
  a->close_path(second.id);
  EXPECT_TRUE(b->open_path({.local = first.local, .remote = {}}).ok());
}

TEST(UdpPacketIo, ABackendWithoutBuffersOrWithTooLargeAPayloadIsRefused) {
  EXPECT_FALSE(UdpPacketIo::create({.send_buffers = 0}).ok());
  EXPECT_FALSE(UdpPacketIo::create({.receive_buffers = 0}).ok());
  EXPECT_FALSE(UdpPacketIo::create({.payload_max = 65'508_B}).ok());
}

TEST(UdpNotes, AdviceNamesTheLimitThatWasTooLow) {
  UdpNotes notes;
  notes.send_wanted = notes.send_granted = notes.receive_wanted = 16_MiB;
  notes.receive_granted = 208_KiB;
  EXPECT_EQ(notes.advice(), "sysctl -w net.core.rmem_max=16777216\n");
  notes.receive_granted = 16_MiB;
  EXPECT_EQ(notes.advice(), "");
}

TEST(UdpNotes, AProbeTellsWhatWasGranted) {
  const UdpNotes notes = probe_udp(at("127.0.0.1:0"), {.socket_receive = 64_KiB}).value();
  EXPECT_EQ(notes.receive_granted, 64_KiB);
  EXPECT_GT(notes.interface_mtu, 1280_B);
  EXPECT_FALSE(probe_udp(at("192.0.2.77:0"), {}).ok());
}

}  // namespace
}  // namespace tideway::packet_io
