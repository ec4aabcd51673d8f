// SPDX-License-Identifier: Apache-2.0
#include "daemon/schedule_view.h"

#include <algorithm>
#include <set>

namespace tideway::daemon {
namespace {

constexpr std::string_view kModes[] = {"scavenge", "hybrid", "fair"};

std::string name_of(Mode mode) { return std::string(kModes[static_cast<size_t>(mode)]); }

bool is_shown(const ScheduleSources& from, const job::Job& job) { return !from.owner || *from.owner == job.owner; }

api::JobInPlan job_in_plan(const ScheduleSources& from, const job::Job& job) {
  api::JobInPlan made{.id = job.id, .peer = job.peer, .service = std::string(job::to_string(job.spec.service)), .state = std::string(job::to_string(job.state)), .mode = {},
                      .sent = {}, .reason = job.wait ? job.wait->reason : from.reason_of(job), .deadline = job.spec.deadline, .forecast = from.outlook.forecast_of(job), .is_at_risk = job.is_at_risk};
  made.weight = job.spec.weight.value_or(1) * from.runner.shares().rules().class_weights[static_cast<size_t>(job.spec.service)];
  made.rate = job.spec.rate_max;
  if (job.state != job::State::kRunning) return made;
  made.mode = name_of(from.runner.mode_of(job));
  if (const auto share = from.runner.share_of(job.id)) made.rate = share->given, made.sent = share->sent;
  return made;
}

void show_jobs(const ScheduleSources& from, api::Schedule& schedule) {
  for (const job::JobId& id : from.runner.running_ids())
    if (const job::Job* job = from.table.find(id); job != nullptr && is_shown(from, *job)) schedule.jobs.push_back(job_in_plan(from, *job));
  for (const auto& [peer, ranks] : from.table.queued()) {
    size_t shown = 0;
    for (auto rank = ranks.begin(); rank != ranks.end() && shown < kQueuedShown; ++rank) {
      const job::Job& job = *std::get<const job::Job*>(*rank);
      if (!is_shown(from, job)) continue;
      schedule.jobs.push_back(job_in_plan(from, job));
      ++shown;
    }
  }
}

void add_timetable(const LinkRule& rule, job::WallTime wall, api::LinkInPlan& link) {
  const auto second = std::chrono::floor<std::chrono::seconds>(wall);
  link.timetable = rule.timetable.at(second, rule.zone).up;
  const auto next = rule.timetable.next_change(second, rule.zone);
  if (!next) return;
  link.changes_at = *next;
  link.changes_to = rule.timetable.at(*next, rule.zone).up;
}

api::LinkInPlan link_in_plan(const ScheduleSources& from, const std::string& peer) {
  const LinkShares& shares = from.runner.shares();
  api::LinkInPlan link{.peer = peer, .ceiling = shares.ceiling_of(peer, from.wall).rate, .changes_at = {}, .confidence = {}, .gate = {}, .gate_reason = {}};
  if (const LinkRule* rule = shares.link_to(peer)) {
    link.capacity = rule->capacity;
    add_timetable(*rule, from.wall, link);
  }
  if (const auto leftover = from.outlook.leftover_of(peer)) {
    link.leftover = leftover->usual;
    link.leftover_low = leftover->low;
    link.confidence = leftover->confidence;
  }
  if (const auto view = std::ranges::find(from.links, peer, &api::LinkView::peer); view != from.links.end() && !view->gates.empty()) {
    link.gate = view->gates.front().state;
    link.gate_reason = view->gates.front().reason;
  }
  link.running = from.runner.running_with(peer);
  if (const auto queued = from.table.queued().find(peer); queued != from.table.queued().end()) link.queued = queued->second.size();
  return link;
}

}  // namespace

api::Schedule schedule_of(const ScheduleSources& from) {
  const ShareRules& rules = from.runner.shares().rules();
  api::Schedule schedule{.policy = rules.policy, .planned_at = from.outlook.planned_at(), .classes = {}, .links = {}, .jobs = {}};
  for (size_t i = 0; i < rules.modes.size(); ++i)
    schedule.classes.push_back({std::string(job::to_string(static_cast<job::Class>(i))), name_of(rules.modes[i]), rules.class_weights[i], rules.class_rates[i]});
  show_jobs(from, schedule);
  std::set<std::string> peers;
  for (const LinkRule& rule : rules.links) peers.insert(rule.peer);
  for (const api::JobInPlan& job : schedule.jobs) peers.insert(job.peer);
  for (const std::string& peer : peers) schedule.links.push_back(link_in_plan(from, peer));
  return schedule;
}

}  // namespace tideway::daemon
