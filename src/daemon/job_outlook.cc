// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_outlook.h"

#include "api/time_text.h"
#include "base/amounts.h"
#include "base/clock.h"
#include "base/log.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

constexpr std::string_view kBasisNames[] = {"high", "medium", "low"};
constexpr std::string_view kBindingNames[] = {"leftover", "timetable", "ceiling", "jobs"};
constexpr std::string_view kModeNames[] = {"scavenge", "hybrid", "fair"};

JobClass class_of(job::Class service) { return static_cast<JobClass>(service); }

// Of what we send we know when it will be there.
bool is_sent(const job::Spec& spec, std::string_view peer) {
  return spec.destination.size() > peer.size() && spec.destination.starts_with(peer) && spec.destination[peer.size()] == ':';
}

std::string_view mode_of(double burst_share) { return kModeNames[burst_share >= 1 ? 2 : burst_share > 0 ? 1 : 0]; }

// The deadline of the first run of a recurring job follows from its objective.
std::optional<job::WallTime> deadline_of(const job::Spec& spec, job::WallTime wall) {
  if (spec.deadline || !spec.rpo || !spec.every) return spec.deadline;
  return wall + job::time_to_copy(*spec.rpo, *spec.every);
}

Error nobody_knows(std::string what, std::string next) { return {Fault::kUnsupported, std::move(what), std::move(next)}; }

}  // namespace

const LinkRule* JobOutlook::rule_for(std::string_view peer) const {
  const auto& rules = runner_.shares().rules().links;
  const auto found = std::ranges::find(rules, peer, &LinkRule::peer);
  return found == rules.end() || found->capacity.is_unlimited() ? nullptr : &*found;
}

// ---- what links carry --------------------------------------------------------------------------------------------------

JobOutlook::JobOutlook(JobTable& table, JobRunner& runner, LeftoverHistories histories) : table_(table), runner_(runner) {
  for (auto& [peer, history] : histories) links_[peer].history = std::move(history);
}

std::optional<LeftoverHistories> JobOutlook::take_histories() {
  if (!std::exchange(is_quarter_over_, false)) return std::nullopt;
  LeftoverHistories histories;
  for (const LinkRule& rule : runner_.shares().rules().links)
    if (const auto link = links_.find(rule.peer); link != links_.end()) histories.emplace(rule.peer, link->second.history);
  return histories;
}

void JobOutlook::measure(Now now, const LinkSampler& links) {
  for (size_t i = 0; i < links.sources().links.size(); ++i) {
    Link& link = links_[links.sources().links[i].peer];
    const LeftSeen seen = links.left_seen(i), before = std::exchange(link.seen, seen);
    const int64_t quarter = link.history.quarter();
    if (seen.over > before.over)
      link.history.on_measured(std::chrono::floor<std::chrono::seconds>(now.wall), {Bytes(static_cast<uint64_t>(seen.bytes - before.bytes)), seen.over - before.over});
    is_quarter_over_ |= link.history.quarter() != quarter;
    runner_.set_open_share(links.sources().links[i].peer, links.open_share(i));
  }
}

JobOutlook::Basis JobOutlook::basis_of(const LinkRule& rule, const Link& link, Now now) {
  const auto part = planner::LeftoverHistory::part_of(std::chrono::floor<std::chrono::seconds>(now.wall));
  if (rule.tide == LinkRule::Tide::kNone || link.history.low()[part]) return Basis::kHigh;
  return rule.leftover_floor ? Basis::kMedium : Basis::kLow;
}

JobOutlook::Days JobOutlook::days_of(const LinkRule& rule, const Link& link, Now now) const {
  using planner::LeftoverHistory;
  const bool has_tide = rule.tide == LinkRule::Tide::kTrainings;
  const LeftoverHistory::Day low = link.history.low(), usual = link.history.usual();
  const Rate unseen = !has_tide ? rule.capacity : rule.leftover_floor.value_or(std::min(link.history.least().value_or(rule.capacity * kUnseenShare), rule.capacity));
  const auto slots_of = [&](const LeftoverHistory::Day& day) {
    return [&](Time time) {
      const auto wall = std::chrono::floor<std::chrono::seconds>(wall_of(time, now));
      const Rate left = has_tide ? std::min(day[LeftoverHistory::part_of(wall)].value_or(unseen), rule.capacity) : rule.capacity;
      return planner::SlotForecast{left, runner_.shares().cap_of(rule.peer, wall), rule.capacity};
    };
  };
  return {planner::Calendar(now.time, 0.0, slots_of(usual)), planner::Calendar(now.time, runner_.shares().rules().slack, slots_of(low))};
}

// ---- the queue -----------------------------------------------------------------------------------------------------------

planner::PlannedJob JobOutlook::plan_of(const job::Job& job, const LinkRule& rule, Now now) const {
  const ShareRules& rules = runner_.shares().rules();
  const auto service = static_cast<size_t>(job.spec.service);
  planner::PlannedJob planned{.number = job.number, .job_class = class_of(job.spec.service)};
  if (const auto deadline = deadline_of(job.spec, now.wall)) planned.deadline = now.time + (*deadline - now.wall);
  planned.left = job.spec.bytes;
  if (job.state == job::State::kRunning) {
    planned.left = runner_.left_of(job.id).value_or(job.spec.bytes);
    planned.weight = static_cast<double>(job.spec.weight.value_or(1) * rules.class_weights[service]);
  }
  planned.hurt_max = std::min(rule.hurt_max, job.spec.hurt_max.value_or(0));
  planned.rate_max = std::min(job.spec.rate_max, rules.class_rates[service]);
  return planned;
}

// All that is to be sent to that peer, in the order in which it goes.
std::vector<JobOutlook::Planned> JobOutlook::collect(const LinkRule& rule, Now now, const job::Job* apart_from) const {
  std::vector<Planned> all;
  const auto live = table_.live().find(rule.peer);
  if (live == table_.live().end()) return all;
  all.reserve(live->second.size());
  bool is_vague = false;
  for (const JobTable::Rank& rank : live->second) {
    const job::Job& job = *std::get<const job::Job*>(rank);
    if (&job == apart_from || job.state == job::State::kPaused || !is_sent(job.spec, rule.peer)) continue;
    Planned& planned = all.emplace_back(Planned{plan_of(job, rule, now), &job, {}, false});
    is_vague |= planned.job.left == Bytes();
    planned.is_vague = is_vague;
  }
  return all;
}

void JobOutlook::plan(Now now) {
  const Time begun = read_clock();
  planned_at_ = now;
  counts_.at_risk = 0;
  counts_.slack_least.reset();
  const std::vector<LinkRule> rules = runner_.shares().rules().links;
  for (const LinkRule& rule : rules) {
    Link& link = links_[rule.peer];
    if (rule.capacity.is_unlimited()) {
      link.days.reset();
      continue;
    }
    link.days.emplace(days_of(rule, link, now));
    link.basis = basis_of(rule, link, now);
    link.jobs = collect(rule, now, nullptr);
    std::vector<planner::PlannedJob> jobs;
    jobs.reserve(link.jobs.size());
    for (const Planned& planned : link.jobs) jobs.push_back(planned.job);
    const std::vector<Bytes> sums = planner::sums_until(jobs);
    for (size_t i = 0; i < sums.size(); ++i) link.jobs[i].until = sums[i];
    judge(rule, link, now);
    std::ranges::sort(link.jobs, {}, [](const Planned& planned) { return planned.job.number; });
    for (Planned& planned : link.jobs) planned.in_table = nullptr;  // it may be gone by the next question
  }
  look_at_paces(now);
  if (!table_.events().empty()) planned_event_ = table_.events().back().number;
  const Duration took = read_clock() - begun;
  next_plan_ = now.time + kPlanEvery;
  soonest_plan_ = now.time + std::max(kPlanSoonest, took * kRest);
  ++counts_.plans;
  counts_.spent += took;
}

// Deadlines that are in danger, and how far what runs may go.
void JobOutlook::judge(const LinkRule& rule, Link& link, Now now) {
  std::vector<std::pair<job::JobId, bool>> changed;
  std::vector<Steered> steered;
  for (const Planned& planned : link.jobs) {
    if (!planned.job.deadline) continue;
    const planner::Prospect prospect = planner::prospect_of({link.days->usual, link.days->low}, planned.job, planned.until);
    const bool is_at_risk = prospect.escalation.risk != planner::Risk::kNone;
    counts_.at_risk += is_at_risk ? 1 : 0;
    if (prospect.latest) counts_.slack_least = std::min(counts_.slack_least.value_or(Duration::max()), *planned.job.deadline - *prospect.latest);
    const job::Job& job = *planned.in_table;
    if (job.is_at_risk != is_at_risk) changed.emplace_back(job.id, is_at_risk);
    if (job.state != job::State::kRunning) continue;
    // To compete costs a session, so who does goes on until there is some room again.
    const bool goes_on = prospect.escalation.burst_share > 0 && runner_.mode_of(job) == Mode::kFair && !runner_.is_gated(job);
    steered.push_back({&job, *planned.job.deadline, goes_on ? 1 : prospect.escalation.burst_share});
  }
  for (const auto& [id, is_at_risk] : changed) {
    table_.change(id, now.wall, [risk = is_at_risk](job::Job& job) {
      job.is_at_risk = risk;
      return true;
    });
    log::info(is_at_risk ? "deadline_at_risk" : "deadline_in_reach", "job=" + id + " peer=" + rule.peer);
  }
  steer(rule, *link.days, std::move(steered), now);
}

// All of a link's jobs together take no more from its trainings than its owner allows; what is due first goes first.
void JobOutlook::steer(const LinkRule& rule, const Days& days, std::vector<Steered> jobs, Now now) {
  std::ranges::stable_sort(jobs, {}, &Steered::deadline);
  std::vector<double> wanted;
  for (const Steered& one : jobs) wanted.push_back(one.burst_share);
  const std::vector<double> shares = planner::share_bursts(wanted, rule.hurt_max);
  const Rate ceiling = std::min(rule.capacity, runner_.shares().cap_of(rule.peer, now.wall));
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Mode mode = shares[i] >= 1 ? Mode::kFair : shares[i] > 0 ? Mode::kHybrid : Mode::kScavenge;
    const Rate in_bursts = mode == Mode::kHybrid ? rule.capacity * shares[i] : Rate();
    const job::JobId id = jobs[i].job->id;
    runner_.steer(id, {mode, planner::deadline_while_open(days.low, jobs[i].deadline, ceiling), in_bursts}, now.time, now.wall);
  }
}

void JobOutlook::look_at_paces(Now now) {
  std::map<job::JobId, Pace> paces;
  for (const job::JobId& id : runner_.running_ids()) {
    const auto progress = runner_.progress(id);
    if (!progress) continue;
    Pace& pace = paces[id] = {progress->bytes_verified, now.time, {}};
    if (const auto before = paces_.find(id); before != paces_.end()) pace.rate = Rate::of(saturating_sub(pace.done, before->second.done), now.time - before->second.at);
  }
  paces_ = std::move(paces);
}

void JobOutlook::turn(Now now, const LinkSampler& links) {
  if (now.time < next_deadline()) return;
  measure(now, links);
  plan(now);
}

// ---- answers -----------------------------------------------------------------------------------------------------------

std::optional<api::Forecast> JobOutlook::forecast_of(const job::Job& job) const {
  if (job.state == job::State::kPaused || job::is_over(job.state)) return std::nullopt;  // the plan may not have heard of it yet
  if (const auto link = links_.find(job.peer); link != links_.end() && link->second.days) {
    const auto planned = std::ranges::lower_bound(link->second.jobs, job.number, {}, [](const Planned& one) { return one.job.number; });
    if (planned == link->second.jobs.end() || planned->job.number != job.number || planned->job.left == Bytes()) return std::nullopt;
    const planner::Prospect prospect = planner::prospect_of({link->second.days->usual, link->second.days->low}, planned->job, planned->until);
    api::Forecast forecast;
    if (prospect.eta) forecast.eta = wall_of(*prospect.eta, planned_at_);
    if (prospect.latest) forecast.latest = wall_of(*prospect.latest, planned_at_);
    forecast.confidence = kBasisNames[static_cast<size_t>(planned->is_vague ? Basis::kLow : link->second.basis)];
    return forecast;
  }
  const auto pace = paces_.find(job.id);
  const auto left = runner_.left_of(job.id);
  if (pace == paces_.end() || !left || pace->second.rate == Rate()) return std::nullopt;
  const Duration takes = pace->second.rate.time_for(*left);
  if (takes > planner::kAheadMax) return std::nullopt;
  return api::Forecast{wall_of(planned_at_.time + takes, planned_at_), {}, std::string(kBasisNames[static_cast<size_t>(Basis::kMedium)])};
}

std::optional<JobOutlook::Leftover> JobOutlook::leftover_of(std::string_view peer) const {
  const auto link = links_.find(peer);
  if (link == links_.end() || !link->second.days) return std::nullopt;
  const auto now_of = [](const planner::Calendar& calendar) { return Rate::of(calendar.leftover().until(calendar.begin() + planner::kSlot), planner::kSlot); };
  const Days& days = *link->second.days;
  return Leftover{now_of(days.usual), now_of(days.low), kBasisNames[static_cast<size_t>(link->second.basis)]};
}

api::Feasibility JobOutlook::judge_deadline(const LinkRule& rule, const planner::Calendar& low, std::span<const Planned> jobs, const planner::PlannedJob& wanted, Now now) const {
  planner::Road road{.calendar = low, .ahead = {}, .class_rates = runner_.shares().rules().class_rates};
  std::vector<planner::Due> dues;
  for (const Planned& planned : jobs) {
    const planner::PlannedJob& job = planned.job;
    if (job.job_class == JobClass::kRestore) road.ahead += job.left;
    else if (job.deadline) dues.push_back({*job.deadline, job.left, job.job_class, job.hurt_max, Rate::unlimited()});
  }
  const planner::Admission admission = planner::admit(road, dues, {*wanted.deadline, wanted.left, wanted.job_class, wanted.hurt_max, wanted.rate_max});
  api::Feasibility answer;
  answer.is_feasible = admission.answer != planner::Admission::Answer::kDoesNotFit;
  if (admission.eta) answer.eta = wall_of(*admission.eta, now);
  if (answer.is_feasible) {
    answer.slack = std::chrono::floor<std::chrono::seconds>(admission.slack);
    answer.mode = mode_of(admission.burst_share);
    answer.cost = admission.burst_share;
    return answer;
  }
  if (admission.earliest) answer.earliest = wall_of(*admission.earliest, now);
  answer.by_deadline = admission.by_deadline;
  answer.needs_share = admission.burst_share;
  if (admission.burst_share > 0) answer.needs_mode = mode_of(admission.burst_share);
  answer.link = rule.peer;
  answer.reason = kBindingNames[static_cast<size_t>(admission.binding)];
  answer.why = "of " + to_string(wanted.left) + " the link to " + rule.peer + " carries " + to_string(admission.by_deadline) + " until then (" + answer.reason + ')';
  return answer;
}

Result<api::Feasibility> JobOutlook::check(const Question& question, Now now) const {
  const job::Spec& spec = question.spec;
  const auto deadline = deadline_of(spec, now.wall);
  const LinkRule* rule = rule_for(question.peer);
  const auto link = links_.find(question.peer);
  const bool is_known = rule != nullptr && link != links_.end() && is_sent(spec, question.peer);
  if (deadline && !is_sent(spec, question.peer))
    return nobody_knows("when a peer has sent something is not for this gateway to promise", "submit the job there, or leave the deadline out");
  if (deadline && !runner_.shares().keeps_deadlines())
    return nobody_knows("policy = \"" + runner_.shares().rules().policy + "\" keeps no deadlines", "write policy = \"deadline\" in [schedule], or leave the deadline out");
  if (deadline && !is_known)
    return nobody_knows("what the link to " + std::string(question.peer) + " carries is not known, so no deadline can be promised", "give it a [[link]] with its capacity, or leave the deadline out");
  api::Feasibility answer;
  answer.confidence = kBasisNames[static_cast<size_t>(Basis::kLow)];
  if (!is_known) return answer;
  const std::vector<Planned> jobs = collect(*rule, now, question.apart_from);
  const Days days = days_of(*rule, link->second, now);
  const Basis basis = basis_of(*rule, link->second, now);
  job::Job asked;
  asked.number = question.apart_from != nullptr ? question.apart_from->number : UINT64_MAX;
  asked.spec = spec;
  planner::PlannedJob wanted = plan_of(asked, *rule, now);
  if (question.apart_from != nullptr) wanted.left = plan_of(*question.apart_from, *rule, now).left;
  if (deadline) {
    answer = judge_deadline(*rule, days.low, jobs, wanted, now);
    const bool is_vague = std::ranges::any_of(jobs, [&](const Planned& one) { return one.job.left == Bytes() && planner::goes_before(one.job, wanted); });
    answer.confidence = kBasisNames[static_cast<size_t>(is_vague ? Basis::kLow : basis)];
    return answer;
  }
  if (wanted.left == Bytes()) return answer;
  std::vector<planner::PlannedJob> all{wanted};
  for (const Planned& planned : jobs) all.push_back(planned.job);
  const planner::Prospect prospect = planner::prospect_of({days.usual, days.low}, wanted, planner::sums_until(all).front());
  if (prospect.eta) answer.eta = wall_of(*prospect.eta, now);
  const bool is_vague = std::ranges::any_of(jobs, &Planned::is_vague);
  answer.confidence = kBasisNames[static_cast<size_t>(is_vague ? Basis::kLow : basis)];
  return answer;
}

Status JobOutlook::admit(const Question& question, Now now) const {
  const auto deadline = deadline_of(question.spec, now.wall);
  if (!deadline) return success();
  const auto answer = check(question, now);
  if (!answer.ok()) return answer.error();
  if (answer.value().is_feasible) return success();
  const auto& earliest = answer.value().earliest;
  return Error{Fault::kDeadline, "it would not be there by " + api::to_text(*deadline) + ": " + answer.value().why,
               (earliest ? "a deadline of " + api::to_text(*earliest) + " can be met; or" : "") + std::string(earliest ? " " : "") + "submit it without one"};
}

}  // namespace tideway::daemon
