// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one counter that the kernel shows through netlink: a named counter of nftables, or a queue discipline or class
// of traffic control. The messages are few and small, so they are written and read here.
// Thread: one owner.
#pragma once
#include "base/descriptor.h"
#include "daemon/counter_name.h"

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace tideway::daemon {

// What is asked, and what an answer says. `interface`: the index of a kTc counter's device. Pure.
enum class CounterPlace : uint8_t { kAnywhere, kAtRoot };  // the latter: a queue through which all goes that leaves the interface, or an error
struct CounterQuestion {
  uint32_t interface = 0, sequence = 0;
  CounterPlace place = CounterPlace::kAnywhere;
};
std::vector<std::byte> counter_request(const CounterName& name, const CounterQuestion& question);
// Errors: the kernel's errno; EBADMSG: it is no answer that we know.
struct CounterAnswer {
  int error = 0;
  uint64_t bytes = 0;
};
CounterAnswer counter_answer(const CounterName& name, std::span<const std::byte> message);

class NetlinkCounter {
 public:
  // Errors: config_invalid, when it is not there or may not be read.
  static Result<NetlinkCounter> open(CounterName name);

  // One that has gone stands still.
  uint64_t read();
  bool is_of_root() const { return is_of_root_; }  // when it was opened

 private:
  NetlinkCounter(CounterName name, Descriptor socket) : name_(std::move(name)), socket_(std::move(socket)) {}
  CounterAnswer ask(CounterPlace place = CounterPlace::kAnywhere);

  CounterName name_;
  Descriptor socket_;
  uint32_t sequence_ = 0;
  uint64_t last_ = 0;
  bool is_of_root_ = false;
};

}  // namespace tideway::daemon
