// SPDX-License-Identifier: Apache-2.0
#include "daemon/interface_counters.h"

#include "packet_io/udp_socket.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>

namespace tideway::daemon {
namespace {

constexpr size_t kDigitsMax = 32;

Descriptor open_counter(const std::string& interface, const char* name) {
  return Descriptor(::open(("/sys/class/net/" + interface + "/statistics/" + name).c_str(), O_RDONLY | O_CLOEXEC));
}

// An interface that is gone counts nothing.
uint64_t read_counter(const Descriptor& file) {
  std::array<char, kDigitsMax> text;
  const ssize_t size = pread(file.get(), text.data(), text.size(), 0);
  uint64_t value = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, value);
  return value;
}

// 0.0.0.0 or ::, as an endpoint has them.
bool is_unspecified(const Endpoint& endpoint) {
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  const auto tail = std::span(endpoint.address).last(4), head = std::span(endpoint.address).first(10);
  return std::ranges::all_of(tail, is_zero) && std::ranges::all_of(head, is_zero);
}

}  // namespace

Result<InterfaceCounters> InterfaceCounters::open(const std::vector<std::string>& names) {
  InterfaceCounters counters;
  for (const std::string& name : names) {
    counters.files_.push_back({open_counter(name, "tx_bytes"), open_counter(name, "rx_bytes")});
    if (!counters.files_.back().sent.is_open() || !counters.files_.back().received.is_open())
      return Error{Fault::kConfigInvalid, "the counters of the interface " + name + " cannot be read: " + std::strerror(errno),
                   "write one of those that `ip link` shows into counters of the [[training]]"};
  }
  return counters;
}

InterfaceCounters::Counts InterfaceCounters::read() const {
  Counts sum;
  for (const Files& files : files_) {
    sum.sent += read_counter(files.sent);
    sum.received += read_counter(files.received);
  }
  return sum;
}

bool carries(const std::string& interface, const Endpoint& address) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return true;
  bool is_found = false;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || interface != one->ifa_name) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, one->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    const bool is_link_local = family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr);
    is_found |= packet_io::to_endpoint(storage).address == address.address || (is_unspecified(address) && !is_link_local);
  }
  freeifaddrs(all);
  return is_found;
}

}  // namespace tideway::daemon
