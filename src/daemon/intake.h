// SPDX-License-Identifier: Apache-2.0
//
// Takes jobs in: whoever submits them is told when they are on stable storage, and none starts before. The audit log has them then.
// Thread: control.
#pragma once
#include "daemon/job_table.h"
#include "daemon/store_thread.h"
#include "session/audit_event.h"

#include <functional>
#include <vector>

namespace tideway::daemon {

class Intake {
 public:
  struct Parts {
    JobTable& table;
    StoreThread& store;
    session::AuditSink audit = {};
  };
  // In the order of the submissions. Errors: submission_conflict, overloaded, store_unavailable; then none of them is taken.
  using Done = std::function<void(const Result<std::vector<JobTable::Taken>>& taken)>;

  explicit Intake(const Parts& parts) : parts_(parts) {}
  // `done` may be called before this returns, or when the store has answered.
  void take(std::vector<JobTable::Submission> submissions, job::WallTime now, Done done);
  // Makes `change` to jobs that there are, and tells `done` when it is on stable storage, as all that was changed before it. Errors:
  // store_unavailable: then `done` takes it back, where it was made.
  void keep(const std::function<void()>& change, StoreThread::Done done);

 private:
  Result<std::vector<JobTable::Taken>> add(std::vector<JobTable::Submission> submissions, job::WallTime now);
  void end(const JobTable::Taken& taken, const Status& status);

  Parts parts_;
};

}  // namespace tideway::daemon
