// SPDX-License-Identifier: Apache-2.0
#include "support/sim_sockets.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace tideway::test {
namespace {

using Kind = SocketFault::Kind;

thread_local SocketFault fault;
thread_local uint64_t passed = 0;

enum class Moves : uint8_t { kYes, kNo };

// True: the call is not made, and answers with an error.
bool stops(int error, Moves moves) {
  if (fault.kind == Kind::kNone || (fault.kind != Kind::kError && moves == Moves::kNo)) return false;
  passed += 1;
  if (passed != fault.at) return false;
  errno = fault.kind == Kind::kError ? error : fault.kind == Kind::kInterrupted ? EINTR : EAGAIN;
  return true;
}

long raw(long number, auto... arguments) { return ::syscall(number, arguments...); }

}  // namespace

SimSockets::SimSockets(const SocketFault& wanted) {
  fault = wanted;
  passed = 0;
}
SimSockets::~SimSockets() { fault = {}; }
bool SimSockets::was_hit() const { return passed >= fault.at; }

}  // namespace tideway::test

using namespace tideway::test;  // NOLINT(google-build-using-namespace): of this file alone

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  return stops(EMFILE, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_socket, domain, type, protocol));
}
int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  return stops(EADDRINUSE, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_bind, fd, address, size));
}
int listen(int fd, int backlog) noexcept {
  return stops(EADDRINUSE, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_listen, fd, backlog));
}
int connect(int fd, const sockaddr* address, socklen_t size) {
  return stops(ENETUNREACH, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_connect, fd, address, size));
}
int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return stops(ECONNABORTED, Moves::kYes) ? -1 : static_cast<int>(raw(SYS_accept4, fd, address, size, flags));
}
int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  return stops(ENOPROTOOPT, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_setsockopt, fd, level, name, value, size));
}
int getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  return stops(ENOBUFS, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_getsockopt, fd, level, name, value, size));
}
int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
  return stops(ENOBUFS, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_getsockname, fd, address, size));
}
int shutdown(int fd, int how) noexcept {
  return stops(ENOTCONN, Moves::kNo) ? -1 : static_cast<int>(raw(SYS_shutdown, fd, how));
}
ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  return stops(ECONNRESET, Moves::kYes) ? -1 : raw(SYS_recvfrom, fd, bytes, size, flags, nullptr, nullptr);
}
ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  return stops(EPIPE, Moves::kYes) ? -1 : raw(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
}
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return stops(ENOBUFS, Moves::kYes) ? -1 : static_cast<int>(raw(SYS_sendmmsg, fd, messages, count, flags));
}
int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  return stops(ECONNREFUSED, Moves::kYes) ? -1 : static_cast<int>(raw(SYS_recvmmsg, fd, messages, count, flags, timeout));
}

}  // extern "C"
