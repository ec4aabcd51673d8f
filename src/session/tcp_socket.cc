// SPDX-License-Identifier: Apache-2.0
#include "session/tcp_socket.h"

#include "packet_io/udp_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tideway::session {
namespace {

constexpr int kBacklog = 512;                 // as many as may wait for authorisation
constexpr unsigned kUserTimeoutMs = 10'000;   // as long as three missed keep-alives
// Behind an outage of 5 s the kernel would wait as long again before it tried once more, and the session be given up for silent.
constexpr int kTcpRtoMaxMs = 44;              // TCP_RTO_MAX_MS of newer headers, since Linux 6.15
constexpr int kRetryEveryMs = 1000;           // the least that it takes
constexpr int kUnsentMax = 128 * 1024;        // the kernel holds no more unsent, so small messages overtake pages here
constexpr char kCongestionControl[] = "bbr";  // a lossy long path starves CUBIC and with it the manifest

using packet_io::SocketAddress;

// For the kernel to write one into.
SocketAddress room_for_address() { return {.length = sizeof(sockaddr_storage)}; }

Socket open_socket(const Endpoint& endpoint) {
  const int family = endpoint.is_ipv4() ? AF_INET : AF_INET6;
  return Socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

template <typename T>
bool set_option(const Socket& socket, int level, int name, const T& value) {
  return ::setsockopt(socket.get(), level, name, &value, sizeof value) == 0;
}

Error local_error(const Endpoint& local, int error) {
  std::string next = "set an address of this host";
  if (error == EADDRINUSE) next = "see who holds the port: ss -ltnp, and choose another in [listen] control";
  if (error == EACCES) next = "choose a port above 1023";
  return {Fault::kConfigInvalid, "use " + to_string(local) + " for the control channel: " + std::strerror(error),
          std::move(next)};
}

}  // namespace

Result<Socket> listen_on(const Endpoint& local) {
  Socket socket = open_socket(local);
  if (!socket.is_open()) return local_error(local, errno);
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);  // a restart need not wait for old connections in TIME_WAIT
  const SocketAddress address = packet_io::to_socket_address(local);
  if (::bind(socket.get(), address.get(), address.length) != 0 || ::listen(socket.get(), kBacklog) != 0)
    return local_error(local, errno);
  return socket;
}

Result<Socket> begin_connect(const Endpoint& remote, const Endpoint& local) {
  Socket socket = open_socket(remote);
  if (!socket.is_open())
    return Error{Fault::kPeerUnreachable, "connect to " + to_string(remote) + ": " + std::strerror(errno), ""};
  tune_control_socket(socket);
  if (has_address(local)) {
    const SocketAddress from = packet_io::to_socket_address(local);
    if (::bind(socket.get(), from.get(), from.length) != 0) return local_error(local, errno);
  }
  const SocketAddress to = packet_io::to_socket_address(remote);
  if (::connect(socket.get(), to.get(), to.length) != 0 && errno != EINPROGRESS)
    return Error{Fault::kPeerUnreachable, "connect to " + to_string(remote) + ": " + std::strerror(errno),
                 "check the route to that address"};
  return socket;
}

AcceptedSocket accept_from(const Socket& listener) {
  AcceptedSocket accepted;
  SocketAddress from = room_for_address();
  accepted.socket = Socket(::accept4(listener.get(), from.get(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted.socket.is_open()) accepted.error = errno;
  else accepted.remote = packet_io::to_endpoint(from.storage);
  return accepted;
}

void tune_control_socket(const Socket& socket) {
  // Each of these makes a good channel better; a kernel that refuses one still carries it.
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  set_option(socket, IPPROTO_TCP, kTcpRtoMaxMs, kRetryEveryMs);
  set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentMax);
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, kCongestionControl, sizeof kCongestionControl - 1);
}

int take_error(const Socket& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Endpoint local_endpoint_of(const Socket& socket) {
  SocketAddress address = room_for_address();
  return ::getsockname(socket.get(), address.get(), &address.length) == 0 ? packet_io::to_endpoint(address.storage) : Endpoint{};
}

std::optional<Duration> tcp_rtt_of(const Socket& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_rtt == 0) return std::nullopt;
  return std::chrono::microseconds(info.tcpi_rtt);
}

}  // namespace tideway::session
