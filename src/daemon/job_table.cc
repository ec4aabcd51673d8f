// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_table.h"

#include "api/job_view.h"
#include "crypto/random_bytes.h"
#include "crypto/sha256.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

constexpr size_t kPrefixMin = 4;  // of an id that stands for it

job::JobId new_id() {
  std::array<std::byte, 8> bytes{};
  crypto::random_bytes(bytes);
  return crypto::to_hex(bytes);
}

JobTable::Rank rank_of(const job::Job& job) { return {job::turn_of(job.spec), job.number, &job}; }

bool is_still_there(const job::Job& job) { return job.state == job::State::kPublished && job.removed == job::WallTime{}; }

// Where the job writes, without names of files: a root here, or peer:root.
std::string root_of(const job::Job& job) {
  const std::string& place = job.spec.destination;
  const size_t colon = place.find(':');
  return place.substr(0, colon) == job.peer ? place.substr(0, place.find('/')) : place.substr(0, colon);
}

}  // namespace

// Event numbers go on above every one that was given out, also when all of them are forgotten by now.
JobTable::JobTable(store::Contents contents, job::WallTime now) : last_event_(static_cast<uint64_t>(now.time_since_epoch().count())) {
  for (store::Event& event : contents.events) {
    last_event_ = std::max(last_event_, event.number);
    events_.push_back(std::move(event));
  }
  std::ranges::sort(contents.jobs, {}, &job::Job::ended);
  for (job::Job& job : contents.jobs) {
    last_number_ = std::max(last_number_, job.number);
    const job::State before = job.state;
    job::recover(job);
    if (job.state != before) changed_.insert(job.id);
    if (!job.run_of.empty()) {
      job::JobId& last = last_run_[job.run_of];
      if (last.empty() || jobs_.at(last).number < job.number) last = job.id;
    }
    if (job::is_over(job.state)) over_.push_back(job.id);
    if (job.state == job::State::kPublished) {
      job::WallTime& last = last_published_[{root_of(job), job.spec.service}];
      last = std::max(last, job.ended);
    }
    const auto placed = jobs_.emplace(job.id, std::move(job)).first;
    index(placed->second);
  }
}

void JobTable::index(const job::Job& job) {
  by_state_[static_cast<size_t>(job.state)][job.number] = &job;
  if (job.state == job::State::kWaiting && job.wait) ++waiting_[{job.peer, job.wait->reason}];
  if (!job.spec.submission_id.empty()) by_submission_[{job.owner, job.spec.submission_id}] = job.id;
  if (job.is_recurring() && !job::is_over(job.state)) recurring_.insert(job.id), ++recurring_changes_;
  const Rank rank = rank_of(job);
  const bool waits = job.state == job::State::kWaiting;
  if (!waits) ready_.erase(job.id);
  const bool may_start = waits ? ready_.contains(job.id) : job.state == job::State::kQueued && !held_.contains(job.id);
  if (may_start) queued_[job.peer].insert(rank);
  to_send_[job.peer].put(job);
  by_number_[job.number] = &job;
  checkpoints_.put(job);
  if (is_still_there(job)) ++published_[job.spec.destination];
}

void JobTable::unindex(const job::Job& job) {
  by_state_[static_cast<size_t>(job.state)].erase(job.number);
  if (job.state == job::State::kWaiting && job.wait)
    if (const auto waits = waiting_.find({job.peer, job.wait->reason}); --waits->second == 0) waiting_.erase(waits);
  if (recurring_.erase(job.id) > 0) ++recurring_changes_;
  by_number_.erase(job.number);
  checkpoints_.take(job);
  if (is_still_there(job))
    if (const auto published = published_.find(job.spec.destination); --published->second == 0) published_.erase(published);
  to_send_[job.peer].take(job);
  const auto queued = queued_.find(job.peer);
  if (queued == queued_.end()) return;
  queued->second.erase(rank_of(job));
  if (queued->second.empty()) queued_.erase(queued);
}

void JobTable::hold(const job::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  unindex(found->second);
  held_.insert(id);
  index(found->second);
}

void JobTable::release(const job::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || held_.erase(id) == 0) return;
  unindex(found->second);
  index(found->second);
}

void JobTable::make_ready(const job::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  unindex(found->second);
  ready_.insert(id);
  index(found->second);
}

void JobTable::note(const job::Job& job, job::State before, job::WallTime now) {
  changed_.insert(job.id);
  if (job.state != before && job::is_over(job.state)) {
    over_.push_back(job.id);
    ended_.push_back(job.id);
    const std::string result = job.error ? std::string(job.error->name()) : std::string(to_string(job.state));
    ++finished_[result];
    if (job.state == job::State::kPublished) last_published_[{root_of(job), job.spec.service}] = job.ended;
  }
  events_.push_back({++last_event_, now, job.id, job.owner, "state", api::to_json(api::JobView{job, {}})});
  new_events_.push_back(events_.back());
  while (events_.size() > kEventsMax || (!events_.empty() && events_.front().time < now - store::kEventsKeptFor)) events_.pop_front();
  drop_oldest();
}

void JobTable::drop_oldest() {
  while (over_.size() > kOverKept) {
    const job::JobId id = over_.front();
    over_.pop_front();
    forget(id);
    forgotten_.insert(id);
  }
}

void JobTable::forget(const job::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  const job::Job& job = found->second;
  unindex(job);
  if (const auto known = by_submission_.find({job.owner, job.spec.submission_id}); known != by_submission_.end() && known->second == id) by_submission_.erase(known);
  held_.erase(id);
  ready_.erase(id);
  changed_.erase(id);
  last_run_.erase(id);
  jobs_.erase(found);
}

void JobTable::add(job::Job job, job::WallTime now) {
  job.number = ++last_number_;
  job.created = now;
  const job::JobId id = job.id;
  const auto placed = jobs_.emplace(id, std::move(job)).first;
  index(placed->second);
  note(placed->second, placed->second.state, now);
}

Result<JobTable::Taken> JobTable::submit(Submission submission, job::WallTime now) {
  if (const auto known = by_submission_.find({submission.owner, submission.spec.submission_id}); !submission.spec.submission_id.empty() && known != by_submission_.end()) {
    const job::Job& job = jobs_.at(known->second);
    if (job.request == submission.request) return Taken{job.id, false};
    return Error{Fault::kSubmissionConflict, "another job has the submission_id \"" + submission.spec.submission_id + "\": " + job.id, "use a new one for another job"};
  }
  if (jobs_.size() - over_.size() >= kLiveMax)
    return Error{Fault::kOverloaded, "the queue is full with " + std::to_string(kLiveMax) + " jobs", "cancel some, or wait for them"};
  job::Job job;
  job.id = new_id();
  job.spec = std::move(submission.spec);
  job.request = std::move(submission.request);
  job.owner = submission.owner;
  job.groups = std::move(submission.groups);
  job.peer = std::move(submission.peer);
  job.transfer = submission.transfer;
  job.hold = submission.hold;
  job.pin = std::move(submission.pin);
  if (job.hold == job::Hold::kWanted) {
    job.state = job::State::kWaiting;
    job.wait = job::Wait{"incomplete", "the checkpoint is looked at", ""};
  }
  if (job.is_recurring()) {
    job.state = job::State::kWaiting;
    job.wait = job::Wait{"every", "the next run is not due yet", ""};
    job.due = now;
  }
  const job::JobId id = job.id;
  add(std::move(job), now);
  return Taken{id, true};
}

bool JobTable::has_live_run(const job::Job& series) const {
  const auto last = last_run_.find(series.id);
  if (last == last_run_.end()) return false;
  const auto run = jobs_.find(last->second);
  return run != jobs_.end() && !job::is_over(run->second.state);
}

void JobTable::make_due_runs(job::WallTime now) {
  for (const job::JobId& id : std::vector<job::JobId>(recurring_.begin(), recurring_.end())) {
    job::Job& series = jobs_.at(id);
    if (const job::WallTime latest = now + *series.spec.every; series.due > latest) {
      series.due = latest;
      changed_.insert(id);
    }
    if (series.due > now || held_.contains(id) || has_live_run(series)) continue;
    auto run = job::next_run(series, now);
    if (!run) continue;
    run->id = new_id();
    crypto::random_bytes(run->transfer);
    changed_.insert(id);
    last_run_[id] = run->id;
    add(std::move(*run), now);
  }
}

job::WallTime JobTable::next_due() const {
  job::WallTime next = job::WallTime::max();
  for (const job::JobId& id : recurring_) {
    const job::Job& series = jobs_.at(id);
    if (series.state == job::State::kWaiting && !has_live_run(series)) next = std::min(next, series.due);
  }
  return next;
}

const job::Job* JobTable::find(std::string_view id) const {
  const auto found = jobs_.lower_bound(std::string(id));
  if (id.size() < kPrefixMin || found == jobs_.end() || !found->first.starts_with(id)) return nullptr;
  const auto after = std::next(found);
  const bool is_ambiguous = found->first != id && after != jobs_.end() && after->first.starts_with(id);
  return is_ambiguous ? nullptr : &found->second;
}

store::Batch JobTable::take_changes() {
  store::Batch batch;
  for (const job::JobId& id : changed_) batch.jobs.push_back(jobs_.at(id));
  batch.forgotten.assign(forgotten_.begin(), forgotten_.end());
  batch.events = std::move(new_events_);
  changed_.clear();
  forgotten_.clear();
  new_events_.clear();
  return batch;
}

}  // namespace tideway::daemon
