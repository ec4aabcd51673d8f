// SPDX-License-Identifier: Apache-2.0
#include "packet_io/kernel_interface.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tideway::packet_io {
namespace {

// Any socket will do to ask with.
class Asker {
 public:
  Asker() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Asker() {
    if (fd_ >= 0) close(fd_);
  }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  bool ask(unsigned long question, ifreq& request) const { return fd_ >= 0 && ioctl(fd_, question, &request) == 0; }

 private:
  const int fd_;
};

}  // namespace

std::optional<LinkState> link_of_interface(unsigned index) {
  const Asker asker;
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(index);
  if (!asker.ask(SIOCGIFNAME, request)) return errno == ENODEV ? std::optional(LinkState::kGone) : std::nullopt;
  if (!asker.ask(SIOCGIFFLAGS, request)) return std::nullopt;
  return (request.ifr_flags & IFF_RUNNING) != 0 ? LinkState::kUp : LinkState::kDown;
}

Bytes mtu_of_interface(const std::string& name) {
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name) return {};
  std::copy(name.begin(), name.end(), request.ifr_name);
  return Bytes(Asker().ask(SIOCGIFMTU, request) ? static_cast<uint64_t>(request.ifr_mtu) : 0);
}

}  // namespace tideway::packet_io
