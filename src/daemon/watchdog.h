// SPDX-License-Identifier: Apache-2.0
//
// When the service manager's watchdog is to be told that we are well: twice as often as it wants to hear it at least. Nothing but
// the loop that is being watched may ask, so that a loop which stands still says nothing; and net workers, which turn at least
// each second, have to have turned lately.
// Thread: the loop's. Pure.
#pragma once
#include <tideway/time.h>

#include <cstdint>

namespace tideway::daemon {

class Watchdog {
 public:
  // `patience`: after so long without a word the manager ends us; zero: nobody watches.
  Watchdog(Time start, Duration patience) : every_(patience / 2), next_(patience > Duration() ? start : kNever) {}
  // What the manager says in WATCHDOG_USEC and WATCHDOG_PID (sd_watchdog_enabled(3)); null where it does not.
  static Duration patience(const char* microseconds, const char* process, int64_t own_process);

  static constexpr Duration kStill = std::chrono::seconds(5);
  // True: say so now. `workers`: when that one turned which turned longest ago.
  bool beat(Time now, Time workers);
  Time next_deadline() const { return next_; }

 private:
  Duration every_;
  Time next_;
};

}  // namespace tideway::daemon
