// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"
#include <tideway/object_name.h>

#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tideway::http {
namespace {

constexpr int kBacklog = 64;

Error failed(const std::string& where, const char* step, const std::string& next) {
  return {Fault::kConfigInvalid, "cannot listen on " + to_display(where) + ": " + step + ": " + std::strerror(errno), next};
}

// Nobody answers at it: whoever made it is gone.
bool is_abandoned(const sockaddr_un& address) {
  const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
}

}  // namespace

ListenSocket::~ListenSocket() {
  if (fd_.is_open() && !path_.empty()) ::unlink(path_.c_str());
}

Result<ListenSocket> ListenSocket::open_unix(const std::string& path, const std::string& group) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Fault::kConfigInvalid, "the path of a socket is longer than 107 bytes: " + to_display(path), "write a shorter api in [listen]"};
  std::memcpy(address.sun_path, path.data(), path.size());
  const std::string next = "see api in [listen]; its folder must be there and writable for us";
  ListenSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "");
  if (!socket.fd_.is_open()) return failed(path, "socket", next);
  const auto bind_it = [&] { return ::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0; };
  const mode_t before = ::umask(0117);
  bool is_bound = bind_it();
  if (!is_bound && errno == EADDRINUSE && is_abandoned(address) && ::unlink(path.c_str()) == 0) is_bound = bind_it();
  ::umask(before);
  if (!is_bound) return failed(path, "bind", errno == EADDRINUSE ? "another gateway serves this socket: give each its own api in [listen]" : next);
  socket.path_ = path;
  // Without that group, or the right to give files to it, the socket is our own group's.
  if (const ::group* entry = group.empty() ? nullptr : ::getgrnam(group.c_str()); entry != nullptr && ::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) errno = 0;
  if (::listen(socket.fd(), kBacklog) != 0) return failed(path, "listen", next);
  return socket;
}

Result<ListenSocket> ListenSocket::open_tcp(const Endpoint& local) {
  const std::string next = "another program may have this port: see [listen]";
  ListenSocket socket(::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "");
  if (!socket.fd_.is_open()) return failed(to_string(local), "socket", next);
  const int on = 1, off = 0;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);  // IPv4 comes as mapped addresses
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(local.port);
  std::memcpy(&address.sin6_addr, local.address.data(), local.address.size());
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return failed(to_string(local), "bind", next);
  if (::listen(socket.fd(), kBacklog) != 0) return failed(to_string(local), "listen", next);
  return socket;
}

}  // namespace tideway::http
