// SPDX-License-Identifier: Apache-2.0
//
// The seam for what outlives the daemon: its jobs, and the events that a reader who was away asks for. sqlite | memory.
// Thread: one owner. A call may wait for the disk.
#pragma once
#include "job/job.h"
#include <tideway/result.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tideway::store {

// One line of what happened, as its readers get it.
struct Event {
  uint64_t number = 0;  // rises by one each
  job::WallTime time{};
  job::JobId job;
  uint32_t owner = 0;   // uid, whose job it is
  std::string type;     // state | entry
  std::string data;     // JSON
};

inline constexpr auto kEventsKeptFor = std::chrono::hours(24);

// What is written together: all of it, or nothing.
struct Batch {
  std::vector<job::Job> jobs;  // new ones, and the present state of known ones
  std::vector<job::JobId> forgotten;
  std::vector<Event> events;
  bool is_empty() const { return jobs.empty() && forgotten.empty() && events.empty(); }
};

struct Contents {
  std::vector<job::Job> jobs;  // by number
  std::vector<Event> events;   // by number, not older than kEventsKeptFor before `now`
};

// What is done step by step on the store's thread says whether another step is due.
enum class Again : uint8_t { kSoon, kLater };

class JobStore {
 public:
  virtual ~JobStore() = default;
  // Once, before anything is written. Errors: store_unavailable.
  virtual Result<Contents> load(job::WallTime now) = 0;
  // On stable storage when it returns. Errors: store_unavailable; then nothing of the batch is there.
  virtual Status write(const Batch& batch, job::WallTime now) = 0;
};

}  // namespace tideway::store
