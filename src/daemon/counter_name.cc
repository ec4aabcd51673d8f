// SPDX-License-Identifier: Apache-2.0
#include "daemon/counter_name.h"

#include <charconv>
#include <utility>

namespace tideway::daemon {
namespace {

constexpr size_t kInterfaceNameMax = 15;  // of the kernel's names
constexpr size_t kNameMax = 127;          // of nftables' names, well within the kernel's limit; and of devices
constexpr uint32_t kMinorBits = 16;

// NFPROTO_* of <linux/netfilter.h>, which does not go with <netinet/in.h>.
constexpr std::pair<std::string_view, uint8_t> kFamilies[] = {{"inet", 1}, {"ip", 2}, {"netdev", 5}, {"bridge", 7}, {"ip6", 10}};

Error no_counter(std::string_view text, std::string next) {
  return {Fault::kConfigInvalid, '"' + std::string(text.substr(0, kNameMax)) + "\" names no counter", std::move(next)};
}

bool is_interface(std::string_view name) {
  return !name.empty() && name.size() <= kInterfaceNameMax && name.find('/') == name.npos && !name.starts_with('.');
}

// One of two halves of a handle, hexadecimal as tc shows it; an empty minor is 0.
bool read_half(std::string_view text, uint32_t& half) {
  half = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), half, 16);
  return text.empty() || (failure == std::errc() && end == text.data() + text.size() && half < 1U << kMinorBits);
}

Result<CounterName> parse_nft(std::string_view text, std::string_view name) {
  const std::string next = "write nft:FAMILY/TABLE/COUNTER as `nft list counters` has them, such as nft:inet/filter/training";
  CounterName made{.kind = CounterName::Kind::kNft, .device = {}, .table = {}, .counter = {}, .text = std::string(text)};
  const size_t first = name.find('/'), second = first == name.npos ? first : name.find('/', first + 1);
  if (second == name.npos) return no_counter(text, next);
  for (const auto& [family, number] : kFamilies)
    if (name.substr(0, first) == family) made.family = number;
  made.table = name.substr(first + 1, second - first - 1);
  made.counter = name.substr(second + 1);
  if (made.family == 0 || made.table.empty() || made.counter.empty() || made.counter.find('/') != made.counter.npos || name.size() > kNameMax)
    return no_counter(text, next);
  return made;
}

Result<CounterName> parse_tc(std::string_view text, std::string_view name) {
  const size_t slash = name.find('/'), colon = slash == name.npos ? slash : name.find(':', slash);
  CounterName made{.kind = CounterName::Kind::kTc, .device = std::string(name.substr(0, slash)), .table = {}, .counter = {}, .text = std::string(text)};
  uint32_t major = 0, minor = 0;
  if (colon == name.npos || !is_interface(made.device) || !read_half(name.substr(slash + 1, colon - slash - 1), major) || major == 0 ||
      !read_half(name.substr(colon + 1), minor))
    return no_counter(text, "write tc:INTERFACE/HANDLE of a qdisc or class that `tc qdisc` or `tc class` shows, such as tc:eth1/1:10");
  made.handle = major << kMinorBits | minor;
  return made;
}

}  // namespace

Result<CounterName> parse_counter_name(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon), name = colon == text.npos ? std::string_view() : text.substr(colon + 1);
  if (kind == "nft") return parse_nft(text, name);
  if (kind == "tc") return parse_tc(text, name);
  CounterName made{.kind = CounterName::Kind::kInterface, .device = std::string(name), .table = {}, .counter = {}, .text = std::string(text)};
  if (kind == "dpdk") {
    made.kind = CounterName::Kind::kDpdk;
    if (name.empty() || name.size() > kNameMax) return no_counter(text, "write dpdk: and a device of [data_plane.dpdk], such as dpdk:0000:81:00.0");
    return made;
  }
  if (kind != "iface" || !is_interface(name))
    return no_counter(text, "write iface: and one of those that `ip link` shows, such as iface:eth1; nft:, tc: and dpdk: are for other counters");
  return made;
}

}  // namespace tideway::daemon
