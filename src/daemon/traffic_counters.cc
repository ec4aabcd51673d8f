// SPDX-License-Identifier: Apache-2.0
#include "daemon/traffic_counters.h"

#include "packet_io/registry.h"
#include "planner/counter_watch.h"

#include <algorithm>

namespace tideway::daemon {

Result<TrafficCounters> TrafficCounters::open(const std::vector<CounterName>& names, const std::optional<Endpoint>& data_address) {
  std::vector<std::string> interfaces;
  for (const CounterName& name : names)
    if (name.kind == CounterName::Kind::kInterface) interfaces.push_back(name.device);
  auto opened = InterfaceCounters::open(interfaces);
  if (!opened.ok()) return std::move(opened).error();
  TrafficCounters counters(std::move(opened).value());
  counters.sees_ours_ = data_address && std::ranges::any_of(interfaces, [&](const std::string& name) { return carries(name, *data_address); });
  for (const CounterName& name : names) {
    if (name.kind == CounterName::Kind::kDpdk) {
      counters.ports_.push_back(name.device);
      counters.sees_ours_ = true;
      continue;
    }
    if (name.kind == CounterName::Kind::kInterface) continue;
    auto counter = NetlinkCounter::open(name);
    if (!counter.ok()) return std::move(counter).error();
    counters.sees_ours_ |= counter.value().is_of_root() && data_address && carries(name.device, *data_address);
    counters.netlink_.push_back(std::move(counter).value());
  }
  return counters;
}

namespace {

auto is_of(CounterName::Kind kind) { return [kind](const CounterName& name) { return name.kind == kind; }; }

}  // namespace

Duration seen_after(const std::vector<CounterName>& names, Rate capacity) {
  const bool arrives = std::ranges::any_of(names, is_of(CounterName::Kind::kDpdk));
  return bin_of(names, capacity) + (arrives ? planner::CounterWatch::kReceivedLate : Duration());
}

Duration bin_of(const std::vector<CounterName>& names, Rate capacity) {
  using planner::CounterWatch;
  if (std::ranges::any_of(names, is_of(CounterName::Kind::kTc))) return CounterWatch::kBin;
  const bool has_ports_only = std::ranges::all_of(names, is_of(CounterName::Kind::kDpdk));
  return CounterWatch::bin_of(capacity, has_ports_only ? CounterWatch::kPortBin : CounterWatch::kKernelBin);
}

// Ports are there once the engine has started, a moment after us: until then they count nothing.
InterfaceCounters::Counts TrafficCounters::read(Time now) {
  InterfaceCounters::Counts sum = interfaces_.read(now);
  for (NetlinkCounter& counter : netlink_) sum.sent += counter.read();
  if (ports_.empty()) return sum;
  const auto backend = packet_io::find_backend("dpdk");
  if (!backend.ok() || backend.value()->ports == nullptr) return sum;
  for (const packet_io::PortCounters& port : backend.value()->ports()) {
    if (std::ranges::count(ports_, port.port) == 0) continue;
    sum.sent += port.sent_bytes;
    sum.received += port.received_bytes;
  }
  return sum;
}

}  // namespace tideway::daemon
