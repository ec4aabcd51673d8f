// SPDX-License-Identifier: Apache-2.0
//
// The checkpoints among the jobs by their series, kept as jobs change: whoever asks after one series does not walk the queue.
// Thread: control. Pure.
#pragma once
#include "job/job.h"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace tideway::daemon {

// A job that brings a pointer, and no checkpoint.
bool is_pointer(const job::Job& job);

class CheckpointSeries {
 public:
  using Jobs = std::map<uint64_t, const job::Job*>;  // by number

  // The job stays where it is until it is taken out again, and does not change in between.
  void put(const job::Job& job);
  void take(const job::Job& job);

  // Without pointers; empty: there is no such series.
  const Jobs& of(std::string_view series) const;

  struct Series {
    Jobs jobs;
    std::set<std::pair<uint64_t, uint64_t>> published;  // step and number
    // Of the newest that is published, else of the first: when it was made.
    job::WallTime saved_at() const;
  };
  const std::map<std::string, Series, std::less<>>& all() const { return series_; }

 private:
  std::map<std::string, Series, std::less<>> series_;
};

}  // namespace tideway::daemon
