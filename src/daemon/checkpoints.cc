// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoints.h"

#include "api/problem.h"
#include "api/spec_json.h"
#include "base/log.h"
#include "checkpoint/tracker.h"
#include "crypto/random_bytes.h"
#include "crypto/sha256.h"
#include "daemon/supersede.h"
#include "session/transfer_id.h"
#include "storage/pin.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace tideway::daemon {
namespace {

constexpr size_t kWrittenMax = 10'000;          // jobs of which it is kept what they held; beyond that those are forgotten that are over, as behind a restart
constexpr std::string_view kVerify = "readback";  // a checkpoint that cannot be read back is none

std::string new_pin() {
  std::array<std::byte, 8> bytes{};
  crypto::random_bytes(bytes);
  return "d-" + crypto::to_hex(bytes);
}

// "wisconsin:ckpt/runs/llm7" and a name below it.
std::string below(std::string to, const std::string& name) {
  while (to.ends_with('/')) to.pop_back();
  return to + (to.ends_with(':') ? "" : "/") + name;
}

std::string_view last(std::string_view destination) { return destination.substr(destination.rfind('/') + 1); }

Error usage(std::string what, std::string next) { return {Fault::kUsage, std::move(what), std::move(next)}; }

// Until when a checkpoint has to be there for its recovery point: the older the one before it, the less time it has.
std::optional<job::WallTime> due_of(const job::Spec& spec, const JobTable& table, job::WallTime wall) {
  if (!spec.rpo) return std::nullopt;
  job::WallTime before{};
  for (const auto& [number, job] : table.checkpoints().of(spec.series))
    if (place_above(job->spec.destination) == place_above(spec.destination)) before = std::max(before, job->created);
  const auto age = before == job::WallTime{} ? std::chrono::milliseconds() : wall - before;
  return wall + std::max(*spec.rpo - age, std::chrono::milliseconds());
}

// A specification that is complete but for its destination.
Result<job::Spec> common_spec(const api::CheckpointRequest& request, const RootPlace& place) {
  const auto format = checkpoint::format_named(request.format);
  if (!format) return usage("there is no format \"" + to_display(std::string_view(request.format).substr(0, 32)) + '"', "see docs/trainers.md");
  if (place.name.is_root()) return usage("the path of a checkpoint is no root", "name a directory or a file below it");
  if (!request.pin.empty() && !storage::is_pin_id(request.pin)) return usage("pin is no name of a pin", "name a directory in .tideway/pins");
  job::Spec spec;
  spec.sources = {request.path};
  spec.service = request.service;
  spec.verify = kVerify;
  spec.publish = request.publish;
  spec.submission_id = request.submission_id;
  spec.series = request.series.empty() ? to_display(place.name.parent()) : request.series;
  spec.step = request.step ? request.step : checkpoint::step_in(place.name.last());
  spec.rpo = request.rpo;
  spec.deadline = request.deadline;
  spec.labels = request.labels;
  job::Checkpoint& checkpoint = spec.checkpoint.emplace();
  checkpoint.format = request.format;
  checkpoint.path = request.path;
  checkpoint.world = request.world;
  checkpoint.settle = request.settle;
  checkpoint.keep = request.keep;
  checkpoint.pin = request.pin;
  checkpoint.pointers = request.pointers;
  checkpoint.supersede = request.supersede;
  return spec;
}

}  // namespace

Result<std::unique_ptr<Checkpoints>> Checkpoints::start(const Parts& parts, CheckpointThreadConfig config, job::WallTime now) {
  std::vector<WatchConfig> watches;
  for (const CheckpointThreadConfig::Watch& watch : config.watches) watches.push_back(watch.config);
  std::unique_ptr<Checkpoints> made(new Checkpoints(parts, std::move(watches), now));
  for (CheckpointThreadConfig::Watch& watch : config.watches) watch.known = made->known_names(watch.config);
  auto thread = CheckpointThread::start(std::move(config));
  if (!thread.ok()) return std::move(thread).error();
  made->thread_ = std::move(thread).value();
  made->take_up();
  return made;
}

// What the store knows: live ones are held or looked at again, and pins of those that are over go.
void Checkpoints::take_up() {
  std::map<PinKey, DropPin> left;
  for (const auto& [id, job] : parts_.table.all()) {
    if (!job.spec.checkpoint) continue;
    const bool is_over = job::is_over(job.state);
    if (!job.spares.empty() && (is_over || job.hold != job::Hold::kWanted)) left_spares_.push_back(id);
    if (is_over) {
      if (!job.pin.empty()) left[key_of(job)] = drop_of(job, job.pin);
      continue;
    }
    need(job);
    ask_what_is_held(job);
  }
  for (const auto& [pin, drop] : left) drop_unused_pin(drop);
}

// Names below the watched directory that have a job to each of its destinations, over or not.
std::set<std::string> Checkpoints::known_names(const WatchConfig& watch) const {
  std::map<std::string, std::set<std::string>> sent;
  for (const auto& [number, job] : parts_.table.checkpoints().of(watch.series)) {
    if (job->state == job::State::kFailed) continue;
    sent[std::string(last(job->spec.destination))].insert(job->spec.destination);
  }
  std::set<std::string> known;
  for (const auto& [name, destinations] : sent) {
    const auto is_sent = [&name = name, &destinations = destinations](const std::string& to) { return destinations.contains(below(to, name)); };
    if (std::ranges::all_of(watch.to, is_sent)) known.insert(name);
  }
  return known;
}

// ---- taking in -----------------------------------------------------------------------------------------------------------

Result<std::vector<JobTable::Submission>> Checkpoints::read(const Submission& submission) const {
  const auto place = parse_root_place(submission.request.path);
  if (!place.ok()) return place.error();
  auto common = common_spec(submission.request, place.value());
  if (!common.ok()) return std::move(common).error();
  const std::string pin = submission.request.pin.empty() ? new_pin() : submission.request.pin;
  std::vector<JobTable::Submission> all;
  for (const std::string& to : submission.request.to) {
    job::Spec spec = common.value();
    spec.destination = below(to, place.value().name.last());
    if (!all.empty() && !spec.submission_id.empty()) spec.submission_id += "#" + std::to_string(all.size() + 1);
    if (Status status = job::check(spec); !status.ok()) return std::move(status).error();
    const auto request = request_of(spec, {parts_.roots, parts_.peers});
    if (!request.ok()) return request.error();
    if (Status status = parts_.grants.allow(submission.caller, request.value()); !status.ok()) return std::move(status).error();
    JobTable::Submission one;
    one.request = api::to_json(spec);
    one.owner = submission.caller.uid;
    one.groups = groups_of(submission.caller);
    one.peer = session::peer_of(request.value()).value();
    one.transfer = session::id_of(request.value());
    one.hold = job::Hold::kWanted;
    one.pin = pin;
    one.spec = std::move(spec);
    all.push_back(std::move(one));
  }
  return all;
}

// A pin that is held for one user's job is not for the next one's that names it. Whether one that is not held yet is his the look at it
// tells: another user may have named it before him.
Status Checkpoints::check_pin(const Submission& submission) const {
  if (submission.request.pin.empty() || LocalGrants::is_privileged(submission.caller)) return success();
  const bool is_held_for_another = std::ranges::any_of(jobs_that_name(submission.request.pin), [&](const job::Job* job) {
    return job->hold == job::Hold::kPinned && job->owner != submission.caller.uid;
  });
  if (!is_held_for_another) return success();
  return Error{Fault::kDenied, "the pin " + to_display(submission.request.pin) + " is somebody else's", "name one that you made"};
}

// What was held of it, so that another save of the same step is another checkpoint.
static bool has_been_held(const job::Job& job) {
  if (job::is_over(job.state)) return job.state == job::State::kPublished || !job.superseded_by.empty();
  return job.hold != job::Hold::kWanted;
}

// Behind a roll-back a training saves a step once more, and that is another checkpoint: what is growing is written behind all that was held, and files
// that are there tell by their times. What was held tells them apart whatever clock those are by; behind a restart nobody knows that any more of
// what is published, and it counts whether they are later than the beginning of the transfer.
bool Checkpoints::is_of_another_save(const job::Job& job, const Submission& asked) const {
  if (!has_been_held(job)) return false;
  if (asked.request.source == api::CheckpointRequest::Source::kGrowing) return true;
  if (!asked.written || *asked.written == job::WallTime{}) return false;  // nothing lies there
  const auto held = written_.find(job.id);
  return held == written_.end() ? job.state == job::State::kPublished && *asked.written > job.started : *asked.written != held->second;
}

// The last one of the same series, step and destination, unless it came to nothing, or is of another save.
const job::Job* Checkpoints::known_job(const JobTable::Submission& submission, const Submission& asked) const {
  const CheckpointSeries::Jobs& jobs = parts_.table.checkpoints().of(submission.spec.series);
  const auto known = std::find_if(jobs.rbegin(), jobs.rend(), [&](const auto& one) {
    const job::Job& job = *one.second;
    const bool is_same = job.spec.destination == submission.spec.destination && job.spec.step == submission.spec.step;
    const bool came_to_nothing = job.state == job::State::kFailed || (job.state == job::State::kCancelled && job.superseded_by.empty());
    return is_same && !came_to_nothing && !is_of_another_save(job, asked);
  });
  return known == jobs.rend() ? nullptr : known->second;
}

void Checkpoints::submit(const Submission& submission, Now now, Answer answer) {
  auto read_all = read(submission);
  if (!read_all.ok()) return answer(read_all.error());
  if (Status status = check_pin(submission); !status.ok()) return answer(std::move(status).error());
  const std::string& pin = submission.request.pin;
  const bool is_growing = submission.request.source == api::CheckpointRequest::Source::kGrowing;
  const auto is_repeated = [&](const JobTable::Submission& one) { return parts_.table.is_known(one.owner, one.spec.submission_id); };
  const auto may_be_saved_again = [&](const JobTable::Submission& one) {
    const job::Job* known = is_repeated(one) ? nullptr : known_job(one, submission);
    return known != nullptr && has_been_held(*known);
  };
  if (!is_growing && !submission.written && std::ranges::any_of(read_all.value(), may_be_saved_again)) return ask_when_written(submission, answer);
  std::vector<job::JobId> ids;
  std::vector<JobTable::Submission> fresh;
  for (JobTable::Submission& one : read_all.value()) {
    if (const auto due = due_of(one.spec, parts_.table, now.wall)) one.spec.deadline = std::min(*due, one.spec.deadline.value_or(*due));
    const job::Job* known = is_repeated(one) ? nullptr : known_job(one, submission);
    if (known != nullptr) {
      ids.push_back(known->id);
      // Whoever sees it whole, in the same place, and is not another user.
      const bool may_say_so = known->spec.checkpoint->path == submission.request.path && (known->owner == one.owner || LocalGrants::is_privileged(submission.caller));
      if (!is_growing && may_say_so) hold_by(key_of(*known), pin, now);
    } else {
      fresh.push_back(std::move(one));  // the table compares what is asked for twice under one id
    }
  }
  if (fresh.empty() && !pin.empty()) return submit_known(submission, std::move(ids), now, std::move(answer));
  const job::State before = ids.empty() ? job::State::kWaiting : parts_.table.find(ids.front())->state;
  parts_.intake.take(std::move(fresh), now.wall, [this, is_growing, before, ids = std::move(ids), answer = std::move(answer)](const Result<std::vector<JobTable::Taken>>& taken) mutable {
    if (!taken.ok()) return answer(taken.error());
    if (is_growing) follow_growing(taken.value());
    else follow(taken.value());
    for (const JobTable::Taken& one : taken.value()) ids.push_back(one.id);
    answer(accepted(ids, before));
  });
}

// `before`: of the first one, which may be over for long, and forgotten while the store writes.
std::string Checkpoints::accepted(const std::vector<job::JobId>& ids, job::State before) const {
  const job::Job* first = parts_.table.find(ids.front());
  return api::accepted_to_json(ids, first == nullptr ? before : first->state);
}

void Checkpoints::follow(const std::vector<JobTable::Taken>& taken) {
  for (const JobTable::Taken& one : taken) {
    const job::Job* job = parts_.table.find(one.id);
    if (!one.is_new || job == nullptr || job::is_over(job->state)) continue;
    need(*job);
  }
}

// By an earlier process, which knew when that was written.
void Checkpoints::ask_what_is_held(const job::Job& job) {
  const auto place = parse_root_place(job.spec.checkpoint->path);
  if (!place.ok() || job.hold != job::Hold::kPinned || is_pointer(job)) return;
  held_before_[++last_asked_] = job.id;
  thread_->order(LookAtSave{last_asked_, place.value().root, job.pin, place.value().name});
}

// Jobs of one user's checkpoint share its pin, which is made once: a second time would take it from under the first.
void Checkpoints::need(const job::Job& job) {
  live_.insert(job.id);
  std::set<job::JobId>& jobs = pins_[key_of(job)];
  const bool is_ordered = std::ranges::any_of(jobs, [&](const job::JobId& id) { return parts_.table.find(id)->hold == job::Hold::kWanted; });
  jobs.insert(job.id);
  if (job.hold == job::Hold::kWanted && !is_ordered) order_hold(job);
}

void Checkpoints::order_hold(const job::Job& job) {
  const auto place = parse_root_place(job.spec.checkpoint->path);
  if (!place.ok()) return;
  HoldOrder order;
  order.pin = job.pin;
  order.root = place.value().root;
  order.name = place.value().name;
  order.format = checkpoint::format_named(job.spec.checkpoint->format).value_or(checkpoint::Format{});
  order.format.world = job.spec.checkpoint->world;
  order.settle = job.spec.checkpoint->settle;
  order.owner = drop_of(job, job.pin).owner;
  if (!job.spec.checkpoint->pin.empty()) order.by = HoldOrder::Pin::kByTrainer;
  thread_->order(std::move(order));
}

// ---- what the thread says ------------------------------------------------------------------------------------------------

void Checkpoints::turn(Now now) {
  for (const job::JobId& id : std::exchange(left_spares_, {})) look_at_spares(id, now);
  look_at_failed(now);
  for (CheckpointEvent& event : thread_->take_events()) on_event(event, now);
  for (const job::JobId& id : std::exchange(arrived_, {}))
    if (const job::Job* job = parts_.table.find(id); job != nullptr && !job::is_over(job->state) && !is_doomed(*job)) {
      supersede_older(*job, now);
      bound_pins(*job, now);
    }
  for (const job::JobId& id : parts_.table.take_ended())
    if (const job::Job* job = parts_.table.find(id); live_.erase(id) > 0 && job != nullptr) on_over(*job, now);
  search_.turn(now.time);
  ahead_.turn(now.time, now.wall);
  retention_.turn(now.time, now.wall);
}

void Checkpoints::on_event(CheckpointEvent& event, Now now) {
  if (const auto* answered = std::get_if<HoldAnswered>(&event)) on_held(*answered, now);
  else if (auto* grew = std::get_if<Grew>(&event)) on_grew(*grew, now);
  else if (const auto* found = std::get_if<Found>(&event)) on_found(*found, now);
  else if (const auto* request = std::get_if<InboxRequest>(&event)) on_inbox(*request, now);
  else if (const auto* seen = std::get_if<PinSeen>(&event)) on_pin_seen(*seen, now);
  else if (const auto* save = std::get_if<SaveSeen>(&event)) on_save_seen(*save, now);
  else if (const auto* idle = std::get_if<PinsIdle>(&event)) drop_idle(*idle);
  else on_pointer(std::get<PointerHeld>(event), now.wall);
}

void Checkpoints::on_held(const HoldAnswered& answered, Now now) {
  const job::WallTime wall = now.wall;
  const auto jobs = pins_.find({answered.pin, answered.owner});
  if (jobs == pins_.end()) return;
  const auto* held = answered.outcome.ok() ? std::get_if<Held>(&answered.outcome.value()) : nullptr;
  if (held != nullptr) pin_bytes_[answered.pin] = held->bytes;
  if (held != nullptr) ++(held->hold == job::Hold::kPinned ? pins_made_ : pins_guarded_);
  if (held != nullptr && written_.size() >= kWrittenMax) std::erase_if(written_, [&](const auto& one) { return !live_.contains(one.first); });
  for (const job::JobId& id : jobs->second) {
    if (held != nullptr) written_[id] = held->written;
    parts_.table.change(id, wall, [&](job::Job& job) {
      if (!answered.outcome.ok()) return job::fail(job, wall, answered.outcome.error());
      if (held != nullptr) {
        if (job.spec.checkpoint->pointers.empty()) job.spec.checkpoint->pointers = held->pointers;
        job.spec.bytes = held->bytes;
        return job::take_hold(job, held->hold, held->hold == job::Hold::kPinned ? answered.pin : "");
      }
      const auto& why = std::get<checkpoint::Incomplete>(answered.outcome.value());
      const std::string text = why.reason + ": " + why.detail;
      if (job.state != job::State::kWaiting || job.hold != job::Hold::kWanted || (job.wait && job.wait->what == text)) return false;
      job.wait = job::Wait{"incomplete", text, ""};
      return true;
    });
    if (held != nullptr) arrived_.push_back(id);
    if (held != nullptr) look_at_spares(id, now);
    if (held != nullptr && held->hold == job::Hold::kInPlace) log::warning("checkpoint_unpinned", "job=" + id + " why=\"" + held->unpinned_why + '"');
  }
}

void Checkpoints::on_found(const Found& found, Now now) {
  const WatchConfig& watch = watches_[found.watch];
  const auto name = watch.dir.child(found.checkpoint.name);
  if (!name.ok()) return;
  api::CheckpointRequest request;
  request.path = watch.root + ':';
  for (const std::string& component : name.value().components()) request.path += (request.path.back() == ':' ? "" : "/") + component;
  request.series = watch.series;
  request.step = found.checkpoint.step;
  request.format = watch.format.kind ? std::string(checkpoint::to_string(*watch.format.kind)) : "auto";
  request.world = watch.format.world;
  request.settle = std::chrono::duration_cast<std::chrono::milliseconds>(watch.settle);
  request.to = watch.to;
  request.rpo = watch.rpo;
  if (watch.deadline) request.deadline = now.wall + *watch.deadline;
  request.keep = watch.keep;
  request.service = watch.service;
  log::info("checkpoint_found", "series=" + to_display(watch.series) + " name=\"" + to_display(found.checkpoint.name) + '"');
  submit({request, {::geteuid(), ::getegid(), {}}}, now, [this, found](const Result<std::string>& answer) {
    if (answer.ok()) return;
    log::warning("checkpoint_refused", "name=\"" + to_display(found.checkpoint.name) + "\" why=\"" + answer.error().what + '"');
    if (answer.error().code() == ErrorCode::kRetryLater) thread_->order(ForgetFound{found.watch, found.checkpoint.name});
  });
}

// ---- the inbox -------------------------------------------------------------------------------------------------------------

void Checkpoints::answer_inbox(const InboxRequest& request, const Result<std::string>& answer) {
  const std::string text = answer.ok() ? answer.value() : api::to_problem(answer.error(), api::status_of(answer.error().fault));
  log::info("inbox_answered", "root=" + request.root + " request=" + request.submission_id + " code=" + (answer.ok() ? "ok" : std::string(answer.error().name())));
  thread_->order(AnswerInbox{request.root, request.submission_id, text});
}

// A path without a root lies below the inbox' own: trainers need not know what it is called.
static void name_root(const InboxRequest& request, std::string& path) {
  if (path.find(':') == path.npos) path.insert(0, request.root + ':');
}

// What a request in the inbox is called by its file; in it that may be said again.
static Status check_name(const InboxRequest& request, const std::string& said) {
  if (said.empty() || said == request.submission_id) return success();
  return usage("submission_id is another one than the name of the file", "make them the same");
}

void Checkpoints::on_inbox(const InboxRequest& request, Now now) {
  const auto answer = [this, request](const Result<std::string>& said) { answer_inbox(request, said); };
  const auto kind = api::kind_of(request.body);
  if (!kind.ok()) return answer(kind.error());
  if (kind.value() == api::RequestKind::kJob) return submit_job(request, now.wall);
  if (kind.value() == api::RequestKind::kRestore) return restore_into(request, now);
  auto read_one = api::parse_checkpoint(request.body);
  if (!read_one.ok()) return answer(read_one.error());
  api::CheckpointRequest& one = read_one.value();
  if (Status status = check_name(request, one.submission_id); !status.ok()) return answer(std::move(status).error());
  one.submission_id = request.submission_id;
  name_root(request, one.path);
  submit({one, request.caller}, now, answer);
}

void Checkpoints::restore_into(const InboxRequest& request, Now now) {
  const auto answer = [this, request](const Result<std::string>& said) { answer_inbox(request, said); };
  auto asked = api::parse_restore(request.body);
  if (!asked.ok()) return answer(asked.error());
  if (Status status = check_name(request, asked.value().submission_id); !status.ok()) return answer(std::move(status).error());
  asked.value().submission_id = request.submission_id;
  name_root(request, asked.value().destination);
  restore({asked.value(), request.caller}, now, answer);
}

void Checkpoints::submit_job(const InboxRequest& request, job::WallTime wall) {
  const auto answer = [this, request](const Result<std::string>& said) { answer_inbox(request, said); };
  auto spec = api::parse_spec(request.body);
  if (!spec.ok()) return answer(spec.error());
  spec.value().submission_id = request.submission_id;
  for (std::string& source : spec.value().sources) name_root(request, source);
  name_root(request, spec.value().destination);
  if (spec.value().deadline || (spec.value().rpo && spec.value().every))
    return answer(usage("a request in the inbox has no deadline, since nobody reads there that it cannot be met", "submit it through the API socket"));
  if (spec.value().checkpoint) return answer(usage("checkpoint is no field of a job", "write a request for a checkpoint"));
  if (Status status = job::check(spec.value()); !status.ok()) return answer(status.error());
  const auto copy = request_of(spec.value(), {parts_.roots, parts_.peers});
  if (!copy.ok()) return answer(copy.error());
  if (Status status = parts_.grants.allow(request.caller, copy.value()); !status.ok()) return answer(status.error());
  JobTable::Submission one;
  one.request = api::to_json(spec.value());
  one.owner = request.caller.uid;
  one.groups = groups_of(request.caller);
  one.peer = session::peer_of(copy.value()).value();
  one.transfer = session::id_of(copy.value());
  one.spec = std::move(spec).value();
  std::vector<JobTable::Submission> all;
  all.push_back(std::move(one));
  parts_.intake.take(std::move(all), wall, [this, answer](const Result<std::vector<JobTable::Taken>>& taken) {
    if (!taken.ok()) return answer(taken.error());
    const job::JobId& id = taken.value().front().id;
    answer(api::accepted_to_json({id}, parts_.table.find(id)->state));
  });
}

// ---- afterwards ------------------------------------------------------------------------------------------------------------

// What was published under its name is not replaced, so it will be refused there, as a last.ckpt that is saved again. Nobody gives way to that.
bool Checkpoints::is_doomed(const job::Job& job) const {
  return parts_.table.is_published_at(job.spec.destination);
}

void Checkpoints::supersede_older(const job::Job& newer, Now now) {
  const job::JobId newer_id = newer.id;
  std::vector<Live> live;
  const CheckpointSeries::Jobs& series = parts_.table.checkpoints().of(newer.spec.series);
  for (const auto& [number, job] : series)
    if (!job::is_over(job->state) && live_.contains(job->id)) live.push_back({job, parts_.runner.progress(job->id)});
  for (const job::JobId& id : giving_way(std::move(live), heirs_among(series), newer)) give_way(id, newer_id, now);
}

void Checkpoints::give_way(const job::JobId& older, const job::JobId& newer, Now now) {
  parts_.table.change(older, now.wall, [&](job::Job& job) {
    job.superseded_by = newer;
    return false;  // it is written with the cancel that follows
  });
  parts_.runner.cancel(older, now.time, now.wall);
  log::info("checkpoint_superseded", "job=" + older + " by=" + newer);
}

void Checkpoints::bound_pins(const job::Job& newest, Now now) {
  const auto watch = std::ranges::find(watches_, newest.spec.series, &WatchConfig::series);
  if (watch == watches_.end() || is_pointer(newest)) return;
  const job::JobId newest_id = newest.id;
  std::map<std::string, HeldPin> held;
  std::map<std::string, std::vector<job::JobId>> jobs;
  for (const auto& [number, job] : parts_.table.checkpoints().of(watch->series)) {
    if (job::is_over(job->state) || job->hold != job::Hold::kPinned) continue;
    HeldPin& one = held.try_emplace(job->pin, HeldPin{job->pin, job->spec.step.value_or(0), pin_bytes_[job->pin]}).first->second;
    if (job->state == job::State::kRunning || job->pin == newest.pin) one.use = HeldPin::Use::kNeeded;
    jobs[job->pin].push_back(job->id);
  }
  std::vector<HeldPin> all;
  for (auto& [pin, one] : held) all.push_back(std::move(one));
  for (const std::string& pin : too_many(std::move(all), {watch->pins_max, watch->pin_bytes_max})) {
    log::warning("pin_dropped", "series=" + to_display(watch->series) + " pin=" + pin + " why=\"pins_max or pin_bytes_max\"");
    for (const job::JobId& id : jobs[pin]) give_way(id, newest_id, now);
  }
}

// What a trainer named must be the trainer's own.
uint32_t Checkpoints::trainer_of(const job::Job& job) { return job.owner == ::geteuid() ? 0 : job.owner; }

DropPin Checkpoints::drop_of(const job::Job& job, const std::string& pin) {
  const job::Checkpoint& checkpoint = *job.spec.checkpoint;
  return {checkpoint.path.substr(0, checkpoint.path.find(':')), pin, checkpoint.pin.empty() ? 0 : trainer_of(job)};
}

std::vector<const job::Job*> Checkpoints::jobs_that_name(const std::string& pin) const {
  std::vector<const job::Job*> found;
  for (auto at = pins_.lower_bound({pin, 0}); at != pins_.end() && at->first.pin == pin; ++at)
    for (const job::JobId& id : at->second)
      if (const job::Job* job = parts_.table.find(id)) found.push_back(job);
  return found;
}

// Not by another user's job that only names it: he could keep what is not his from going.
bool Checkpoints::is_needed(const DropPin& drop) const {
  return std::ranges::any_of(jobs_that_name(drop.pin), [&](const job::Job* job) {
    const uint32_t owner = key_of(*job).owner;
    return owner == drop.owner || owner == 0 || drop.owner == 0 || job->hold == job::Hold::kPinned;
  });
}

void Checkpoints::drop_unused_pin(const DropPin& drop) {
  if (!drop.pin.empty() && !is_needed(drop)) thread_->order(drop);
}

void Checkpoints::on_over(const job::Job& job, Now now) {
  for (auto pin = pins_.begin(); pin != pins_.end();) {
    const bool was_there = pin->second.erase(job.id) > 0;
    const PinKey key = pin->first;
    if (was_there && pin->second.empty()) pin_bytes_.erase(key.pin);
    if (was_there && pin->second.empty()) end_growth(key, now.time);
    pin = was_there && pin->second.empty() ? pins_.erase(pin) : std::next(pin);
    if (was_there) drop_unused_pin(drop_of(job, key.pin));
  }
  look_at_spares(job.id, now);
  if (job.state == job::State::kPublished && !is_pointer(job)) ask_for_pointers(job);
  if (job.state == job::State::kPublished) retention_.on_published(job, parts_.runner.manners_of(job.spec.service));
  const bool has_changed = job.error && job.error->exit_code() == row_of(Fault::kSourceChanged).exit_code;
  if (job.state != job::State::kFailed || !has_changed || is_pointer(job)) return;
  for (size_t i = 0; i < watches_.size(); ++i)
    if (watches_[i].series == job.spec.series && std::ranges::count(watches_[i].to, place_above(job.spec.destination)) > 0)
      thread_->order(ForgetFound{i, std::string(last(job.spec.destination))});  // another version of it may be complete
}

// ---- pointers --------------------------------------------------------------------------------------------------------------

void Checkpoints::ask_for_pointers(const job::Job& job) {
  const auto place = parse_root_place(job.spec.checkpoint->path);
  if (!place.ok()) return;
  for (const std::string& pointer : job.spec.checkpoint->pointers)
    if (auto name = place.value().name.parent().child(pointer); name.ok())
      thread_->order(HoldPointer{new_pin(), place.value().root, std::move(name).value(), job.id});
}

// Only when what it points to is published there; and never backwards, since an older file does not replace a later one.
void Checkpoints::on_pointer(const PointerHeld& held, job::WallTime wall) {
  const job::Job* job = parts_.table.find(held.order.job);
  const std::string to = job == nullptr ? "" : std::string(place_above(job->spec.destination));
  const bool is_there = job != nullptr && !held.points_to.empty() && std::ranges::any_of(parts_.table.all(), [&](const auto& one) {
    return one.second.state == job::State::kPublished && one.second.spec.checkpoint && one.second.spec.destination == below(to, held.points_to);
  });
  const DropPin unused{held.order.root, held.order.pin};
  if (!is_there) return drop_unused_pin(unused);
  JobTable::Submission one;
  one.spec.sources = {held.order.root + ':'};
  for (const std::string& component : held.order.name.components()) one.spec.sources.front() += (one.spec.sources.front().back() == ':' ? "" : "/") + component;
  one.spec.destination = below(to, held.order.name.last());
  one.spec.service = job::Class::kCheckpoint;
  one.spec.overwrite = "if-older";
  one.spec.series = job->spec.series;
  one.spec.checkpoint.emplace().path = one.spec.sources.front();
  const auto request = request_of(one.spec, {parts_.roots, parts_.peers});
  if (!request.ok()) return drop_unused_pin(unused);
  one.request = api::to_json(one.spec);
  one.owner = job->owner;
  one.groups = job->groups;
  one.peer = job->peer;
  crypto::random_bytes(one.transfer);
  one.hold = job::Hold::kPinned;
  one.pin = held.order.pin;
  std::vector<JobTable::Submission> all;
  all.push_back(std::move(one));
  parts_.intake.take(std::move(all), wall, [this, unused](const Result<std::vector<JobTable::Taken>>& taken) {
    if (taken.ok()) follow(taken.value());
    else drop_unused_pin(unused);
  });
}

}  // namespace tideway::daemon
