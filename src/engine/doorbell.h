// SPDX-License-Identifier: Apache-2.0
//
// How a worker sleeps without missing work. The sleeper arms the bell, looks for work once more, and only then
// sleeps; whoever adds work rings. While the sleeper is awake a ring is one atomic exchange and no system call.
//
// Why nothing is missed: arm() and ring() change the same flag, so one of them comes first. If arm() does, the ring
// sees the flag and writes to the eventfd. If the ring does, arm() sees what the ringer added before it, and the last
// look finds it.
//
// The end of a sleep is an alarm that outlasts it. To set a timer and to take it back means to program the CPU's own twice, which in a
// virtual machine takes longer than all else of being woken; and whoever is woken for packets mostly waits for the same deadline again.
// So an alarm that is set and not later than wanted serves the next sleep, too, and may end it early.
// Thread: ring() from any; the rest by the sleeper.
#pragma once
#include "base/descriptor.h"
#include <tideway/result.h>
#include <tideway/time.h>

#include <array>
#include <atomic>
#include <memory>

namespace tideway::engine {

class Doorbell {
 public:
  // Errors: overloaded when the process is out of descriptors.
  static Result<std::unique_ptr<Doorbell>> create();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  // Call after the work is visible (after the push).
  void ring() {
    if (is_armed_.exchange(false, std::memory_order_acq_rel)) wake();
  }

  // From here on a ring makes fd() readable, once. Look for work between arm() and sleep().
  void arm() { is_armed_.exchange(true, std::memory_order_acq_rel); }
  // Waits for a ring, for one of `others` to be readable (-1: none), or until `at_most` has passed (zero or less: not at
  // all). Call disarm() afterwards, whatever the reason. May return early without one.
  using Others = std::array<int, 2>;
  void sleep(Duration at_most, const Others& others = {-1, -1});
  // Awake again: rings cost no system call. Takes back a ring that already came.
  void disarm();

  int fd() const { return fd_.get(); }  // for an epoll set of the caller's
  uint64_t alarms_set() const { return alarms_set_; }

 private:
  Doorbell(Descriptor fd, Descriptor alarm) : fd_(std::move(fd)), alarm_(std::move(alarm)) {}
  void wake();
  void set_alarm(Time now, Time until);

  const Descriptor fd_, alarm_;
  Time alarm_at_{};           // sleeper's, as the next two; in the past: none is set
  uint64_t alarms_set_ = 0;
  uint64_t rings_owed_ = 0;  // sleeper's: rings that took the flag and were not read from the eventfd yet
  alignas(64) std::atomic<bool> is_armed_{false};  // on a line of its own: every ringer writes it
};

}  // namespace tideway::engine
