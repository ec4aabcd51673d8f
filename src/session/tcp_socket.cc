// SPDX-License-Identifier: Apache-2.0
#include "session/tcp_socket.h"

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
constexpr int kUnsentMax = 128 * 1024;        // the kernel holds no more unsent, so small messages overtake pages here
constexpr char kCongestionControl[] = "bbr";  // a lossy long path starves CUBIC and with it the manifest

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_socket_address(const Endpoint& endpoint) {
  SocketAddress address;
  if (endpoint.is_ipv4()) {
    auto* const in = reinterpret_cast<sockaddr_in*>(&address.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(endpoint.port);
    std::memcpy(&in->sin_addr, endpoint.address.data() + 12, 4);
    address.size = sizeof *in;
  } else {
    auto* const in6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(endpoint.port);
    std::memcpy(&in6->sin6_addr, endpoint.address.data(), 16);
    address.size = sizeof *in6;
  }
  return address;
}

Endpoint from_socket_address(const SocketAddress& address) {
  Endpoint endpoint;
  if (address.storage.ss_family == AF_INET) {
    const auto* const in = reinterpret_cast<const sockaddr_in*>(&address.storage);
    endpoint.port = ntohs(in->sin_port);
    endpoint.address[10] = endpoint.address[11] = std::byte{0xFF};
    std::memcpy(endpoint.address.data() + 12, &in->sin_addr, 4);
  } else if (address.storage.ss_family == AF_INET6) {
    const auto* const in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    endpoint.port = ntohs(in6->sin6_port);
    std::memcpy(endpoint.address.data(), &in6->sin6_addr, 16);
  }
  return endpoint;
}

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
  SocketAddress address = to_socket_address(local);
  if (::bind(socket.get(), address.get(), address.size) != 0 || ::listen(socket.get(), kBacklog) != 0)
    return local_error(local, errno);
  return socket;
}

Result<Socket> begin_connect(const Endpoint& remote, const Endpoint& local) {
  Socket socket = open_socket(remote);
  if (!socket.is_open())
    return Error{Fault::kPeerUnreachable, "connect to " + to_string(remote) + ": " + std::strerror(errno), ""};
  tune_control_socket(socket);
  if (has_address(local)) {
    SocketAddress from = to_socket_address(local);
    if (::bind(socket.get(), from.get(), from.size) != 0) return local_error(local, errno);
  }
  SocketAddress to = to_socket_address(remote);
  if (::connect(socket.get(), to.get(), to.size) != 0 && errno != EINPROGRESS)
    return Error{Fault::kPeerUnreachable, "connect to " + to_string(remote) + ": " + std::strerror(errno),
                 "check the route to that address"};
  return socket;
}

AcceptedSocket accept_from(const Socket& listener) {
  AcceptedSocket accepted;
  SocketAddress from;
  accepted.socket = Socket(::accept4(listener.get(), from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted.socket.is_open()) accepted.error = errno;
  else accepted.remote = from_socket_address(from);
  return accepted;
}

void tune_control_socket(const Socket& socket) {
  // Each of these makes a good channel better; a kernel that refuses one still carries it.
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentMax);
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, kCongestionControl, sizeof kCongestionControl - 1);
}

int take_error(const Socket& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Endpoint local_endpoint_of(const Socket& socket) {
  SocketAddress address;
  return ::getsockname(socket.get(), address.get(), &address.size) == 0 ? from_socket_address(address) : Endpoint{};
}

Endpoint remote_endpoint_of(const Socket& socket) {
  SocketAddress address;
  return ::getpeername(socket.get(), address.get(), &address.size) == 0 ? from_socket_address(address) : Endpoint{};
}

std::optional<Duration> tcp_rtt_of(const Socket& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_rtt == 0) return std::nullopt;
  return std::chrono::microseconds(info.tcpi_rtt);
}

}  // namespace tideway::session
