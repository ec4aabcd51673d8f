// SPDX-License-Identifier: Apache-2.0
#include "api/plan_json.h"

#include "api/job_object.h"
#include "api/json_fields.h"
#include "api/time_text.h"

namespace tideway::api {
namespace {

Json rate_json(Rate rate) { return rate.is_unlimited() ? Json() : Json(static_cast<uint64_t>(rate.bits_per_second())); }
Json time_json(const std::optional<job::WallTime>& time) { return time ? Json(to_text(*time)) : Json(); }
Json text_json(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json class_json(const ClassInPlan& one) { return {{"class", one.name}, {"mode", one.mode}, {"weight", one.weight}, {"rate_bits", rate_json(one.rate)}}; }

Json link_json(const LinkInPlan& link) {
  return {{"peer", link.peer}, {"capacity_bits", rate_json(link.capacity)}, {"ceiling_bits", rate_json(link.ceiling)}, {"timetable_bits", rate_json(link.timetable)},
          {"timetable_changes_at", time_json(link.changes_at)}, {"timetable_changes_to_bits", rate_json(link.changes_to)}, {"leftover_bits", rate_json(link.leftover)},
          {"leftover_low_bits", rate_json(link.leftover_low)}, {"confidence", text_json(link.confidence)}, {"gate", text_json(link.gate)},
          {"reason", text_json(link.gate_reason)}, {"running", link.running}, {"queued", link.queued}};
}

Json job_json(const JobInPlan& job) {
  const Forecast forecast = job.forecast.value_or(Forecast());
  return {{"id", job.id}, {"peer", job.peer}, {"class", job.service}, {"state", job.state}, {"mode", text_json(job.mode)}, {"weight", job.weight},
          {"rate_bits", rate_json(job.rate)}, {"sent_bits", job.sent ? rate_json(*job.sent) : Json()}, {"reason", text_json(job.reason)}, {"deadline", time_json(job.deadline)},
          {"eta", time_json(forecast.eta)}, {"eta_latest", time_json(forecast.latest)}, {"eta_confidence", text_json(forecast.confidence)}, {"deadline_at_risk", job.is_at_risk}};
}

void read_class(Fields& fields, ClassInPlan& one) {
  fields.read("class", one.name);
  fields.read("mode", one.mode);
  fields.read("weight", one.weight);
  fields.read_rate("rate_bits", one.rate);
}

void read_link(Fields& fields, LinkInPlan& link) {
  fields.read("peer", link.peer);
  fields.read_rate("capacity_bits", link.capacity);
  fields.read_rate("ceiling_bits", link.ceiling);
  fields.read_rate("timetable_bits", link.timetable);
  fields.read("timetable_changes_at", link.changes_at);
  fields.read_rate("timetable_changes_to_bits", link.changes_to);
  fields.read_rate("leftover_bits", link.leftover);
  fields.read_rate("leftover_low_bits", link.leftover_low);
  fields.read("confidence", link.confidence);
  fields.read("gate", link.gate);
  fields.read("reason", link.gate_reason);
  fields.read("running", link.running);
  fields.read("queued", link.queued);
}

void read_job(Fields& fields, JobInPlan& job) {
  Rate sent = Rate::unlimited();
  fields.read("id", job.id);
  fields.read("peer", job.peer);
  fields.read("class", job.service);
  fields.read("state", job.state);
  fields.read("mode", job.mode);
  fields.read("weight", job.weight);
  fields.read_rate("rate_bits", job.rate);
  fields.read_rate("sent_bits", sent);
  fields.read("reason", job.reason);
  fields.read("deadline", job.deadline);
  read_forecast(fields, job.forecast);
  fields.read("deadline_at_risk", job.is_at_risk);
  if (!sent.is_unlimited()) job.sent = sent;
}

template <typename Row>
Json list_json(const std::vector<Row>& rows, Json (*write)(const Row&)) {
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(write(row));
  return list;
}

template <typename Row>
Status read_list(Fields& fields, const char* name, std::vector<Row>& into, void (*read)(Fields&, Row&)) {
  const Json* list = fields.array(name);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    if (!(*list)[i].is_object()) return Error{Fault::kUsage, std::string(name) + " holds something else than objects", ""};
    Fields inner((*list)[i]);
    read(inner, into.emplace_back());
    if (Status status = inner.finish_known(); !status.ok()) return status;
  }
  return success();
}

}  // namespace

std::string to_json(const Schedule& schedule) {
  return to_line(Json{{"policy", schedule.policy}, {"planned_at", time_json(schedule.planned_at)}, {"classes", list_json(schedule.classes, class_json)},
                      {"links", list_json(schedule.links, link_json)}, {"jobs", list_json(schedule.jobs, job_json)}});
}

Result<Schedule> parse_schedule(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  Schedule schedule;
  fields.read("policy", schedule.policy);
  fields.read("planned_at", schedule.planned_at);
  if (Status status = read_list(fields, "classes", schedule.classes, read_class); !status.ok()) return std::move(status).error();
  if (Status status = read_list(fields, "links", schedule.links, read_link); !status.ok()) return std::move(status).error();
  if (Status status = read_list(fields, "jobs", schedule.jobs, read_job); !status.ok()) return std::move(status).error();
  if (Status status = fields.finish_known(); !status.ok()) return std::move(status).error();
  return schedule;
}

}  // namespace tideway::api
