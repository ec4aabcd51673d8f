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
#include <system_error>

namespace tideway::daemon {
namespace {

constexpr size_t kDigitsMax = 32;

// Nothing: the interface is gone, and the descriptor with it, whatever comes back under its name.
std::optional<uint64_t> read_counter(const Descriptor& file) {
  std::array<char, kDigitsMax> text;
  const ssize_t size = file.is_open() ? pread(file.get(), text.data(), text.size(), 0) : -1;
  uint64_t value = 0;
  if (size <= 0 || std::from_chars(text.data(), text.data() + size, value).ec != std::errc()) return std::nullopt;
  return value;
}

// A counter that was set back, as by its driver, counts from there.
uint64_t grown_since(uint64_t& before, uint64_t now) { return now - std::min(std::exchange(before, now), now); }

// 0.0.0.0 or ::, as an endpoint has them.
bool is_unspecified(const Endpoint& endpoint) {
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  const auto tail = std::span(endpoint.address).last(4), head = std::span(endpoint.address).first(10);
  return std::ranges::all_of(tail, is_zero) && std::ranges::all_of(head, is_zero);
}

}  // namespace

Result<InterfaceCounters> InterfaceCounters::open(const std::vector<std::string>& names, const std::string& folder) {
  InterfaceCounters counters(folder);
  for (const std::string& name : names) {
    counters.interfaces_.push_back({.name = name, .sent = {}, .received = {}});
    if (!counters.open_files(counters.interfaces_.back()))
      return Error{Fault::kConfigInvalid, "the counters of the interface " + name + " cannot be read: " + std::strerror(errno),
                   "write one of those that `ip link` shows into counters of the [[training]]"};
  }
  return counters;
}

// What they count from here on. One that was made anew began with zero, so what it stood at before says nothing of it.
bool InterfaceCounters::open_files(Interface& interface) const {
  const auto open_one = [&](File& one, const char* name) {
    one.file = Descriptor(::open((folder_ + "/" + interface.name + "/statistics/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    const auto value = read_counter(one.file);
    one.before = value.value_or(0);
    return value.has_value();
  };
  return open_one(interface.sent, "tx_bytes") && open_one(interface.received, "rx_bytes");
}

InterfaceCounters::Counts InterfaceCounters::read(Time now) {
  for (Interface& one : interfaces_) {
    const auto sent = read_counter(one.sent.file), received = read_counter(one.received.file);
    if (sent && received) {
      sum_.sent += grown_since(one.sent.before, *sent);
      sum_.received += grown_since(one.received.before, *received);
    } else if (one.looked_at == Time::min() || now - one.looked_at >= kLookPeriod) {
      one.looked_at = now;
      open_files(one);
    }
  }
  return sum_;
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
