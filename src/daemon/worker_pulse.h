// SPDX-License-Identifier: Apache-2.0
//
// Which worker threads stand still. A worker without work wakes now and then to look for some, at least each kIdleMax, and one with work
// uses the processor; so one for which the kernel counts neither hangs: in a call to a disk that does not come back, or for a lock that
// nobody gives. Threads are told apart by their names, so no two may share one.
// Thread: one owner.
#pragma once
#include <tideway/time.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::daemon {

class WorkerPulse {
 public:
  static constexpr Duration kLookEvery = std::chrono::seconds(1);
  static constexpr Duration kStillMax = std::chrono::seconds(30);  // a busy disk may take some seconds for one sync
  static constexpr Duration kIdleMax = std::chrono::seconds(10);   // that a worker may sleep, or it would seem to hang

  using Counts = std::map<std::string, uint64_t>;  // by thread name, of what the kernel counts
  // Of the workers of this process.
  static Counts read();
  // Those that wait for disks; what hangs there is no fault of ours, and other roots may go on.
  static bool is_storage(std::string_view worker) { return worker == "tw-io" || worker == "tw-store" || worker == "tw-jobs" || worker == "tw-ckpt"; }

  struct Change {
    std::string worker;
    enum class Now : uint8_t { kStill, kMoves } now;
  };
  // What has changed since the look before: still for kStillMax, or moving again after that.
  std::vector<Change> look(Time now, const Counts& counts);
  Time next_look() const { return next_; }
  bool has_still_worker() const;  // that has nothing to do with disks
  struct LogLine { std::string_view event; std::string fields; };
  static LogLine line_of_still(const std::string& worker);

 private:
  struct Seen {
    uint64_t count;
    Time since;
    bool is_still = false;
  };
  std::map<std::string, Seen> seen_;
  Time next_{};
};

}  // namespace tideway::daemon
