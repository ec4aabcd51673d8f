// SPDX-License-Identifier: Apache-2.0
#include "daemon/worker_pulse.h"

#include <tideway/result.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace tideway::daemon {
namespace {

constexpr std::string_view kWorkerNames = "tw-";  // what all of them begin with

// The number behind a field's name in /proc/PID/task/TID/status.
uint64_t number_behind(std::string_view line, std::string_view field) {
  if (!line.starts_with(field)) return 0;
  uint64_t number = 0;
  for (const char c : line.substr(field.size()))
    if (c >= '0' && c <= '9') number = number * 10 + static_cast<uint64_t>(c - '0');
  return number;
}

}  // namespace

// A thread that runs without a pause is switched away from as well, because the kernel gives others their turn; where it has a core
// for itself, its time on it counts.
WorkerPulse::Counts WorkerPulse::read() {
  Counts counts;
  std::error_code failed;
  for (std::filesystem::directory_iterator task("/proc/self/task", failed), end; !failed && task != end; task.increment(failed)) {
    std::ifstream status(task->path() / "status");
    std::string line, name;
    uint64_t switches = 0;
    while (std::getline(status, line)) {
      if (line.starts_with("Name:\t")) name = line.substr(6);
      switches += number_behind(line, "voluntary_ctxt_switches:") + number_behind(line, "nonvoluntary_ctxt_switches:");
    }
    if (!name.starts_with(kWorkerNames)) continue;
    std::ifstream schedstat(task->path() / "schedstat");
    uint64_t on_core = 0;
    schedstat >> on_core;
    counts[name] += switches + on_core;
  }
  return counts;
}

std::vector<WorkerPulse::Change> WorkerPulse::look(Time now, const Counts& counts) {
  next_ = now + kLookEvery;
  std::erase_if(seen_, [&](const auto& seen) { return !counts.contains(seen.first); });
  std::vector<Change> changes;
  for (const auto& [worker, count] : counts) {
    Seen& seen = seen_.try_emplace(worker, Seen{count, now}).first->second;
    const bool was_still = seen.is_still;
    if (seen.count != count) seen = {count, now};
    else seen.is_still = now - seen.since >= kStillMax;
    if (seen.is_still != was_still) changes.push_back({worker, seen.is_still ? Change::Now::kStill : Change::Now::kMoves});
  }
  return changes;
}

bool WorkerPulse::has_still_worker() const {
  return std::ranges::any_of(seen_, [](const auto& seen) { return seen.second.is_still && !is_storage(seen.first); });
}

WorkerPulse::LogLine WorkerPulse::line_of_still(const std::string& worker) {
  if (!is_storage(worker)) return {"worker_stands_still", "thread=" + worker + " next=\"the service manager starts the gateway again\""};
  return {"storage_stalled", "code=" + std::string(row_of(Fault::kDestStalled).name) + " thread=" + worker +
                                 " why=\"a call to a disk has not come back for 30 s\" next=\"see which of the roots still answers\""};
}

}  // namespace tideway::daemon
