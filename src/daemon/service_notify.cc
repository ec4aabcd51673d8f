// SPDX-License-Identifier: Apache-2.0
#include "daemon/service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tideway::daemon {

ServiceNotify::ServiceNotify() {
  const char* const named = std::getenv("NOTIFY_SOCKET");
  const std::string path = named == nullptr ? "" : named;
  sockaddr_un address{};
  if (path.size() < 2 || path.size() >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) socket_.reset();
}

void ServiceNotify::say(std::string_view state) const {
  if (socket_.is_open()) static_cast<void>(::send(socket_.get(), state.data(), state.size(), MSG_NOSIGNAL));
}

}  // namespace tideway::daemon
