// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoint_series.h"

namespace tideway::daemon {

bool is_pointer(const job::Job& job) { return job.spec.overwrite == "if-older"; }

void CheckpointSeries::put(const job::Job& job) {
  if (!job.spec.checkpoint || is_pointer(job)) return;
  Series& series = series_[job.spec.series];
  series.jobs[job.number] = &job;
  if (job.state == job::State::kPublished) series.published.emplace(job.spec.step.value_or(0), job.number);
}

void CheckpointSeries::take(const job::Job& job) {
  const auto found = series_.find(job.spec.series);
  if (!job.spec.checkpoint || is_pointer(job) || found == series_.end()) return;
  found->second.published.erase({job.spec.step.value_or(0), job.number});
  found->second.jobs.erase(job.number);
  if (found->second.jobs.empty()) series_.erase(found);
}

const CheckpointSeries::Jobs& CheckpointSeries::of(std::string_view series) const {
  static const Jobs kNone;
  const auto found = series_.find(series);
  return found == series_.end() ? kNone : found->second.jobs;
}

job::WallTime CheckpointSeries::Series::saved_at() const {
  const auto* job = published.empty() ? jobs.begin()->second : jobs.at(published.rbegin()->second);
  return job->created;
}

}  // namespace tideway::daemon
