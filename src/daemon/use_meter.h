// SPDX-License-Identifier: Apache-2.0
//
// What those who send make of the time in which their gate is open. A second in which it was shut says nothing of that, and bursts of a large
// model last for seconds: whoever is behind a gate is measured on until that was open for a while.
// Thread: control. Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

#include <map>
#include <optional>
#include <set>

namespace tideway::daemon {

// For how long a gate was open, of how long it was watched.
struct GateTime { Duration open{}, over{}; };

class UseMeter {
 public:
  static constexpr Duration kLeast = std::chrono::seconds(1), kOpenLeast = std::chrono::milliseconds(200);
  static constexpr Duration kMost = std::chrono::seconds(60);  // a gate that is shut for longer is no tide

  using Sender = const void*;  // to tell them apart
  struct Use {
    Rate sent;              // on average
    double open_share = 1;  // of the time
  };
  // `sent`: in all; `gate`: nothing, if none holds it. Nothing: what was said before is still what is known.
  std::optional<Use> look(Sender sender, Time now, Bytes sent, const std::optional<GateTime>& gate);
  // The others are gone.
  void keep(const std::set<Sender>& senders);

 private:
  struct Begun { Time at; Bytes sent; GateTime gate; };
  std::map<Sender, Begun> begun_;  // what is being measured, by sender
};

}  // namespace tideway::daemon
