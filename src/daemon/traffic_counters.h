// SPDX-License-Identifier: Apache-2.0
//
// The counters that show a training's bursts, whatever kind they are, summed.
// Thread: beacon, after open().
#pragma once
#include "daemon/interface_counters.h"
#include "daemon/netlink_counter.h"

namespace tideway::daemon {

class TrafficCounters {
 public:
  // `data_address`: from which bulk leaves through the kernel; none: it does not. Errors: config_invalid, when a counter is not there.
  static Result<TrafficCounters> open(const std::vector<CounterName>& names, const std::optional<Endpoint>& data_address);

  // What nftables and tc count is taken for sent: a counter of theirs has one direction, or both without saying which.
  InterfaceCounters::Counts read(Time now);
  // Our own bytes pass them, too: an interface that we send from, and the queue through which all of it goes. What a rule or a class
  // counts is what its operator chose, who leaves our packets out.
  bool sees_ours() const { return sees_ours_; }

 private:
  explicit TrafficCounters(InterfaceCounters interfaces) : interfaces_(std::move(interfaces)) {}
  InterfaceCounters interfaces_;
  std::vector<NetlinkCounter> netlink_;
  std::vector<std::string> ports_;
  bool sees_ours_ = false;
};

// How often they are to be asked. Whoever reads the counters of tc waits for all who change the host's network meanwhile.
Duration bin_of(const std::vector<CounterName>& names, Rate capacity);
// How old a burst is then, at most. A port may show only what arrives, which counts later.
Duration seen_after(const std::vector<CounterName>& names, Rate capacity);

}  // namespace tideway::daemon
