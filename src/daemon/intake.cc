// SPDX-License-Identifier: Apache-2.0
#include "daemon/intake.h"

#include "base/log.h"
#include "crypto/sha256.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

Error unavailable() { return {Fault::kStoreUnavailable, "the job store takes nothing at the moment", "see the gateway's log; try again later"}; }

session::AuditEvent submitted(const job::Job& job) {
  session::AuditEvent line("job_submitted");
  line.with("uid", job.owner).with("job", job.id).with("source", job.spec.sources.empty() ? "" : job.spec.sources.front()).with("sources", job.spec.sources.size());
  line.with("destination", job.spec.destination).with("transfer", crypto::to_hex(job.transfer));
  return line;
}

}  // namespace

Result<std::vector<JobTable::Taken>> Intake::add(std::vector<JobTable::Submission> submissions, job::WallTime now) {
  std::vector<JobTable::Taken> all;
  for (JobTable::Submission& submission : submissions) {
    const uint32_t owner = submission.owner;
    auto taken = parts_.table.submit(std::move(submission), now);
    if (!taken.ok()) {
      for (const JobTable::Taken& one : all)
        if (one.is_new) parts_.table.forget(one.id);
      return std::move(taken).error();
    }
    all.push_back(taken.value());
    if (!all.back().is_new) continue;
    log::info("job_submitted", "job=" + all.back().id + " peer=" + parts_.table.find(all.back().id)->peer + " uid=" + std::to_string(owner));
    parts_.table.hold(all.back().id);
  }
  return all;
}

void Intake::take(std::vector<JobTable::Submission> submissions, job::WallTime now, Done done) {
  if (parts_.store.stats().is_failing) return done(unavailable());
  parts_.store.write(parts_.table.take_changes());  // apart: what follows is dropped when the disk does not take it
  auto taken = add(std::move(submissions), now);
  const bool has_new = taken.ok() && std::ranges::any_of(taken.value(), &JobTable::Taken::is_new);
  if (!has_new) return done(taken);
  parts_.store.write(parts_.table.take_changes(), [this, all = std::move(taken).value(), done = std::move(done)](const Status& status) {
    for (const JobTable::Taken& one : all)
      if (one.is_new) end(one, status);
    done(status.ok() ? Result<std::vector<JobTable::Taken>>(all) : Result<std::vector<JobTable::Taken>>(status.error()));
  });
}

void Intake::end(const JobTable::Taken& taken, const Status& status) {
  if (!status.ok()) return parts_.table.forget(taken.id);
  if (const job::Job* job = parts_.table.find(taken.id); job != nullptr && parts_.audit) parts_.audit(submitted(*job));
  parts_.table.release(taken.id);
}

void Intake::keep(const std::function<void()>& change, StoreThread::Done done) {
  if (parts_.store.stats().is_failing) return done(unavailable());
  parts_.store.write(parts_.table.take_changes());  // apart, as above
  change();
  parts_.store.write(parts_.table.take_changes(), std::move(done));
}

}  // namespace tideway::daemon
