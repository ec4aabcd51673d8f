// SPDX-License-Identifier: Apache-2.0
#include "job/job.h"

#include <algorithm>
#include <iterator>

namespace tideway::job {
namespace {

constexpr std::string_view kStateNames[] = {"queued", "running", "waiting", "paused", "published", "failed", "cancelled"};
constexpr std::string_view kHoldNames[] = {"none", "wanted", "pinned", "in_place"};
constexpr std::string_view kClassNames[] = {"restore", "checkpoint", "staging", "best-effort"};

Error usage(std::string what, std::string next) { return {Fault::kUsage, std::move(what), std::move(next)}; }

// The fields that the record has and no part of this version obeys.
std::string_view unenforced(const Spec& spec) {
  const bool is_of_series = spec.checkpoint || spec.service == Class::kRestore;
  if (!is_of_series && !spec.series.empty()) return "series";
  if (!is_of_series && spec.step) return "step";
  if (!is_of_series && !spec.labels.empty()) return "labels";
  if (!spec.sites.empty()) return "sites";
  if (spec.replicas) return "replicas";
  if (spec.relay_ok) return "relay_ok";
  return spec.energy.empty() ? "" : "energy";
}

// What a job is planned by, and what contradicts itself there.
Status check_plan(const Spec& spec) {
  const bool is_of_series = spec.checkpoint || spec.service == Class::kRestore;
  if (spec.deadline && spec.every) return usage("a recurring job has no one deadline", "write how old its newest copy may get: rpo");
  // How much a checkpoint has to send is known when it is complete.
  if (spec.deadline && spec.bytes == 0_B && !spec.checkpoint) return usage("a deadline needs to know how much there is to send", "add bytes; tideway submit counts what lies on this machine, and of a pull the peer decides");
  if (spec.rpo && !is_of_series && !spec.every) return usage("a recovery point is of copies that are made again and again", "add every, or write a deadline");
  if (spec.rpo && spec.every && time_to_copy(*spec.rpo, *spec.every) <= std::chrono::milliseconds(0))
    return usage("a recovery point no older than its objective needs copies more often: the lag reaches their interval even if sending took no time",
                 "write an rpo longer than every");
  if (spec.hurt_max && !(*spec.hurt_max >= 0 && *spec.hurt_max <= 1))
    return usage("hurt_max is no share of a link", "write 0 to 1, such as 0.1: what the job may take while trainings communicate if its deadline needs that and the link's owner allows it");
  return success();
}

bool is_too_long(const std::string& text) { return text.size() > kTextMax; }

void end(Job& job, State state, WallTime now) {
  job.state = state;
  job.wait.reset();
  job.ended = now;
}

// A copy that somebody waits for is not kept from its answer, except for the moments in which a gateway restarts.
bool is_worth_waiting(const Job& job, const Error& why, Progressed progressed) {
  if (job.spec.checkpoint && row_of(why.fault).exit_code == row_of(Fault::kSourceChanged).exit_code) return false;  // it is another one now
  if (job.spec.patience == Patience::kJob) return reaction_to(why.fault) != Reaction::kFail;
  const bool was_there = progressed == Progressed::kYes || job.attempts > 0;
  const bool is_gone = why.fault == Fault::kPeerLost || why.fault == Fault::kPeerUnreachable || why.fault == Fault::kDestBusy;
  constexpr uint32_t kAttemptsMax = 8;  // with the pauses of back_off.h, half a minute
  return was_there && is_gone && job.attempts < kAttemptsMax;
}

}  // namespace

std::string_view to_string(Class one) { return kClassNames[static_cast<size_t>(one)]; }
Turn turn_of(const Spec& spec) {
  if (spec.service == Class::kRestore) return {Turn::Group::kRestore, {}, spec.service};
  if (spec.deadline) return {Turn::Group::kDeadline, *spec.deadline, spec.service};
  return {Turn::Group::kOther, {}, spec.service};
}

std::chrono::milliseconds time_to_copy(std::chrono::milliseconds rpo, std::chrono::milliseconds interval) { return std::min(rpo - interval, interval); }

std::string_view to_string(Hold hold) { return kHoldNames[static_cast<size_t>(hold)]; }
std::string_view to_string(State state) { return kStateNames[static_cast<size_t>(state)]; }

std::optional<Class> class_named(std::string_view name) {
  const auto found = std::ranges::find(kClassNames, name);
  if (found == std::end(kClassNames)) return std::nullopt;
  return static_cast<Class>(found - std::begin(kClassNames));
}

std::optional<Hold> hold_named(std::string_view name) {
  const auto found = std::ranges::find(kHoldNames, name);
  if (found == std::end(kHoldNames)) return std::nullopt;
  return static_cast<Hold>(found - std::begin(kHoldNames));
}

std::optional<State> state_named(std::string_view name) {
  const auto found = std::ranges::find(kStateNames, name);
  if (found == std::end(kStateNames)) return std::nullopt;
  return static_cast<State>(found - std::begin(kStateNames));
}

Status check(const Spec& spec) {
  if (spec.sources.empty() || spec.destination.empty())
    return usage("a job needs at least one source and a destination", "name them as root:path and peer:root/path");
  if (spec.sources.size() > kSourcesMax)
    return usage("a job has at most " + std::to_string(kSourcesMax) + " sources, not " + std::to_string(spec.sources.size()), "copy a directory that holds them");
  if (std::ranges::any_of(spec.sources, is_too_long) || is_too_long(spec.destination))
    return usage("an address is longer than " + std::to_string(kTextMax) + " bytes", "shorten it");
  if (spec.alternatives.size() > kSourcesMax || (!spec.alternatives.empty() && spec.sources.size() > 1))
    return usage("alternatives are for one source, and at most " + std::to_string(kSourcesMax), "leave some out");
  if (spec.filters.size() > kPatternsMax || (spec.only && spec.only->size() > kPatternsMax))
    return usage("a job takes at most " + std::to_string(kPatternsMax) + " filters and as many names", "use patterns, or tideway copy --direct");
  if (spec.submission_id.size() > kSubmissionIdMax)
    return usage("submission_id is longer than " + std::to_string(kSubmissionIdMax) + " bytes", "shorten it");
  if (spec.weight && (*spec.weight < 1 || *spec.weight > kWeightMax))
    return usage("the weight is not between 1 and " + std::to_string(kWeightMax), "write how many shares the job has against others of its class");
  if (spec.rate_max == Rate()) return usage("the rate is zero", "pause the job instead");
  if (spec.every && (*spec.every < kEveryMin || *spec.every > kEveryMax))
    return usage("every is " + std::to_string(spec.every->count()) + " ms", "write from 10s to 366d");
  if (Status status = check_plan(spec); !status.ok()) return status;
  if (const std::string_view field = unenforced(spec); !field.empty())
    return Error{Fault::kUnsupported, std::string(field) + " of a job is not enforced yet in this version", "leave it out"};
  return success();
}

Reaction reaction_to(Fault fault) {
  switch (fault) {
    case Fault::kPeerUnreachable:
    case Fault::kPeerLost:
    case Fault::kDestBusy:
    case Fault::kOverloaded:
    case Fault::kNoMemory:
    case Fault::kLeaseLost:
    case Fault::kUdpBlocked:
      return Reaction::kRetry;
    case Fault::kAuthFailed:  // a certificate that ended is issued anew
    case Fault::kEntriesFailed:
    case Fault::kSourceChanged:
    case Fault::kSourceCorrupt:
    case Fault::kDestFull:
    case Fault::kDestQuota:
    case Fault::kDestInodes:
    case Fault::kDestReadonly:
    case Fault::kDestUnmounted:
    case Fault::kDestStalled:
    case Fault::kDestDenied:
      return Reaction::kWait;
    default: return Reaction::kFail;
  }
}

bool start(Job& job, WallTime now) {
  if (job.is_recurring() || job.hold == Hold::kWanted || (job.state != State::kQueued && job.state != State::kWaiting)) return false;
  job.state = State::kRunning;
  job.wait.reset();
  if (job.started == WallTime{}) job.started = now;
  return true;
}

bool pause(Job& job) {
  if (is_over(job.state) || job.state == State::kPaused) return false;
  job.state = State::kPaused;
  job.wait.reset();
  return true;
}

bool resume(Job& job) {
  if (job.state != State::kPaused && job.state != State::kWaiting) return false;
  if (job.is_recurring() || job.hold == Hold::kWanted) {
    if (job.state == State::kWaiting) return false;
    job.state = State::kWaiting;
    job.wait = job.is_recurring() ? Wait{"every", "the next run is not due yet", ""} : Wait{"incomplete", "the checkpoint is looked at", ""};
    return true;
  }
  job.state = State::kQueued;
  job.wait.reset();
  job.attempts = 0;
  return true;
}

bool cancel(Job& job, WallTime now) {
  if (is_over(job.state)) return false;
  end(job, State::kCancelled, now);
  return true;
}

bool publish(Job& job, WallTime now, const Outcome& outcome) {
  if (is_over(job.state)) return false;
  end(job, State::kPublished, now);
  job.outcome = outcome;
  return true;
}

bool try_next_source(Job& job, std::string peer) {
  std::vector<std::string>& others = job.spec.alternatives;
  if (job.state != State::kRunning || job.sources_tried >= others.size()) return false;
  std::rotate(others.begin(), others.begin() + 1, others.end());
  std::swap(others.back(), job.spec.sources.front());
  ++job.sources_tried;
  job.peer = std::move(peer);
  job.state = State::kQueued;
  return true;
}

bool prefer_source(Job& job, const std::string& source, std::string peer) {
  const auto found = std::ranges::find(job.spec.alternatives, source);
  if (found == job.spec.alternatives.end()) return false;
  std::swap(*found, job.spec.sources.front());
  job.peer = std::move(peer);
  return true;
}

bool fail(Job& job, WallTime now, const Error& why) {
  if (is_over(job.state)) return false;
  end(job, State::kFailed, now);
  job.error = why;
  return true;
}

bool take_hold(Job& job, Hold hold, std::string pin) {
  if (is_over(job.state) || job.hold != Hold::kWanted) return false;
  job.hold = hold;
  job.pin = std::move(pin);
  if (job.state == State::kPaused) return true;
  job.state = State::kQueued;
  job.wait.reset();
  return true;
}

Progressed note_reached(Job& job, Bytes reached) {
  if (reached <= job.bytes_reached) return Progressed::kNo;
  job.bytes_reached = reached;
  return Progressed::kYes;
}

bool goes_on_when_back(const Job& job, Fault why) {
  return why == Fault::kPeerUnreachable || (why == Fault::kPeerLost && job.attempts <= kPeersLostMax);
}

Error with_older(Error why, const std::string& older) {
  if (older.empty() || why.exit_code() != row_of(Fault::kHashMismatch).exit_code) return why;
  if (!why.next.empty()) why.next += "; ";
  why.next += "the newest one before it is " + older + ": restore that step, or let older ones do (--fallback)";
  return why;
}

bool stumble(Job& job, WallTime now, const Error& trouble, Progressed progressed) {
  if (job.state != State::kRunning) return false;
  const Error why = with_older(trouble, job.spec.older);
  const bool waits = is_worth_waiting(job, why, progressed);
  job.attempts = progressed == Progressed::kYes ? 1 : job.attempts + 1;
  job.sources_tried = 0;  // the next attempt may go round again
  if (!waits) {
    end(job, State::kFailed, now);
    job.error = why;
    return true;
  }
  job.state = State::kWaiting;
  job.wait = Wait{std::string(why.name()), why.what, why.next};
  return true;
}

void recover(Job& job) {
  if (job.state != State::kRunning && !(job.state == State::kWaiting && !job.is_recurring() && job.hold != Hold::kWanted)) return;
  job.state = State::kQueued;
  job.wait.reset();
}

std::optional<Job> next_run(Job& series, WallTime now) {
  if (!series.is_recurring() || series.state != State::kWaiting || now < series.due) return std::nullopt;
  Job run;
  run.spec = series.spec;
  run.spec.every.reset();
  run.owner = series.owner;
  run.groups = series.groups;
  run.peer = series.peer;
  run.run_of = series.id;
  run.runs = ++series.runs;
  if (!run.spec.submission_id.empty()) run.spec.submission_id += "/" + std::to_string(run.runs);
  run.created = now;
  if (run.spec.rpo) run.spec.deadline = series.due + time_to_copy(*run.spec.rpo, *series.spec.every);
  const auto missed = (now - series.due) / *series.spec.every;
  series.due += *series.spec.every * (missed + 1);
  return run;
}

}  // namespace tideway::job
