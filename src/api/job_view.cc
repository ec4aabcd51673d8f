// SPDX-License-Identifier: Apache-2.0
#include "api/job_view.h"

#include "api/job_object.h"
#include "api/time_text.h"

namespace tideway::api {
namespace {

Json to_object(const Progress& progress) {
  Json json{{"stage", progress.stage}, {"backend", progress.backend}, {"entries", progress.entries}, {"failed", progress.failed}, {"skipped", progress.skipped},
          {"kept", progress.kept}, {"bytes_total", progress.bytes_needed.count()}, {"bytes_done", progress.bytes_verified.count()},
          {"bytes_durable", progress.bytes_durable.count()}, {"bytes_held", progress.bytes_held.count()}, {"bytes_raw", progress.bytes_raw.count()}, {"bytes_wire", progress.bytes_packed.count()},
          {"packets_sent", progress.packets_sent}, {"packets_lost", progress.packets_lost}, {"flows", progress.flows}, {"path_mtu", progress.path_mtu},
          {"rtt_ns", progress.rtt_ns}, {"host_lost_received", progress.host_lost_received}, {"host_lost_sent", progress.host_lost_sent}};
  if (!progress.sources.empty()) json["sources"] = api::to_object(progress.sources);
  return json;
}

void read_progress(Fields& fields, std::optional<Progress>& into) {
  const Json* object = fields.object("progress");
  if (object == nullptr) return;
  Fields inner(*object);
  Progress& progress = into.emplace();
  inner.read("stage", progress.stage);
  inner.read("backend", progress.backend);
  inner.read("entries", progress.entries);
  inner.read("failed", progress.failed);
  inner.read("skipped", progress.skipped);
  inner.read("kept", progress.kept);
  inner.read("bytes_total", progress.bytes_needed);
  inner.read("bytes_done", progress.bytes_verified);
  inner.read("bytes_durable", progress.bytes_durable);
  inner.read("bytes_held", progress.bytes_held);
  inner.read("bytes_raw", progress.bytes_raw);
  inner.read("bytes_wire", progress.bytes_packed);
  inner.read("packets_sent", progress.packets_sent);
  inner.read("packets_lost", progress.packets_lost);
  inner.read("flows", progress.flows);
  inner.read("path_mtu", progress.path_mtu);
  inner.read("rtt_ns", progress.rtt_ns);
  inner.read("host_lost_received", progress.host_lost_received);
  inner.read("host_lost_sent", progress.host_lost_sent);
  read_sources(inner, progress.sources);
}

void add_forecast(const Forecast& forecast, Json& json) {
  if (forecast.eta) json["eta"] = to_text(*forecast.eta);
  if (forecast.latest) json["eta_latest"] = to_text(*forecast.latest);
  if (forecast.eta) json["eta_confidence"] = forecast.confidence;
}

Json to_object(const JobView& view) {
  Json json = api::to_object(view.job);
  if (view.progress) json["progress"] = to_object(*view.progress);
  if (!view.held_by.empty()) json["held_by"] = view.held_by;
  if (view.forecast) add_forecast(*view.forecast, json);
  return json;
}

Result<JobView> read_view(const Json& json) {
  auto job = read_job(json);
  if (!job.ok()) return std::move(job).error();
  JobView view{std::move(job).value(), {}};
  Fields fields(json);
  read_progress(fields, view.progress);
  fields.read("held_by", view.held_by);
  read_forecast(fields, view.forecast);
  return view;
}

}  // namespace

void read_forecast(Fields& fields, std::optional<Forecast>& into) {
  Forecast forecast;
  fields.read("eta", forecast.eta);
  fields.read("eta_latest", forecast.latest);
  fields.read("eta_confidence", forecast.confidence);
  if (forecast != Forecast()) into = std::move(forecast);
}

std::string to_json(const JobView& view) { return to_line(to_object(view)); }

Result<JobView> parse_view(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  return read_view(json.value());
}

std::string to_json(const JobPage& page) {
  Json json{{"jobs", Json::array()}};
  for (const JobView& view : page.jobs) json["jobs"].push_back(to_object(view));
  json["next"] = page.next.empty() ? Json() : Json(page.next);
  return to_line(json);
}

Result<JobPage> parse_page(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  JobPage page;
  fields.read("next", page.next);
  const Json* list = fields.array("jobs");
  if (Status status = fields.finish_known(); !status.ok()) return std::move(status).error();
  if (list == nullptr) return page;
  for (const Json& item : *list) {
    auto view = item.is_object() ? read_view(item) : Error{Fault::kUsage, "a job is no object", ""};
    if (!view.ok()) return std::move(view).error();
    page.jobs.push_back(std::move(view).value());
  }
  return page;
}

std::string entries_to_json(const std::vector<job::EntryProblem>& problems, uint64_t failed, uint64_t skipped) {
  return to_line(Json{{"entries", to_object(problems)}, {"failed", failed}, {"skipped", skipped}});
}

Result<std::vector<job::EntryProblem>> parse_entries(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  std::vector<job::EntryProblem> problems;
  read_problems(fields, "entries", problems);
  if (Status status = fields.finish_known(); !status.ok()) return std::move(status).error();
  return problems;
}

}  // namespace tideway::api
