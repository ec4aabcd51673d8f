// SPDX-License-Identifier: Apache-2.0
//
// Keeps the newest checkpoints of a series at each of its places, and takes older ones away (`keep`). Only what this gateway has published
// there itself, for the same user, under its own root hash; never before a newer one is published, never the newest. What the peer refuses,
// because somebody reads it or a pointer still names it, is asked for again when the series publishes the next time.
// Thread: control.
#pragma once
#include "daemon/job_table.h"
#include "daemon/peer_sessions.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tideway::daemon {

// Jobs whose checkpoints are to go after `newest` was published, the oldest first. `jobs`: of its series. Pure.
std::vector<job::JobId> superfluous(const CheckpointSeries::Jobs& jobs, const job::Job& newest);

class Retention {
 public:
  static constexpr Duration kAnswerMax = std::chrono::minutes(5);  // a checkpoint has thousands of files; an older peer says nothing at all
  static constexpr size_t kQueuedMax = 10'000;                     // as many jobs as the table keeps

  Retention(PeerSessions& peers, JobTable& table) : peers_(peers), table_(table) {}
  // A checkpoint was published, or a pointer to one. `manners`: of jobs of its class.
  void on_published(const job::Job& job, session::Manners manners);
  void turn(Time now, job::WallTime wall);
  Time next_deadline() const { return asked_ ? asked_->ends_at : queue_.empty() ? kNever : Time{}; }

 private:
  struct Asked {
    job::JobId job;
    session::Session* session = nullptr;
    std::shared_ptr<session::Transfer> transfer;
    Time ends_at{};
  };
  void ask(const job::JobId& id, Time now);
  void end(job::WallTime wall, Time now);

  PeerSessions& peers_;
  JobTable& table_;
  session::Manners manners_ = session::Manners::kYields;
  std::deque<job::JobId> queue_;
  std::optional<Asked> asked_;  // one at a time: removing is nobody's hurry
};

}  // namespace tideway::daemon
