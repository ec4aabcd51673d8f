// SPDX-License-Identifier: Apache-2.0
//
// The byte counters of some network interfaces of this host, summed.
// Thread: beacon, after open().
#pragma once
#include "base/descriptor.h"
#include <tideway/packet_io.h>
#include <tideway/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tideway::daemon {

class InterfaceCounters {
 public:
  // Errors: config_invalid, when there is no such interface.
  static Result<InterfaceCounters> open(const std::vector<std::string>& names);

  struct Counts { uint64_t sent = 0, received = 0; };
  Counts read() const;

 private:
  struct Files { Descriptor sent, received; };
  InterfaceCounters() = default;
  std::vector<Files> files_;
};

// Whether packets that leave from `address` pass that interface: it has the address, or any where ours is unspecified. A port
// that mirrors others' traffic has none.
bool carries(const std::string& interface, const Endpoint& address);

}  // namespace tideway::daemon
