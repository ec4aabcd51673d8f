// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints that are sent while they are written. Until somebody says that one is complete its job only waits, and what is final of it
// goes ahead; then it is held and goes as any other, and what went ahead need not cross again.
#include "base/log.h"
#include "daemon/checkpoints.h"
#include "daemon/supersede.h"
#include "storage/pin.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

Status check_is_checkpoint(const job::Job* job) {
  if (job != nullptr && job->spec.checkpoint && !is_pointer(*job)) return success();
  return Error{Fault::kUsage, "this is the job of no checkpoint", "name one that POST /v1/checkpoints answered with"};
}

}  // namespace

void Checkpoints::follow_growing(const std::vector<JobTable::Taken>& taken) {
  for (const JobTable::Taken& one : taken) {
    const job::Job* job = parts_.table.find(one.id);
    if (!one.is_new || job == nullptr || job::is_over(job->state)) continue;
    const auto place = parse_root_place(job->spec.checkpoint->path);
    if (!place.ok()) continue;
    live_.insert(job->id);
    pins_[key_of(*job)].insert(job->id);
    if (growing_.insert(key_of(*job)).second) thread_->order(WatchGrowth{job->pin, place.value().root, place.value().name});
    ahead_.begin(*job);
    log::info("checkpoint_grows", "job=" + job->id + " series=" + to_display(job->spec.series));
  }
}

void Checkpoints::on_grew(Grew& grew, Now now) {
  const PinKey key{grew.pin, 0};  // made by us, as any of what grows
  if (!growing_.contains(key)) return;
  if (!grew.growth.is_silent) return ahead_.on_grown(grew.pin, grew.growth.parts);
  const Error why{Fault::kNotComplete, "nothing was written to it for minutes, and nobody has called it complete", "see what the trainer says of it"};
  for (const job::JobId& id : pins_[key])
    parts_.table.change(id, now.wall, [&](job::Job& job) { return job::fail(job, now.wall, why); });
}

bool Checkpoints::end_growth(const PinKey& pin, Time now) {
  if (growing_.erase(pin) == 0) return false;
  thread_->order(EndGrowth{pin.pin});
  ahead_.end(pin.pin, now);
  return true;
}

Status Checkpoints::declare(const job::JobId& id, const api::DeclaredRange& range) {
  const job::Job* job = parts_.table.find(id);
  if (Status status = check_is_checkpoint(job); !status.ok()) return status;
  if (growing_.contains(key_of(*job))) thread_->order(DeclareFinal{job->pin, range.path, {range.offset, range.offset + range.length}});
  return success();
}

Status Checkpoints::complete(const job::JobId& id, const Completion& completion, Now now) {
  const std::string& pin = completion.pin;
  const job::Job* job = parts_.table.find(id);
  if (Status status = check_is_checkpoint(job); !status.ok()) return status;
  if (!pin.empty() && !storage::is_pin_id(pin)) return Error{Fault::kUsage, "pin is no name of a pin", "name a directory in .tideway/pins"};
  const DropPin unused{drop_of(*job, pin).root, pin, LocalGrants::is_privileged(completion.caller) ? 0 : completion.caller.uid};
  hold_by(key_of(*job), pin, now);
  drop_unused_pin(unused);  // where the job's own was made already
  return success();
}

// Somebody says that a checkpoint is whole. If it grew, it is held as any other from here on; and where its pin is still to be made, because
// its rule has not held yet, the trainer's takes that place: the trainer may delete the checkpoint now.
void Checkpoints::hold_by(const PinKey& pin, const std::string& by_trainer, Now now) {
  const bool has_grown = end_growth(pin, now.time);
  const auto found = pins_.find(pin);
  if (found == pins_.end()) return;
  const job::Job* first = parts_.table.find(*found->second.begin());  // all are of one user
  const bool takes_place = !by_trainer.empty() && first != nullptr && !pins_.contains({by_trainer, trainer_of(*first)});
  if (!has_grown && !takes_place) return;
  const std::set<job::JobId> jobs = std::move(pins_.extract(found).mapped());  // need() makes it anew
  std::optional<DropPin> before;
  for (const job::JobId& id : jobs) {
    const job::Job* job = parts_.table.find(id);
    if (job == nullptr || job::is_over(job->state)) continue;
    if (job->hold != job::Hold::kWanted) {
      pins_[pin].insert(id);
      continue;
    }
    if (takes_place) {
      before = drop_of(*job, pin.pin);
      parts_.table.change(id, now.wall, [&](job::Job& one) {
        one.pin = one.spec.checkpoint->pin = by_trainer;
        return true;
      });
    }
    need(*job);
  }
  if (before) drop_unused_pin(*before);
}

Status Checkpoints::abort(const job::JobId& id, Now now) {
  const job::Job* job = parts_.table.find(id);
  if (Status status = check_is_checkpoint(job); !status.ok()) return status;
  const PinKey key = key_of(*job);
  const auto found = pins_.find(key);
  const std::set<job::JobId> jobs = found == pins_.end() ? std::set<job::JobId>{job->id} : found->second;
  end_growth(key, now.time);
  for (const job::JobId& one : jobs) parts_.runner.cancel(one, now.time, now.wall);
  return success();
}

}  // namespace tideway::daemon
