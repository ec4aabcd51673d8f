// SPDX-License-Identifier: Apache-2.0
//
// The byte counters of some network interfaces of this host, summed.
// Thread: beacon, after open().
#pragma once
#include "base/descriptor.h"
#include <tideway/packet_io.h>
#include <tideway/result.h>
#include <tideway/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tideway::daemon {

class InterfaceCounters {
 public:
  // Errors: config_invalid, when there is no such interface.
  // `folder`: where the kernel shows them.
  static Result<InterfaceCounters> open(const std::vector<std::string>& names, const std::string& folder = "/sys/class/net");

  // Since open(). One that is gone stands still and is looked for every kLookPeriod; what it counted before it was found again is of no bin.
  static constexpr Duration kLookPeriod = std::chrono::milliseconds(100);
  struct Counts { uint64_t sent = 0, received = 0; };
  Counts read(Time now);

 private:
  struct File {
    Descriptor file;
    uint64_t before = 0;                  // as it stood when it was read last
  };
  struct Interface {
    std::string name;
    File sent, received;
    Time looked_at = Time::min();         // for one that is gone
  };
  explicit InterfaceCounters(std::string folder) : folder_(std::move(folder)) {}
  bool open_files(Interface& interface) const;

  std::string folder_;
  std::vector<Interface> interfaces_;
  Counts sum_;
};

// Whether packets that leave from `address` pass that interface: it has the address, or any where ours is unspecified. A port
// that mirrors others' traffic has none.
bool carries(const std::string& interface, const Endpoint& address);

}  // namespace tideway::daemon
