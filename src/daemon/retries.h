// SPDX-License-Identifier: Apache-2.0
//
// When each job that waits tries again. A hundred thousand may wait for one peer, so neither a turn nor its return looks at all of them.
// Thread: control. Pure.
#pragma once
#include "job/job.h"
#include <tideway/time.h>

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace tideway::daemon {

class Retries {
 public:
  void put(const job::JobId& id, Time at);  // in place of what was said before
  void erase(const job::JobId& id);
  void hurry(std::vector<job::JobId> ids);  // those of them that wait are due now
  void clear();

  // The next one that is due; it does not wait any more.
  std::optional<job::JobId> take_due(Time now);
  // Time{}: one is due whenever it is.
  Time next_deadline() const;

 private:
  std::map<job::JobId, Time> at_;
  std::set<std::pair<Time, job::JobId>> order_;
  std::deque<job::JobId> hurried_;  // some may wait no more
};

}  // namespace tideway::daemon
