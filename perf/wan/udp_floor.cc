// SPDX-License-Identifier: Apache-2.0
//
// What the kernel alone costs at a given rate: datagrams of the size of a full packet, sent and taken as our own backend does it (superframes,
// a turn each 200 us), and nothing done with them.
//
//   tideway-udp-floor serve PORT                        until a datagram of one byte comes
//   tideway-udp-floor send ADDRESS PORT RATE SECONDS    RATE in bytes of datagrams a second; says as JSON what it sent
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::microseconds kTurn{200};
constexpr size_t kDatagram = 1472, kPayload = 1408;  // at MTU 1500; of it payload, in Tideway's packets
constexpr size_t kSuperframe = 44 * kDatagram;       // what fits into 64 KiB
constexpr int kBuffer = 16 << 20;
constexpr int kEnds = 20;                            // that say the end: some may be lost

int complain(const char* what) {
  std::fprintf(stderr, "tideway-udp-floor: %s: %s\n", what, std::strerror(errno));
  return 1;
}

int serve(int fd, sockaddr_in address) {
  const int on = 1;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return complain("bind");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer);
  setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  std::vector<std::byte> room(1 << 16);
  for (;; std::this_thread::sleep_for(kTurn)) {
    ssize_t taken;
    while ((taken = recv(fd, room.data(), room.size(), MSG_DONTWAIT)) > 0)
      if (taken == 1) return 0;
    if (taken < 0 && errno != EAGAIN && errno != EINTR) return complain("recv");
  }
}

// The kernel cuts it into datagrams.
bool send_superframe(int fd, std::span<std::byte> bytes) {
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(uint16_t))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* segment = CMSG_FIRSTHDR(&message);
  segment->cmsg_level = IPPROTO_UDP;
  segment->cmsg_type = UDP_SEGMENT;
  segment->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  const auto size = static_cast<uint16_t>(kDatagram);
  std::memcpy(CMSG_DATA(segment), &size, sizeof size);
  return sendmsg(fd, &message, 0) >= 0 || errno == ENOBUFS || errno == EAGAIN;
}

int send(int fd, sockaddr_in address, double rate, double seconds) {
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kBuffer, sizeof kBuffer);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return complain("connect");
  std::vector<std::byte> bytes(kSuperframe);
  uint64_t datagrams = 0;
  const auto begin = Clock::now();
  double passed = 0;
  for (auto turn = begin; passed < seconds; turn = std::max(turn + kTurn, Clock::now())) {
    std::this_thread::sleep_until(turn);
    passed = std::chrono::duration<double>(Clock::now() - begin).count();
    for (auto due = static_cast<uint64_t>(rate * passed) / kDatagram; datagrams < due;) {
      const size_t count = std::min<uint64_t>(due - datagrams, kSuperframe / kDatagram);
      if (!send_superframe(fd, std::span(bytes).first(count * kDatagram))) return complain("send");
      datagrams += count;
    }
  }
  for (int i = 0; i < kEnds; ++i, std::this_thread::sleep_for(kTurn)) (void)!::write(fd, bytes.data(), 1);
  std::printf("{\"seconds\": %.6f, \"bytes\": %llu}\n", passed, static_cast<unsigned long long>(datagrams * kPayload));
  return 0;
}

template <typename T>
bool read(const char* text, T& value) {
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  return error == std::errc() && stop == end && value > 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  sockaddr_in address{};
  address.sin_family = AF_INET;
  uint16_t port = 0;
  double rate = 0, seconds = 0;
  const bool serves = verb == "serve" && argc == 3 && read(argv[2], port);
  const bool sends = verb == "send" && argc == 6 && inet_pton(AF_INET, argv[2], &address.sin_addr) == 1 && read(argv[3], port) && read(argv[4], rate) && read(argv[5], seconds);
  if (!serves && !sends) {
    std::fputs("usage: tideway-udp-floor serve PORT | send ADDRESS PORT BYTES_PER_SECOND SECONDS\n", stderr);
    return 2;
  }
  address.sin_port = htons(port);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return complain("socket");
  return serves ? serve(fd, address) : send(fd, address, rate, seconds);
}
