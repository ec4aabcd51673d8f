// SPDX-License-Identifier: Apache-2.0
//
// Trainers' pins of checkpoints that another job is to hold. Each is spared, in the record of that job, until it holds the checkpoint: the
// trainer may delete it meanwhile. Where that comes to nothing the checkpoint is submitted again from the spared pin, as it was asked for
// then. And pins that nobody names any more; and what is asked of the disk before a request can be answered.
#include "base/log.h"
#include "daemon/checkpoints.h"

#include <algorithm>
#include <set>

namespace tideway::daemon {
namespace {

constexpr Duration kSubmitAgain = std::chrono::seconds(5);  // a spare that was refused for the moment
constexpr size_t kAskedMax = 256;                           // questions to the disk at once

bool is_same_pin(const job::SparePin& a, const job::SparePin& b) { return a.pin == b.pin && a.owner == b.owner; }

bool has_spare(const job::Job& job, const job::SparePin& spare) {
  return std::ranges::any_of(job.spares, [&](const job::SparePin& one) { return is_same_pin(one, spare); });
}

// Of the pin, as it has to be; 0: anybody.
uint32_t maker_of(const http::Caller& caller) { return LocalGrants::is_privileged(caller) ? 0 : caller.uid; }

http::Caller caller_then(const job::SparePin& spare) { return {spare.owner, spare.gid, spare.groups}; }

std::string root_in(const std::string& path) { return path.substr(0, path.find(':')); }

Status check_spare(const job::Job& waits, const job::SparePin& spare) {
  if (waits.spares.size() >= job::kSparesMax)
    return Error{Fault::kOverloaded, "the checkpoint waits with " + std::to_string(job::kSparesMax) + " pins already: " + waits.id, "try again when it is held"};
  if (spare.request.size() > job::kSpareRequestMax)
    return Error{Fault::kUsage, "the request has more than " + std::to_string(job::kSpareRequestMax) + " bytes, while another job is to hold the checkpoint", "shorten its labels"};
  return success();
}

}  // namespace

// The one that has nothing to hold the checkpoint by yet. Null: nobody needs the spare, or it is what a job holds by.
const job::Job* Checkpoints::waiting_job(const job::SparePin& spare) const {
  std::vector<const job::Job*> live;
  for (const job::JobId& id : spare.jobs)
    if (const job::Job* job = parts_.table.find(id); job != nullptr && !job::is_over(job->state)) live.push_back(job);
  if (std::ranges::any_of(live, [&](const job::Job* job) { return job->pin == spare.pin; })) return nullptr;
  const auto waits = std::ranges::find_if(live, [](const job::Job* job) { return job->hold != job::Hold::kPinned; });
  return waits == live.end() ? nullptr : *waits;
}

// Each job that there is to be is there already. What is spared was seen on disk, and is on stable storage before the trainer is answered.
void Checkpoints::submit_known(const Submission& submission, std::vector<job::JobId> ids, Now now, Answer answer) {
  const job::SparePin spare{submission.request.pin, api::to_json(submission.request), submission.caller.uid, submission.caller.gid, submission.caller.groups, ids};
  const job::State before = parts_.table.find(ids.front())->state;
  const job::Job* waits = waiting_job(spare);
  const bool is_new = waits != nullptr && !has_spare(*waits, spare);
  if (is_new) {
    if (Status status = check_spare(*waits, spare); !status.ok()) return answer(std::move(status).error());
    if (submission.pin != Submission::Pin::kSeen) return ask_for_pin(submission, answer);
  } else if (waits != nullptr && unstored_.contains({spare.pin, spare.owner})) {
    return answer(Error{Fault::kOverloaded, "the same request is being stored", "try again"});
  }
  const job::JobId id = waits == nullptr ? job::JobId() : waits->id;
  const auto change = [&] {
    if (is_new && add_spare(id, spare, now.wall)) unstored_.insert({spare.pin, spare.owner});
  };
  parts_.intake.keep(change, [this, id, spare, ids = std::move(ids), before, is_new, now, answer = std::move(answer)](const Status& status) {
    if (is_new) unstored_.erase({spare.pin, spare.owner});
    if (is_new && !status.ok()) forget_spare(id, spare, now.wall);
    if (id.empty() && status.ok()) drop_spare(spare);
    answer(status.ok() ? Result<std::string>(accepted(ids, before)) : Result<std::string>(status.error()));
  });
}

std::optional<uint64_t> Checkpoints::ask(const Submission& submission, const Answer& answer) {
  if (asked_.size() >= kAskedMax) {
    answer(Error{Fault::kOverloaded, "too many checkpoints are being looked at", "try again"});
    return std::nullopt;
  }
  asked_.emplace(++last_asked_, Asked{submission.request, submission.caller, answer, submission.written});
  return last_asked_;
}

// Whoever may ask could name any number of pins that are not there, and leave no room for one that is.
void Checkpoints::ask_for_pin(const Submission& submission, const Answer& answer) {
  if (const auto number = ask(submission, answer))
    thread_->order(LookAtPin{*number, root_in(submission.request.path), submission.request.pin, maker_of(submission.caller)});
}

void Checkpoints::on_pin_seen(const PinSeen& seen, Now now) {
  const auto found = asked_.extract(seen.number);
  if (found.empty()) return;
  const Asked& asked = found.mapped();
  if (!seen.status.ok()) return asked.answer(seen.status.error());
  submit({asked.request, asked.caller, Submission::Pin::kSeen, asked.written}, now, asked.answer);
}

void Checkpoints::ask_when_written(const Submission& submission, const Answer& answer) {
  const auto place = parse_root_place(submission.request.path);
  if (!place.ok()) return answer(place.error());
  if (const auto number = ask(submission, answer)) thread_->order(LookAtSave{*number, place.value().root, submission.request.pin, place.value().name});
}

void Checkpoints::on_save_seen(const SaveSeen& seen, Now now) {
  if (const auto held = held_before_.extract(seen.number); !held.empty()) {
    if (seen.written != job::WallTime{}) written_.try_emplace(held.mapped(), seen.written);
    return;
  }
  const auto found = asked_.extract(seen.number);
  if (found.empty()) return;
  const Asked& asked = found.mapped();
  submit({asked.request, asked.caller, Submission::Pin::kUnseen, seen.written}, now, asked.answer);
}

bool Checkpoints::add_spare(const job::JobId& id, const job::SparePin& spare, job::WallTime wall) {
  return parts_.table.change(id, wall, [&](job::Job& job) {
    job.spares.push_back(spare);
    return true;
  });
}

void Checkpoints::forget_spare(const job::JobId& id, const job::SparePin& spare, job::WallTime wall) {
  parts_.table.change(id, wall, [&](job::Job& job) { return std::erase_if(job.spares, [&](const job::SparePin& one) { return is_same_pin(one, spare); }) > 0; });
  const job::Job* job = parts_.table.find(id);
  if (job == nullptr || job->spares.empty()) failed_.erase(id);
}

void Checkpoints::drop_spare(const job::SparePin& spare) {
  const auto request = api::parse_checkpoint(spare.request);
  if (request.ok()) drop_unused_pin({root_in(request.value().path), spare.pin, maker_of(caller_then(spare))});
}

// Held, or over. Where it failed its pins are taken at their word. Each is forgotten behind what becomes of it, so that a crash between the
// two leaves it to the next process.
void Checkpoints::look_at_spares(const job::JobId& id, Now now) {
  const job::Job* job = parts_.table.find(id);
  if (job == nullptr) return;
  const bool has_failed = job->state == job::State::kFailed;
  if (has_failed && !job->spares.empty()) failed_[id] = kNever;  // until an answer says when
  for (const job::SparePin& spare : std::vector<job::SparePin>(job->spares)) {
    if (has_failed) {
      submit_spare(id, spare, now);
      continue;
    }
    if (job->hold == job::Hold::kInPlace && !job::is_over(job->state)) continue;  // it may be needed yet
    if (!pass_on(spare, now.wall)) drop_spare(spare);
    forget_spare(id, spare, now.wall);
  }
}

// To another job of its checkpoint that waits. False: there is none.
bool Checkpoints::pass_on(const job::SparePin& spare, job::WallTime wall) {
  const job::Job* waits = waiting_job(spare);
  if (waits != nullptr && !has_spare(*waits, spare) && waits->spares.size() < job::kSparesMax) add_spare(waits->id, spare, wall);
  return waits != nullptr;
}

// The checkpoint is submitted again, by whoever had it then. A pin that is refused may be all that is left of it: it stays for whoever puts
// right what was in the way, until it has been idle for long.
void Checkpoints::submit_spare(const job::JobId& id, const job::SparePin& spare, Now now) {
  const auto request = api::parse_checkpoint(spare.request);
  if (!request.ok()) return forget_spare(id, spare, now.wall);
  submit({request.value(), caller_then(spare)}, now, [this, id, spare, now](const Result<std::string>& answer) {
    if (!answer.ok()) log::warning("checkpoint_refused", "pin=" + to_display(spare.pin) + " why=\"" + answer.error().what + '"');
    if (!answer.ok() && answer.error().code() == ErrorCode::kRetryLater) {
      failed_[id] = now.time + kSubmitAgain;
      return;
    }
    if (!answer.ok()) pass_on(spare, now.wall);
    forget_spare(id, spare, now.wall);
  });
}

void Checkpoints::look_at_failed(Now now) {
  for (const auto& [id, at] : std::map<job::JobId, Time>(failed_)) {
    if (at > now.time) continue;
    failed_.erase(id);  // made anew, but for a job that was forgotten meanwhile
    look_at_spares(id, now);
  }
}

Time Checkpoints::next_failed() const {
  const auto first = std::ranges::min_element(failed_, {}, [](const auto& one) { return one.second; });
  return first == failed_.end() ? kNever : first->second;
}

// Trainers make pins before they submit, and some never come to that; nor does a process of ours that dies in between.
void Checkpoints::drop_idle(const PinsIdle& idle) {
  std::set<std::string> spared;
  const auto add = [&](const job::JobId& id) {
    if (const job::Job* job = parts_.table.find(id))
      for (const job::SparePin& spare : job->spares) spared.insert(spare.pin);
  };
  for (const job::JobId& id : live_) add(id);
  for (const auto& [id, at] : failed_) add(id);
  for (const auto& [number, asked] : asked_) spared.insert(asked.request.pin);
  for (const std::string& pin : idle.pins)
    if (!spared.contains(pin) && jobs_that_name(pin).empty()) thread_->order(DropPin{idle.root, pin, 0, DropPin::Why::kAbandoned});
}

}  // namespace tideway::daemon
