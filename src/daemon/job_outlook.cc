// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_outlook.h"

#include "api/time_text.h"
#include "base/amounts.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/link_shares.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

constexpr std::string_view kBasisNames[] = {"high", "medium", "low"};
constexpr std::string_view kBindingNames[] = {"leftover", "timetable", "ceiling", "jobs"};
constexpr std::string_view kModeNames[] = {"scavenge", "hybrid", "fair"};

// Of what the peer sends nobody here knows when it will be there.
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
  const auto wall_at = [&](Time time) { return std::chrono::floor<std::chrono::seconds>(wall_of(time, now)); };
  std::vector<Rate> caps;
  caps.reserve(planner::kSlots);
  for (size_t i = 0; i < planner::kSlots; ++i) caps.push_back(runner_.shares().cap_of(rule.peer, wall_at(now.time + planner::kSlot * static_cast<int64_t>(i))));
  const auto slots_of = [&](const LeftoverHistory::Day& day) {
    return [&](Time time) {
      const Rate left = has_tide ? std::min(day[LeftoverHistory::part_of(wall_at(time))].value_or(unseen), rule.capacity) : rule.capacity;
      return planner::SlotForecast{left, caps[static_cast<size_t>((time - now.time) / planner::kSlot)], rule.capacity};
    };
  };
  return {planner::Calendar(now.time, 0.0, slots_of(usual)), planner::Calendar(now.time, runner_.shares().rules().slack, slots_of(low))};
}

// ---- the queue -----------------------------------------------------------------------------------------------------------

const SendQueue& JobOutlook::to_send(std::string_view peer) const {
  static const SendQueue kNone;
  const auto found = table_.to_send().find(peer);
  return found == table_.to_send().end() ? kNone : found->second;
}

planner::PlannedJob JobOutlook::plan_of(const SendQueue::Key& key, const SendQueue::Item& item, const LinkRule& rule, Now now) const {
  const ShareRules& rules = runner_.shares().rules();
  const auto service = static_cast<size_t>(item.service);
  planner::PlannedJob planned{.number = key.number, .job_class = class_of(item.service)};
  if (item.deadline) planned.deadline = now.time + (*item.deadline - now.wall);
  planned.left = item.bytes;
  if (key.pace == SendQueue::Key::Pace::kRuns) {
    planned.left = runner_.left_of(item.job->id).value_or(item.bytes);
    planned.weight = static_cast<double>(item.job->spec.weight.value_or(1) * rules.class_weights[service]);
  }
  planned.hurt_max = std::min(rule.hurt_max, item.hurt_max);
  planned.rate_max = std::min(item.rate_max, rules.class_rates[service]);
  return planned;
}

JobOutlook::Queue JobOutlook::collect(const SendQueue& items, const LinkRule& rule, Now now) const {
  Queue queue;
  queue.keys.reserve(items.items().size());
  queue.jobs.reserve(items.items().size());
  queue.vague_from = items.items().size();
  for (const auto& [key, item] : items.items()) {
    queue.keys.push_back(key);
    queue.jobs.push_back(plan_of(key, item, rule, now));
    if (queue.jobs.back().left == Bytes()) queue.vague_from = std::min(queue.vague_from, queue.jobs.size() - 1);
  }
  queue.until = planner::sums_until(queue.jobs);
  return queue;
}

// Restores and what has a deadline: what goes before anything else.
std::vector<planner::PlannedJob> JobOutlook::promised(const LinkRule& rule, Now now, const job::Job* apart_from) const {
  std::vector<planner::PlannedJob> jobs;
  for (const auto& [key, item] : to_send(rule.peer).items()) {
    if (key.group == job::Turn::Group::kOther) break;
    if (item.job != apart_from) jobs.push_back(plan_of(key, item, rule, now));
  }
  return jobs;
}

// What goes before the last one of a class, by what was submitted; of the few that run, by what is left of them.
SendQueue::Sum JobOutlook::sum_before(const SendQueue& items, const SendQueue::Key& last) const {
  using enum job::Turn::Group;
  SendQueue::Sum sum;
  const auto add = [&sum](const SendQueue::Sum& more) {
    sum.bytes += more.bytes;
    sum.unknown += more.unknown;
  };
  add(items.sum_of(kRestore));
  if (last.group == kOther) add(items.sum_of(kDeadline));
  for (auto service = size_t{0}; last.group == kOther && service <= static_cast<size_t>(last.service); ++service) add(items.sum_of(kOther, static_cast<job::Class>(service)));
  for (const job::JobId& id : runner_.running_ids()) {
    const job::Job* job = table_.find(id);
    const auto left = runner_.left_of(id);
    if (job == nullptr || !left || SendQueue::key_of(*job) > last || !items.items().contains(SendQueue::key_of(*job))) continue;
    sum.bytes = Bytes(sum.bytes.count() - job->spec.bytes.count() + left->count());
    if (job->spec.bytes == Bytes()) --sum.unknown;
  }
  return sum;
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
    const SendQueue& items = to_send(rule.peer);
    link.queue = collect(items, rule, now);
    judge(rule, items, link, now);
  }
  look_at_paces(now);
  if (!table_.events().empty()) planned_event_ = table_.events().back().number;
  const Duration took = read_clock() - begun;
  next_plan_ = now.time + kPlanEvery;
  soonest_plan_ = now.time + std::max(kPlanSoonest, took * kRest);
  ++counts_.plans;
  counts_.spent += took;
}

// Deadlines that are in danger, and how far what runs may go. Those that have one stand before all others.
void JobOutlook::judge(const LinkRule& rule, const SendQueue& items, const Link& link, Now now) {
  std::vector<std::pair<job::JobId, bool>> changed;
  std::vector<Steered> steered;
  size_t i = 0;
  for (const auto& [key, item] : items.items()) {
    if (key.group == job::Turn::Group::kOther) break;
    const planner::PlannedJob& planned = link.queue.jobs[i];
    const Bytes until = link.queue.until[i++];
    if (!planned.deadline) continue;
    const auto latest = planner::done_at(link.days->low, planned, until);
    const planner::Escalation escalation = planner::escalation_of(planned, latest, now.time);
    const bool is_at_risk = escalation.risk != planner::Risk::kNone;
    counts_.at_risk += is_at_risk ? 1 : 0;
    if (latest) counts_.slack_least = std::min(counts_.slack_least.value_or(Duration::max()), *planned.deadline - *latest);
    if (item.is_at_risk != is_at_risk && changed.size() < kRiskChangesMax) changed.emplace_back(item.job->id, is_at_risk);
    if (key.pace != SendQueue::Key::Pace::kRuns) continue;
    // To compete costs a session, so who does goes on until there is some room again.
    const bool goes_on = escalation.burst_share > 0 && runner_.mode_of(*item.job) == Mode::kFair && !runner_.is_gated(*item.job);
    steered.push_back({item.job, *planned.deadline, goes_on ? 1 : escalation.burst_share});
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

// It may run by now, or have run then.
std::optional<size_t> JobOutlook::place_of(const job::Job& job, const Queue& queue) {
  SendQueue::Key key = SendQueue::key_of(job);
  for (const auto pace : {SendQueue::Key::Pace::kRuns, SendQueue::Key::Pace::kWaits}) {
    key.pace = pace;
    const auto found = std::ranges::lower_bound(queue.keys, key);
    if (found != queue.keys.end() && *found == key) return static_cast<size_t>(found - queue.keys.begin());
  }
  return std::nullopt;
}

std::optional<api::Forecast> JobOutlook::forecast_of(const job::Job& job) const {
  if (job.state == job::State::kPaused || job::is_over(job.state)) return std::nullopt;  // the plan may not have heard of it yet
  if (const auto link = links_.find(job.peer); link != links_.end() && link->second.days) {
    const Queue& queue = link->second.queue;
    const auto at = place_of(job, queue);
    if (!at || queue.jobs[*at].left == Bytes()) return std::nullopt;
    const planner::Prospect prospect = planner::prospect_of({link->second.days->usual, link->second.days->low}, queue.jobs[*at], queue.until[*at]);
    api::Forecast forecast;
    if (prospect.eta) forecast.eta = wall_of(*prospect.eta, planned_at_);
    if (prospect.latest) forecast.latest = wall_of(*prospect.latest, planned_at_);
    forecast.confidence = kBasisNames[static_cast<size_t>(*at >= queue.vague_from ? Basis::kLow : link->second.basis)];
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

api::Feasibility JobOutlook::judge_deadline(const LinkRule& rule, const planner::Calendar& low, std::span<const planner::PlannedJob> promised, const planner::PlannedJob& wanted, Now now) const {
  planner::Road road{.calendar = low, .ahead = {}, .class_rates = runner_.shares().rules().class_rates};
  std::vector<planner::Due> dues;
  dues.reserve(promised.size());
  for (const planner::PlannedJob& job : promised) {
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
  const Days days = days_of(*rule, link->second, now);
  const Basis basis = basis_of(*rule, link->second, now);
  job::Job asked;
  asked.number = question.apart_from != nullptr ? question.apart_from->number : UINT64_MAX;
  asked.spec = spec;
  asked.spec.deadline = deadline;
  const SendQueue::Key key = SendQueue::key_of(asked);
  planner::PlannedJob wanted = plan_of(key, SendQueue::item_of(asked), *rule, now);
  if (question.apart_from != nullptr) wanted.left = runner_.left_of(question.apart_from->id).value_or(question.apart_from->spec.bytes);
  if (deadline) {
    const std::vector<planner::PlannedJob> jobs = promised(*rule, now, question.apart_from);
    answer = judge_deadline(*rule, days.low, jobs, wanted, now);
    const bool is_vague = std::ranges::any_of(jobs, [&](const planner::PlannedJob& one) { return one.left == Bytes() && planner::goes_before(one, wanted); });
    answer.confidence = kBasisNames[static_cast<size_t>(is_vague ? Basis::kLow : basis)];
    return answer;
  }
  if (wanted.left == Bytes()) return answer;
  const SendQueue::Sum before = sum_before(to_send(rule->peer), key);
  if (const auto eta = planner::done_at(days.usual, wanted, before.bytes + wanted.left)) answer.eta = wall_of(*eta, now);
  answer.confidence = kBasisNames[static_cast<size_t>(before.unknown > 0 ? Basis::kLow : basis)];
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
