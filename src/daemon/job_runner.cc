// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_runner.h"

#include "base/log.h"
#include "daemon/job_progress.h"
#include "job/back_off.h"
#include "session/copy_words.h"
#include "storage/pin.h"

#include <algorithm>
#include <set>

namespace tideway::daemon {
namespace {

constexpr size_t kStartsPerTurn = 16;   // with a peer; the next turn is near
constexpr size_t kWokenPerTurn = 1000;  // some milliseconds of it, when the peer of a long queue is back

// A checkpoint that is pinned is read from its pin, whatever its trainer does meanwhile.
session::OpenLocal from_pin(const session::Roots& roots, const std::string& pin) {
  return [&roots, pin](const std::string& path, storage::Side side) -> Result<session::LocalPlace> {
    auto place = parse_root_place(path);
    if (!place.ok()) return std::move(place).error();
    const auto root = roots.find(place.value().root, side);
    if (root == nullptr) return Error{Fault::kUsage, "there is no root \"" + place.value().root + '"', "see GET /v1/roots"};
    auto pinned = storage::open_pin(*root, pin, place.value().name.last());
    if (!pinned.ok()) return std::move(pinned).error();
    auto dir = std::make_shared<const storage::RootedDir>(std::move(pinned.value().dir));
    return session::LocalPlace{std::move(dir), std::move(pinned.value().name), place.value().name.last(), storage::ScanSource::Held::kPinned};
  };
}

// One file of a checkpoint that changed is another checkpoint.
Error why_it_ended(const Error& error, const job::Job& job) {
  if (!job.spec.checkpoint || error.fault != Fault::kEntriesFailed) return error;
  for (const job::EntryProblem& problem : job.problems)
    if (const auto fault = fault_named(problem.code); fault == Fault::kSourceChanged || fault == Fault::kSourceVanished)
      return {*fault, problem.path + ": " + problem.detail, "the newest checkpoint goes instead"};
  return error;
}

// What was gathered before counts as sent by this attempt.
void add_gathered(job::Outcome& outcome, std::vector<job::SourceShare> gathered, const std::string& last) {
  const Bytes own = outcome.bytes_sent;
  for (job::SourceShare& share : gathered) {
    const Bytes held = std::min(share.bytes, outcome.bytes_held);
    outcome.bytes_sent += held;
    outcome.bytes_held -= held;
    if (share.source == last) share.bytes += own;
  }
  outcome.sources = std::move(gathered);
}

}  // namespace

job::Outcome to_outcome(const engine::TransferDone::Outcome& done, const session::CopyNumbers& numbers, Duration took) {
  job::Outcome outcome;
  outcome.root = done.root;
  outcome.entries = done.entries;
  outcome.bytes = done.bytes;
  outcome.failed = numbers.failed;
  outcome.skipped = numbers.skipped;
  outcome.kept = numbers.kept;
  outcome.leaves_rejected = numbers.leaves_rejected;
  outcome.bytes_sent = numbers.bytes_needed;
  outcome.bytes_held = numbers.bytes_held;
  outcome.milliseconds = static_cast<uint64_t>(took / std::chrono::milliseconds(1));
  if (numbers.bytes_packed > 0_B) outcome.ratio = static_cast<double>(numbers.bytes_raw.count()) / static_cast<double>(numbers.bytes_packed.count());
  if (numbers.packets_sent > 0) outcome.loss = static_cast<double>(numbers.packets_lost) / static_cast<double>(numbers.packets_sent);
  return outcome;
}

JobRunner::~JobRunner() {
  for (Running& running : running_) running.transfer->on_report = {};
}

JobRunner::Place JobRunner::find(const job::JobId& id) {
  return std::ranges::find(running_, id, &Running::id);
}

const JobRunner::Running* JobRunner::running_job(const job::JobId& id) const {
  const auto found = std::ranges::find(running_, id, &Running::id);
  return found == running_.end() ? nullptr : &*found;
}

// Its session has carried others before.
session::CopyNumbers JobRunner::numbers_of(const Running& running) const {
  session::CopyNumbers numbers = session::numbers_of(*running.transfer, running.session, gateway_.engine());
  numbers.packets_sent -= std::min(numbers.packets_sent, running.packets_sent);
  numbers.packets_lost -= std::min(numbers.packets_lost, running.packets_lost);
  return numbers;
}

void JobRunner::turn(Time now, job::WallTime wall) {
  peers_.look_for_udp(now);
  settle(now, wall);
  turn_gathers(now, wall);
  std::erase_if(modes_, [&](const auto& mode) { return table_.find(mode.first) == nullptr || job::is_over(table_.find(mode.first)->state); });
  seek(now);
  table_.make_due_runs(wall);
  stop_paused(now, wall);
  wake(now);
  start_queued(now, wall);
  deal(now, wall);
  peers_.tidy(now);
}

Time JobRunner::next_deadline() const {
  const Time next = std::min({peers_.next_deadline(), retries_.next_deadline(), away_.next_deadline()});
  return running_.empty() ? next : std::min(next, next_deal_);
}

// While it has something to send or to receive: a connection without work shows nothing.
void JobRunner::judge_carrier(const Running& running) {
  if (!peers_.is_on_trial(running.peer) || running.session->is_over() || running.transfer->outcome) return;
  if (numbers_of(running).stage == session::CopyNumbers::Stage::kSend) peers_.judge(running.peer, *running.session);
}

// To UDP, which comes through again. What is being published stays where it is. The sink may hold on to the staging for a moment, as
// behind a session that was lost, so this counts as an attempt.
void JobRunner::change_carrier(Place place, Time now, job::WallTime wall) {
  if (numbers_of(*place).stage == session::CopyNumbers::Stage::kPublish) return;
  const job::JobId id = place->id;
  requeue(place, now, wall);
  table_.change(id, wall, [](job::Job& job) {
    job.attempts = std::max(job.attempts, 1U);
    return true;
  });
}

void JobRunner::settle(Time now, job::WallTime wall) {
  for (Place place = running_.begin(); place != running_.end();) {
    const Place here = place++;
    here->was_up |= here->session->is_up();
    judge_carrier(*here);
    if (here->transfer->outcome || here->session->is_over()) finish(here, now, wall);
    else if (peers_.has_better_carrier(here->peer, *here->session)) change_carrier(here, now, wall);
  }
}

std::string_view JobRunner::held_by(const job::Job& job, job::WallTime wall) const {
  if (job.state == job::State::kPaused) return name_of(HoldReason::kPausedByOperator);
  const bool could_run = job.state == job::State::kQueued || job.state == job::State::kRunning;
  if (could_run && shares_.is_paused(job.peer, wall)) return name_of(HoldReason::kTimetable);
  if (job.state == job::State::kRunning) {
    const Running* running = running_job(job.id);
    const bool is_ending = running != nullptr && numbers_of(*running).stage == session::CopyNumbers::Stage::kPublish;
    return is_ending ? name_of(HoldReason::kVerifying) : "";
  }
  if (job.state != job::State::kQueued || has_room(job, wall)) return "";
  const bool waits_for_better = std::ranges::any_of(running_, [&](const Running& one) { return one.peer == job.peer && one.turn < job::turn_of(job.spec); });
  return name_of(waits_for_better ? HoldReason::kLowerClass : HoldReason::kPlannedLater);
}

// The side that cannot go faster comes before a limit that it could just meet.
std::string_view JobRunner::slowed_by(const job::Job& job) const {
  const Running* running = running_job(job.id);
  if (running == nullptr) return "";
  switch (numbers_of(*running).bottleneck) {
    case session::Bottleneck::kSource: return name_of(HoldReason::kSourceSlow);
    case session::Bottleneck::kSinkDisk: return name_of(HoldReason::kReceiverDisk);
    case session::Bottleneck::kSinkCpu: return name_of(HoldReason::kReceiverCpu);
    case session::Bottleneck::kNone: break;
  }
  return name_of(running->held_to);
}

Places JobRunner::places_at(const std::string& peer) const {
  Places places;
  for (const Running& running : running_)
    if (running.peer == peer) places.taken.push_back(running.turn);
  for (const Gathering& gathering : gathering_)
    if (gathering.peer == peer) places.taken.push_back(gathering.turn);
  if (!peers_.has_room(peer, PeerSessions::Sharing::kOwn)) places.own = Places::Own::kTaken;
  return places;
}

bool JobRunner::has_room(const job::Job& job, job::WallTime wall) const {
  if (shares_.is_paused(job.peer, wall)) return false;
  const Places places = places_at(job.peer);
  if (places.own == Places::Own::kTaken && sharing_of(job.spec) == PeerSessions::Sharing::kOwn) return false;
  return places.are_free_for(job::turn_of(job.spec));
}

// They go on in their turn, with what is queued.
void JobRunner::wake(Time now) {
  for (size_t i = 0; i < kWokenPerTurn; ++i) {
    const auto id = retries_.take_due(now);
    if (!id) return;
    away_.on_left(*id);
    table_.make_ready(*id);
  }
}

void JobRunner::start_queued(Time now, job::WallTime wall) {
  std::vector<std::string> peers;
  for (const auto& [peer, ranks] : table_.queued())
    if (!shares_.is_paused(peer, wall)) peers.push_back(peer);
  for (const std::string& peer : peers) {
    for (size_t i = 0; i < kStartsPerTurn; ++i) {
      const auto queued = table_.queued().find(peer);
      const job::Job* next = queued == table_.queued().end() ? nullptr : places_at(peer).next_of(queued->second);
      if (next == nullptr) break;
      start(job::JobId(next->id), now, wall);
    }
  }
}

void JobRunner::start(const job::JobId& id, Time now, job::WallTime wall) {
  if (!table_.change(id, wall, [&](job::Job& job) { return job::start(job, wall); })) return;
  if (!begin_gather(*table_.find(id), now, wall)) launch(id, now, wall, nullptr);
}

void JobRunner::launch(const job::JobId& id, Time now, job::WallTime wall, const Gathering* gathered) {
  auto asked = ask(*table_.find(id), now, wall);
  if (!asked.ok()) return stumble(id, asked.error(), now, wall, job::Progressed::kNo);
  running_.push_back(std::move(asked).value());
  Running& running = running_.back();
  running.started = gathered != nullptr ? gathered->started : now;
  if (gathered != nullptr) {
    const api::Progress had = gathered->gather->progress();
    running.gathered = gathered->gather->shares();
    running.reached_before = had.bytes_held + had.bytes_verified;
  }
  next_deal_ = now;
  running.transfer->on_report = [&running](const engine::EntryReported& report) {
    if (running.problems.size() < job::kProblemsKept)
      running.problems.push_back({report.path, std::string(report.why.name()), report.why.what, is_skip(report.why.fault)});
  };
  log::info("job_started", "job=" + id + " peer=" + running.peer);
}

Result<JobRunner::Running> JobRunner::ask(const job::Job& job, Time now, job::WallTime wall) {
  auto request = request_of(job.spec, {gateway_.roots(), peers_});
  if (!request.ok()) return std::move(request).error();
  request.value().job = job.id;
  Running running{.id = job.id, .peer = job.peer, .turn = job::turn_of(job.spec), .number = job.number, .weight = job.spec.weight.value_or(1), .most = job.spec.rate_max};
  const auto manners = is_gated(job) ? session::Manners::kYields : session::Manners::kInsists;
  running.use = {sharing_of(job.spec), running.turn.service, manners};
  running.steer.mode = is_gated(job) ? Mode::kScavenge : Mode::kFair;
  if (job.spec.deadline) running.steer.due = now + (*job.spec.deadline - wall);
  auto session = peers_.take(job.peer, running.use, now);
  if (!session.ok()) return std::move(session).error();
  running.session = session.value();
  const session::Traffic before = running.session->traffic();
  running.packets_sent = before.packets_sent;
  running.packets_lost = before.packets_lost;
  auto transfer = session::start_copy(*running.session, job.transfer, std::move(request).value(), job.hold == job::Hold::kPinned ? from_pin(gateway_.roots(), job.pin) : below_roots(gateway_.roots()));
  if (!transfer.ok()) {
    peers_.give_back(running.session, now);
    return std::move(transfer).error();
  }
  running.transfer = std::move(transfer).value();
  if (running.pushes()) running.session->limit_rate(*running.transfer, job.spec.rate_max);
  return running;
}

// What a link's timetable holds back goes on from where it was when it opens again.
void JobRunner::stop_paused(Time now, job::WallTime wall) {
  std::vector<job::JobId> paused;
  for (const Gathering& gathering : gathering_)
    if (shares_.is_paused(gathering.peer, wall)) paused.push_back(gathering.id);
  for (const job::JobId& id : paused)
    if (leave_gather(id, now)) requeue(id, wall);
  leave_closed_links(now, wall);
  for (Place place = running_.begin(); place != running_.end();) {
    const Place here = place++;
    if (!shares_.is_paused(here->peer, wall)) continue;
    log::info("job_paused", "job=" + here->id + " reason=timetable");
    requeue(here, now, wall);
  }
}

// How much each job sent: of what its session sent, an equal part.
void JobRunner::measure(Time now) {
  std::map<session::Session*, std::vector<Running*>> users;
  for (Running& running : running_)
    if (running.pushes()) users[running.session].push_back(&running);
  std::set<UseMeter::Sender> senders;
  for (const auto& [session, jobs] : users) {
    senders.insert(session);
    const auto gate = gates_.find(jobs.front()->peer);
    const bool is_held = jobs.front()->use.manners == session::Manners::kYields && gate != gates_.end();
    const auto use = meter_.look(session, now, session->traffic().sent, is_held ? std::optional(gate->second) : std::nullopt);
    if (!use) continue;
    for (Running* running : jobs) {
      running->sent = use->sent * (1.0 / static_cast<double>(jobs.size()));
      running->open_share = use->open_share;
      running->given_then = running->given;
    }
  }
  meter_.keep(senders);
}

void JobRunner::deal(Time now, job::WallTime wall) {
  if (now < next_deal_ || running_.empty()) return;
  next_deal_ = now + LinkShares::kDealEvery;
  measure(now);
  std::vector<Sender> senders;
  for (const Running& running : running_) {
    if (!running.pushes()) continue;
    const Bytes left = running.steer.due ? left_of(running.id).value_or(Bytes()) : Bytes();
    senders.push_back({running.number, running.peer, running.turn.service, running.weight, running.most, running.given_then, running.sent, running.steer.due, left, running.steer.mode});
    senders.back().open_share = running.open_share;
  }
  const auto shares = shares_.deal(senders, now, wall);
  auto share = shares.begin();
  auto sender = senders.begin();
  for (Running& running : running_) {
    if (!running.pushes()) continue;
    running.given = share->rate;
    running.held_to = share->reason != HoldReason::kNone ? share->reason : shares_.held_to(*sender, senders, gateway_.engine().rate(), wall);
    ++share, ++sender;
    running.session->limit_rate(*running.transfer, running.given, running.steer.in_bursts);
  }
}

void JobRunner::keep_problems(Running& running, job::WallTime wall) {
  if (running.problems.empty()) return;
  table_.change(running.id, wall, [&](job::Job& job) {
    job.problems = std::move(running.problems);
    return false;  // it is written with the change of state that follows
  });
}

void JobRunner::finish(Place place, Time now, job::WallTime wall) {
  Running running = std::move(*place);
  running_.erase(place);
  running.transfer->on_report = {};
  keep_problems(running, wall);
  const session::CopyNumbers numbers = numbers_of(running);
  const auto ended = running.transfer->outcome ? *running.transfer->outcome : Result<engine::TransferDone::Outcome>(running.session->error());
  const bool goes_on = !ended.ok() && peers_.changes_carrier(running.peer, *running.session, ended.error(), now);
  peers_.give_back(running.session, now);
  if (ended.ok()) {
    job::Outcome outcome = to_outcome(ended.value(), numbers, now - running.started);
    add_gathered(outcome, std::move(running.gathered), table_.find(running.id)->spec.sources.front());
    table_.change(running.id, wall, [&](job::Job& job) {
      job.bytes_durable = outcome.bytes;
      return job::publish(job, wall, outcome);
    });
    if (tell_published_) tell_published_(*table_.find(running.id));
    return log::info("job_published", "job=" + running.id + " peer=" + running.peer + " bytes=" + std::to_string(outcome.bytes.count()));
  }
  if (goes_on) return requeue(running.id, wall);  // over the other carrier at once
  job::Progressed progressed = job::Progressed::kNo;
  table_.change(running.id, wall, [&](job::Job& job) {
    progressed = job::note_reached(job, std::max(numbers.bytes_held + numbers.bytes_verified, running.reached_before));
    const bool went_away = running.was_up && ended.error().fault == Fault::kPeerLost;
    if (job.spec.patience == job::Patience::kCommand && (!went_away || job.attempts == 0)) progressed = went_away ? job::Progressed::kYes : job::Progressed::kNo;
    return std::exchange(job.bytes_durable, numbers.bytes_durable) != numbers.bytes_durable;
  });
  stumble(running.id, why_it_ended(ended.error(), *table_.find(running.id)), now, wall, progressed);
}

void JobRunner::stumble(const job::JobId& id, const Error& why, Time now, job::WallTime wall, job::Progressed progressed) {
  if (try_next_source(id, why, wall)) return;
  table_.change(id, wall, [&](job::Job& job) { return job::stumble(job, wall, why, progressed); });
  const job::Job& job = *table_.find(id);
  log::info(job.state == job::State::kFailed ? "job_failed" : "job_waits", "job=" + id + " peer=" + job.peer + " code=" + std::string(why.name()) + " why=\"" + why.what + '"');
  if (job.state != job::State::kWaiting) return;
  retries_.put(id, now + job::back_off(job::reaction_to(why.fault), job.attempts, random_));
  if (job::goes_on_when_back(job, why.fault) && !peers_.is_up(job.peer)) away_.on_away(job.peer, id, now);
}

void JobRunner::forget_retry(const job::JobId& id) {
  retries_.erase(id);
  away_.on_left(id);
}

// A peer that jobs wait for is dialled by a session without one; when that is up, they all go on, over the same.
void JobRunner::seek(Time now) {
  for (const std::string& peer : away_.peers()) {
    session::Session*& probe = probes_[peer];
    if (peers_.is_up(peer)) {
      log::info("peer_is_back", "peer=" + peer);
      retries_.hurry(away_.on_back(peer));
    } else if (probe != nullptr && probe->is_over()) {
      peers_.give_back(std::exchange(probe, nullptr), now);
      away_.on_dial_failed(peer, now);
    } else if (probe == nullptr && away_.wants_dial(peer, now)) {
      away_.tidy();
      const auto dialled = peers_.take(peer, {}, now);
      if (dialled.ok()) probe = dialled.value(), away_.on_dial(peer);
      else away_.on_dial_failed(peer, now);
    }
  }
  const std::vector<std::string> still = away_.peers();
  std::erase_if(probes_, [&](const auto& one) {
    if (std::ranges::find(still, one.first) != still.end()) return false;
    if (one.second != nullptr) peers_.give_back(one.second, now);
    return true;
  });
}

// Trouble of this side would be the same with every source.
bool JobRunner::try_next_source(const job::JobId& id, const Error& why, job::WallTime wall) {
  const job::Job& job = *table_.find(id);
  const bool is_ours = why.code() == ErrorCode::kStorage || why.code() == ErrorCode::kCancelled || why.code() == ErrorCode::kInvalid;
  if (is_ours || job.spec.alternatives.empty()) return false;
  const auto next = parse_place(job.spec.alternatives.front(), {gateway_.roots(), peers_});
  const auto* remote = next.ok() ? std::get_if<session::RemoteAddress>(&next.value()) : nullptr;
  if (remote == nullptr) return false;
  const std::string before = job.spec.sources.front();
  if (!table_.change(id, wall, [&](job::Job& one) { return job::try_next_source(one, remote->peer); })) return false;
  log::warning("source_given_up", "job=" + id + " source=\"" + to_display(before) + "\" code=" + std::string(why.name()) + " next=\"" + to_display(job.spec.sources.front()) + '"');
  return true;
}

void JobRunner::leave(Place place, Time now) {
  place->transfer->on_report = {};
  place->session->cancel(*place->transfer, {Fault::kCancelled, "the job was stopped", ""});
  peers_.give_back(place->session, now);
  running_.erase(place);
}

void JobRunner::requeue(const job::JobId& id, job::WallTime wall) {
  table_.change(id, wall, [](job::Job& job) {
    job::recover(job);
    return true;
  });
}

void JobRunner::requeue(Place place, Time now, job::WallTime wall) {
  const job::JobId id = place->id;
  leave(place, now);
  requeue(id, wall);
}

void JobRunner::steer(const job::JobId& id, const Steer& steer, Time now, job::WallTime wall) {
  const Place place = find(id);
  if (place == running_.end() || !place->pushes()) return;
  place->steer.due = steer.due;
  const job::Job& job = *table_.find(id);
  if (const Rate before = std::exchange(place->steer.in_bursts, steer.in_bursts); before != steer.in_bursts) {
    next_deal_ = now;
    log::info("job_mode_changed", "job=" + id + " mode=" + (steer.in_bursts > Rate() ? "hybrid bits_per_second_in_bursts=" + std::to_string(static_cast<uint64_t>(steer.in_bursts.bits_per_second())) : "scavenge"));
  }
  const bool competes = steer.mode == Mode::kFair;
  if (!shares_.is_gated(job.spec.service) || modes_.contains(id) == competes) return;
  if (competes) modes_[id] = Mode::kFair;
  else modes_.erase(id);
  log::info("job_mode_changed", "job=" + id + " mode=" + (competes ? "fair" : "scavenge"));
  requeue(place, now, wall);
}

void JobRunner::take_up(ShareRules rules) {
  shares_.take_up(std::move(rules));
  next_deal_ = Time{};
}

std::optional<Bytes> JobRunner::left_of(const job::JobId& id) const {
  if (const Gather* gather = gather_of(id)) {
    const api::Progress progress = gather->progress();
    return progress.stage == "send" ? std::optional(saturating_sub(progress.bytes_needed, progress.bytes_verified)) : std::nullopt;
  }
  const Running* running = running_job(id);
  if (running == nullptr) return std::nullopt;
  const session::CopyNumbers numbers = numbers_of(*running);
  using enum session::CopyNumbers::Stage;
  if (numbers.stage == kConnect || numbers.stage == kScan) return std::nullopt;
  return saturating_sub(numbers.bytes_needed, numbers.bytes_verified);
}

// What was published by now stays published.
void JobRunner::take_off(const job::JobId& id, Time now, job::WallTime wall) {
  settle(now, wall);
  leave_gather(id, now);
  if (const Place place = find(id); place != running_.end()) leave(place, now);
  forget_retry(id);
}

bool JobRunner::pause(const job::JobId& id, Time now, job::WallTime wall) {
  take_off(id, now, wall);
  table_.change(id, wall, [](job::Job& job) { return job::pause(job); });
  return table_.find(id) != nullptr;
}

bool JobRunner::resume(const job::JobId& id, Time, job::WallTime wall) {
  forget_retry(id);
  table_.change(id, wall, [](job::Job& job) { return job::resume(job); });
  return table_.find(id) != nullptr;
}

bool JobRunner::cancel(const job::JobId& id, Time now, job::WallTime wall) {
  take_off(id, now, wall);
  table_.change(id, wall, [&](job::Job& job) { return job::cancel(job, wall); });
  return table_.find(id) != nullptr;
}

void JobRunner::refuse(const job::JobId& id, const Error& why, Time now, job::WallTime wall) {
  take_off(id, now, wall);
  if (table_.change(id, wall, [&](job::Job& job) { return job::fail(job, wall, why); }))
    log::info("job_failed", "job=" + id + " code=" + std::string(why.name()) + " why=\"" + why.what + '"');
}

bool JobRunner::set_rate(const job::JobId& id, Rate rate, Time now, job::WallTime wall) {
  settle(now, wall);
  const bool changed = table_.change(id, wall, [&](job::Job& job) {
    if (job::is_over(job.state) || job.spec.rate_max == rate) return false;
    job.spec.rate_max = rate;
    return true;
  });
  if (changed && leave_gather(id, now)) requeue(id, wall);
  const Place place = find(id);
  if (!changed || place == running_.end()) return table_.find(id) != nullptr;
  if (place->pushes() && place->use.sharing == PeerSessions::Sharing::kOwn) {
    place->most = rate;
    next_deal_ = now;
    return true;
  }
  requeue(place, now, wall);  // it goes on from here on a session of its own, or as the peer is told
  return true;
}

// What runs goes on from where it is on a session for its new rank.
bool JobRunner::set_rank(const job::JobId& id, const Rank& rank, Time now, job::WallTime wall) {
  settle(now, wall);
  const bool changed = table_.change(id, wall, [&](job::Job& job) {
    const job::Class service = rank.service.value_or(job.spec.service);
    const auto weight = rank.weight ? rank.weight : job.spec.weight;
    const auto deadline = rank.deadline.value_or(job.spec.deadline);
    if (job::is_over(job.state) || (job.spec.service == service && job.spec.weight == weight && job.spec.deadline == deadline)) return false;
    job.spec.deadline = deadline;
    job.spec.service = service;
    job.spec.weight = weight;
    return true;
  });
  if (changed && leave_gather(id, now)) requeue(id, wall);
  if (const Place place = find(id); changed && place != running_.end()) requeue(place, now, wall);
  return table_.find(id) != nullptr;
}

void JobRunner::stop(Time now, job::WallTime wall) {
  settle(now, wall);
  while (!running_.empty()) requeue(running_.begin(), now, wall);
  while (!gathering_.empty()) {
    const job::JobId id = gathering_.front().id;
    leave_gather(id, now);
    requeue(id, wall);
  }
  retries_.clear();
}

std::optional<api::Progress> JobRunner::progress(const job::JobId& id) const {
  if (const Gather* gather = gather_of(id)) return gather->progress();
  const Running* running = running_job(id);
  if (running == nullptr) return std::nullopt;
  api::Progress progress = to_progress(numbers_of(*running));
  progress.sources = running->gathered;
  return progress;
}

Rate JobRunner::ahead_of(const job::Job& job, job::WallTime wall) const {
  constexpr uint64_t kLittle = 20;
  const Rate limit = std::min({shares_.cap_of(job.peer, wall), shares_.rules().class_rates[static_cast<size_t>(job.spec.service)], job.spec.rate_max});
  if (limit.is_unlimited()) return limit;
  uint64_t left = limit.bytes_per_second();
  for (const Running& running : running_)
    if (running.pushes() && running.peer == job.peer) left -= std::min(left, running.sent.bytes_per_second());
  return Rate::bytes_per_second(std::max(left, limit.bytes_per_second() / kLittle));
}

Mode JobRunner::mode_of(const job::Job& job) const {
  if (!is_gated(job)) return Mode::kFair;
  const Running* running = running_job(job.id);
  return running != nullptr && running->steer.in_bursts > Rate() ? Mode::kHybrid : Mode::kScavenge;
}

std::optional<JobRunner::Share> JobRunner::share_of(const job::JobId& id) const {
  const Running* running = running_job(id);
  if (running == nullptr || !running->pushes()) return std::nullopt;
  return Share{running->given, running->sent};
}

std::vector<job::JobId> JobRunner::running_ids() const {
  std::vector<job::JobId> ids;
  for (const Running& running : running_) ids.push_back(running.id);
  for (const Gathering& gathering : gathering_) ids.push_back(gathering.id);
  return ids;
}

}  // namespace tideway::daemon
