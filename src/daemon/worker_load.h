// SPDX-License-Identifier: Apache-2.0
//
// How busy each thread of this process is, as the kernel counts it.
// Thread: one owner.
#pragma once
#include <tideway/time.h>

#include <map>
#include <string>

namespace tideway::daemon {

class WorkerLoad {
 public:
  // By thread name, the share of a core since the look before, or since the start; looks within a second see the same.
  const std::map<std::string, double>& look(Time now);

 private:
  std::map<std::string, double> read_seconds() const;
  std::map<std::string, double> seconds_, ratio_;
  Time looked_at_{};
};

}  // namespace tideway::daemon
