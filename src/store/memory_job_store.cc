// SPDX-License-Identifier: Apache-2.0
#include "store/memory_job_store.h"

#include <algorithm>

namespace tideway::store {

Result<Contents> MemoryJobStore::load(job::WallTime now) {
  Contents contents;
  for (const auto& [id, job] : jobs_) contents.jobs.push_back(job);
  std::ranges::sort(contents.jobs, {}, &job::Job::number);
  for (const Event& event : events_)
    if (event.time >= now - kEventsKeptFor) contents.events.push_back(event);
  return contents;
}

Status MemoryJobStore::write(const Batch& batch, job::WallTime now) {
  for (const job::Job& job : batch.jobs) jobs_[job.id] = job;
  for (const job::JobId& id : batch.forgotten) jobs_.erase(id);
  events_.insert(events_.end(), batch.events.begin(), batch.events.end());
  std::erase_if(events_, [&](const Event& event) { return event.time < now - kEventsKeptFor; });
  return success();
}

}  // namespace tideway::store
