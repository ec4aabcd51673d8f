// SPDX-License-Identifier: Apache-2.0
#include "packet_io/kernel_interface.h"

#include "base/descriptor.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace tideway::packet_io {
namespace {

// Any socket will do to ask with.
Descriptor any_socket() { return Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }

bool ask(const Descriptor& socket, unsigned long question, ifreq& request) {
  return socket.is_open() && ioctl(socket.get(), question, &request) == 0;
}

}  // namespace

std::optional<LinkState> link_of_interface(unsigned index) {
  const Descriptor socket = any_socket();
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(index);
  if (!ask(socket, SIOCGIFNAME, request)) return errno == ENODEV ? std::optional(LinkState::kGone) : std::nullopt;
  if (!ask(socket, SIOCGIFFLAGS, request)) return std::nullopt;
  return (request.ifr_flags & IFF_RUNNING) != 0 ? LinkState::kUp : LinkState::kDown;
}

Bytes mtu_of_interface(const std::string& name) {
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name) return {};
  std::copy(name.begin(), name.end(), request.ifr_name);
  return Bytes(ask(any_socket(), SIOCGIFMTU, request) ? static_cast<uint64_t>(request.ifr_mtu) : 0);
}

}  // namespace tideway::packet_io
