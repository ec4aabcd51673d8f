// SPDX-License-Identifier: Apache-2.0
//
// tideway schedule show: what the gateway's scheduler does at the moment, and why.
#include "api/plan_json.h"
#include "api/time_text.h"
#include "base/amounts.h"
#include "gateway_client.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

std::string rate_text(Rate rate) { return rate == Rate() ? "pause" : rate.is_unlimited() ? "-" : to_string(rate); }

void print_link(const api::LinkInPlan& link) {
  std::printf("link %s  capacity %s  ceiling %s  timetable %s", link.peer.c_str(), rate_text(link.capacity).c_str(), rate_text(link.ceiling).c_str(), rate_text(link.timetable).c_str());
  if (link.changes_at) std::printf(" (%s from %s on)", link.changes_to.is_unlimited() ? "off" : rate_text(link.changes_to).c_str(), api::to_text(*link.changes_at).c_str());
  std::printf("\n     running %llu, queued %llu", static_cast<unsigned long long>(link.running), static_cast<unsigned long long>(link.queued));
  if (!link.confidence.empty()) std::printf("  left %s, for deadlines %s (confidence %s)", rate_text(link.leftover).c_str(), rate_text(link.leftover_low).c_str(), link.confidence.c_str());
  if (!link.gate.empty()) std::printf("  gate %s%s%s", link.gate.c_str(), link.gate_reason.empty() ? "" : ": ", link.gate_reason.c_str());
  std::printf("\n");
}

void print_job(const api::JobInPlan& job) {
  std::printf("%s  %-8s  %-11s  %-16s  weight %u  %s%s", job.id.c_str(), job.state.c_str(), job.service.c_str(), job.peer.c_str(), job.weight, job.mode.c_str(), job.mode.empty() ? "" : "  ");
  std::printf("%s", job.rate.is_unlimited() ? "no ceiling" : ("up to " + to_string(job.rate)).c_str());
  if (job.sent) std::printf(", sends %s", to_string(*job.sent).c_str());
  if (!job.reason.empty()) std::printf("  held by %s", job.reason.c_str());
  if (job.forecast && job.forecast->eta) std::printf("  eta %s", api::to_text(*job.forecast->eta).c_str());
  if (job.deadline) std::printf("  deadline %s%s", api::to_text(*job.deadline).c_str(), job.is_at_risk ? " at risk" : "");
  std::printf("\n");
}

// As the gateway says it: one object.
int print_json(const std::string& body) {
  std::printf("%s\n", body.c_str());
  return 0;
}

int show(const Globals& globals) {
  const auto body = GatewayClient(globals).ask("GET", "/v1/schedule");
  if (!body.ok()) return report(body.error(), globals.output);
  if (globals.output.json) return print_json(body.value());
  const auto schedule = api::parse_schedule(body.value());
  if (!schedule.ok()) return report(schedule.error(), globals.output);
  std::printf("policy %s%s\n", schedule.value().policy.c_str(), schedule.value().planned_at ? (", planned at " + api::to_text(*schedule.value().planned_at)).c_str() : "");
  for (const api::ClassInPlan& one : schedule.value().classes)
    std::printf("class %-11s  %-8s  weight %u  ceiling %s\n", one.name.c_str(), one.mode.c_str(), one.weight, rate_text(one.rate).c_str());
  for (const api::LinkInPlan& link : schedule.value().links) print_link(link);
  for (const api::JobInPlan& job : schedule.value().jobs) print_job(job);
  return 0;
}

}  // namespace

void add_schedule(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* verb = app.add_subcommand("schedule", "What this machine's gateway sends now and next, how fast, and why");
  verb->require_subcommand(1);
  CLI::App* shown = verb->add_subcommand("show", "Classes, links and what trainings leave of them, jobs with rate, reason and time of arrival");
  add_globals(*shown, globals);
  shown->callback([&globals, &action] { action = [&globals] { return show(globals); }; });
}

}  // namespace tideway::cli
