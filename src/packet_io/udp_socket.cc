// SPDX-License-Identifier: Apache-2.0
#include "packet_io/udp_socket.h"

#include <ifaddrs.h>
#include <linux/sock_diag.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace tideway::packet_io {
namespace {

constexpr size_t kIpv4Offset = 12;  // of the four bytes within an IPv4-mapped address

Error open_error(const Endpoint& local, const char* step, int cause) {
  const std::string where = "UDP " + to_string(local);
  switch (cause) {
    case EADDRNOTAVAIL:
      return {Fault::kConfigInvalid, where + ": no interface of this host has that address",
              "set address in [data_plane] to an address that \"ip -brief address\" lists"};
    case EADDRINUSE:
      return {Fault::kConfigInvalid, where + ": another program has that port",
              "find it with \"ss -ulpn\" and stop it, or give address in [data_plane] another port"};
    case EACCES:
      return {Fault::kConfigInvalid, where + ": this user may not bind that port",
              "give address in [data_plane] a port above 1023"};
    case EAFNOSUPPORT:
      return {Fault::kConfigInvalid, where + ": this host has no " + (local.is_ipv4() ? "IPv4" : "IPv6"),
              "set address in [data_plane] to an address of the other family"};
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return {Fault::kOverloaded, where + ": " + step + " failed: " + std::strerror(cause),
              "raise the limit of open files (LimitNOFILE, ulimit -n)"};
    default:
      return {Fault::kConfigInvalid, where + ": " + step + " failed: " + std::strerror(cause),
              "check address in [data_plane]"};
  }
}

bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// Asks for `wanted` bytes, past the host's limit where this process may, and returns what was granted.
Bytes size_buffer(int fd, int forced, int plain, Bytes wanted) {
  const auto size = static_cast<int>(std::min<uint64_t>(wanted.count(), 1 << 30));
  if (!set_option(fd, SOL_SOCKET, forced, size)) set_option(fd, SOL_SOCKET, plain, size);
  int granted = 0;
  socklen_t length = sizeof granted;
  if (getsockopt(fd, SOL_SOCKET, plain, &granted, &length) != 0) return Bytes();
  return Bytes(static_cast<uint64_t>(granted) / 2);  // the kernel doubles what was asked, for its bookkeeping
}

// What no packet may leave without. Returns the errno of the first refusal, or zero.
int set_required(int fd, bool is_ipv4) {
  if (is_ipv4) {
    // PROBE: DF on every packet, and the kernel's own idea of the path MTU is not asked; flows find it (RFC 8899).
    if (!set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)) return errno;
    if (!set_option(fd, IPPROTO_IP, IP_RECVTOS, 1)) return errno;
    return 0;
  }
  if (!set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return errno;
  if (!set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)) return errno;
  if (!set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1)) return errno;
  return 0;
}

Bytes interface_mtu_of(int fd, const Endpoint& local) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return Bytes();
  Bytes mtu;
  for (const ifaddrs* row = list; row != nullptr; row = row->ifa_next) {
    if (row->ifa_addr == nullptr) continue;
    const sa_family_t family = row->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage address{};
    std::memcpy(&address, row->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (to_endpoint(address).address != local.address) continue;
    ifreq request{};
    std::strncpy(request.ifr_name, row->ifa_name, sizeof request.ifr_name - 1);
    if (ioctl(fd, SIOCGIFMTU, &request) == 0) mtu = Bytes(static_cast<uint64_t>(request.ifr_mtu));
    break;
  }
  freeifaddrs(list);
  return mtu;
}

UdpNotes set_wanted(int fd, const UdpConfig& config) {
  UdpNotes notes;
  notes.send_wanted = config.socket_send;
  notes.receive_wanted = config.socket_receive;
  notes.send_granted = size_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, config.socket_send);
  notes.receive_granted = size_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, config.socket_receive);
  // Zero changes nothing (runs say their segment themselves); a kernel before 4.18 refuses it.
  if (config.gso == Gso::kOn && set_option(fd, IPPROTO_UDP, UDP_SEGMENT, 0)) notes.gso = Gso::kOn;
  set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);  // without stamps a packet came when we looked
  if (config.gro == Gro::kOn && set_option(fd, IPPROTO_UDP, UDP_GRO, 1)) notes.gro = Gro::kOn;
  return notes;
}

}  // namespace

std::string UdpNotes::advice() const {
  std::string text;
  const auto line = [&text](const char* key, Bytes wanted, Bytes granted) {
    if (granted < wanted) text += std::string("sysctl -w ") + key + '=' + std::to_string(wanted.count()) + '\n';
  };
  line("net.core.rmem_max", receive_wanted, receive_granted);
  line("net.core.wmem_max", send_wanted, send_granted);
  return text;
}

SocketAddress to_socket_address(const Endpoint& endpoint) {
  SocketAddress address;
  if (endpoint.is_ipv4()) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(endpoint.port);
    std::memcpy(&ipv4.sin_addr, endpoint.address.data() + kIpv4Offset, sizeof ipv4.sin_addr);
    std::memcpy(&address.storage, &ipv4, sizeof ipv4);
    address.length = sizeof ipv4;
    return address;
  }
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(endpoint.port);
  std::memcpy(&ipv6.sin6_addr, endpoint.address.data(), sizeof ipv6.sin6_addr);
  std::memcpy(&address.storage, &ipv6, sizeof ipv6);
  address.length = sizeof ipv6;
  return address;
}

Endpoint to_endpoint(const sockaddr_storage& address) {
  Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, &address, sizeof ipv4);
    endpoint.address[10] = endpoint.address[11] = std::byte{0xFF};
    std::memcpy(endpoint.address.data() + kIpv4Offset, &ipv4.sin_addr, sizeof ipv4.sin_addr);
    endpoint.port = ntohs(ipv4.sin_port);
    return endpoint;
  }
  sockaddr_in6 ipv6;
  std::memcpy(&ipv6, &address, sizeof ipv6);
  std::memcpy(endpoint.address.data(), &ipv6.sin6_addr, sizeof ipv6.sin6_addr);
  endpoint.port = ntohs(ipv6.sin6_port);
  return endpoint;
}

Result<UdpSocket> UdpSocket::open(const Endpoint& local, const UdpConfig& config) {
  const bool is_ipv4 = local.is_ipv4();
  UdpSocket opened(Descriptor(socket(is_ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), local);
  const int fd = opened.fd();
  if (fd < 0) return open_error(local, "socket", errno);
  if (const int refused = set_required(fd, is_ipv4); refused != 0) return open_error(local, "setsockopt", refused);
  opened.notes_ = set_wanted(fd, config);
  // No SO_REUSEADDR: for UDP it would let another program take our packets.
  SocketAddress address = to_socket_address(local);
  if (bind(fd, address.get(), address.length) != 0)
    return open_error(local, "bind", errno);
  if (getsockname(fd, address.get(), &address.length) != 0)
    return open_error(local, "getsockname", errno);
  opened.local_ = to_endpoint(address.storage);
  opened.notes_.interface_mtu = interface_mtu_of(fd, local);
  return opened;
}

uint64_t UdpSocket::receive_overflows() const {
  std::array<uint32_t, SK_MEMINFO_VARS> told{};
  socklen_t length = sizeof told;
  if (getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, told.data(), &length) != 0) return 0;  // a kernel before 4.12
  return told[SK_MEMINFO_DROPS];
}

Result<UdpNotes> probe_udp(const Endpoint& local, const UdpConfig& config) {
  auto opened = UdpSocket::open(local, config);
  if (!opened.ok()) return std::move(opened).error();
  return opened.value().notes();
}

}  // namespace tideway::packet_io
