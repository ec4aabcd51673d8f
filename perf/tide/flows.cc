// SPDX-License-Identifier: Apache-2.0
#include "flows.h"

#include "packet_io/udp_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

namespace tideway::trainer {
namespace {

constexpr size_t kChunk = 256 << 10;
// A burst's part of one flow: its length, and then its bytes. The far side answers with a byte.
using Header = std::array<std::byte, 8>;

Error lost(const char* what) { return {Fault::kPeerLost, std::string("the far side of the trainer is gone: ") + what + ": " + std::strerror(errno), ""}; }

Header header_of(uint64_t length) {
  Header header;
  std::memcpy(header.data(), &length, sizeof length);
  return header;
}

bool read_all(int fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return true;
}

// One connection at the serving side.
void take_bursts(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::vector<std::byte> buffer(kChunk);
  for (Header header; read_all(fd, header);) {
    uint64_t left = 0;
    std::memcpy(&left, header.data(), sizeof left);
    while (left > 0) {
      const size_t part = std::min<uint64_t>(left, buffer.size());
      if (!read_all(fd, std::span(buffer).first(part))) break;
      left -= part;
    }
    const char confirmed = 1;
    if (left > 0 || send(fd, &confirmed, 1, MSG_NOSIGNAL) != 1) break;
  }
  close(fd);
}

}  // namespace

Result<std::unique_ptr<Flows>> Flows::open(const Settings& settings) {
  std::unique_ptr<Flows> flows(new Flows);
  const packet_io::SocketAddress address = packet_io::to_socket_address(settings.peer);
  for (size_t i = 0; i < settings.flows; ++i) {
    const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    flows->flows_.push_back({fd, 0, true});
    const std::string& control = settings.congestion;
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control.data(), static_cast<socklen_t>(control.size())) != 0)
      return Error{Fault::kConfigInvalid, "no congestion control " + control + " in this kernel", "see net.ipv4.tcp_available_congestion_control"};
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!settings.pace.is_unlimited()) {
      const auto pace = static_cast<uint32_t>(settings.pace.bytes_per_second() / settings.flows);
      setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &pace, sizeof pace);
    }
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0)
      return Error{Fault::kPeerUnreachable, "no trainer at " + to_string(settings.peer) + ": " + std::strerror(errno), "start: tideway-trainer-sim serve"};
  }
  return flows;
}

Flows::~Flows() {
  for (const Flow& flow : flows_) close(flow.fd);
}

Status Flows::burst(Bytes size) {
  for (Flow& flow : flows_) {
    flow.left = size.count() / flows_.size();
    flow.is_confirmed = false;
    const Header header = header_of(flow.left);
    if (send(flow.fd, header.data(), header.size(), MSG_NOSIGNAL | MSG_MORE) != static_cast<ssize_t>(header.size())) return lost("header");
  }
  std::vector<pollfd> watched(flows_.size());
  while (std::ranges::any_of(flows_, [](const Flow& flow) { return !flow.is_confirmed; })) {
    for (size_t i = 0; i < flows_.size(); ++i) {
      const short events = flows_[i].is_confirmed ? 0 : static_cast<short>(flows_[i].left > 0 ? POLLOUT : POLLIN);
      watched[i] = {flows_[i].is_confirmed ? -1 : flows_[i].fd, events, 0};
    }
    if (poll(watched.data(), watched.size(), 60'000) <= 0) return lost("nothing for a minute");
    for (size_t i = 0; i < flows_.size(); ++i)
      if (watched[i].revents != 0)
        if (Status status = move(flows_[i], watched[i].revents); !status.ok()) return status;
  }
  return success();
}

Status Flows::move(Flow& flow, short events) {
  static const std::vector<std::byte> zeros(kChunk);
  if ((events & (POLLERR | POLLHUP)) != 0) return lost("connection");
  if (flow.left > 0) {
    const ssize_t sent = send(flow.fd, zeros.data(), std::min<uint64_t>(flow.left, zeros.size()), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return lost("send");
    flow.left -= static_cast<uint64_t>(std::max<ssize_t>(sent, 0));
    return success();
  }
  char confirmed = 0;
  if (recv(flow.fd, &confirmed, 1, MSG_DONTWAIT) != 1) return errno == EAGAIN ? success() : Status(lost("confirmation"));
  flow.is_confirmed = true;
  return success();
}

Status serve(const Endpoint& listen_at) {
  const packet_io::SocketAddress address = packet_io::to_socket_address(listen_at);
  const int listener = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 || listen(listener, 128) != 0)
    return Error{Fault::kConfigInvalid, "cannot listen at " + to_string(listen_at) + ": " + std::strerror(errno), ""};
  std::printf("ready %s\n", to_string(listen_at).c_str());
  std::fflush(stdout);
  for (int fd; (fd = accept(listener, nullptr, nullptr)) >= 0;) std::thread(take_bursts, fd).detach();
  return lost("accept");
}

}  // namespace tideway::trainer
