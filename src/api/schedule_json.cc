// SPDX-License-Identifier: Apache-2.0
#include "api/schedule_json.h"

#include "api/json_fields.h"
#include "api/time_text.h"

namespace tideway::api {
namespace {

Json time_or_null(const std::optional<job::WallTime>& time) { return time ? Json(to_text(*time)) : Json(); }

}  // namespace

std::string to_json(const Feasibility& feasibility) {
  Json json{{"feasible", feasibility.is_feasible}, {"eta", time_or_null(feasibility.eta)}, {"confidence", feasibility.confidence}};
  if (feasibility.is_feasible) {
    json["slack_s"] = feasibility.slack ? Json(feasibility.slack->count()) : Json();
    json["mode"] = feasibility.mode;
    json["cost"] = feasibility.cost;
    return to_line(json);
  }
  json["earliest"] = time_or_null(feasibility.earliest);
  json["bytes_by_deadline"] = feasibility.by_deadline ? Json(feasibility.by_deadline->count()) : Json();
  json["needs_mode"] = feasibility.needs_mode.empty() ? Json() : Json(feasibility.needs_mode);
  json["needs_share"] = feasibility.needs_share;
  json["binding"] = Json{{"link", feasibility.link}, {"reason", feasibility.reason}};
  json["why"] = feasibility.why;
  return to_line(json);
}

Result<Feasibility> parse_feasibility(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  Feasibility feasibility;
  std::optional<uint64_t> slack, bytes;
  fields.read("feasible", feasibility.is_feasible);
  fields.read("eta", feasibility.eta);
  fields.read("confidence", feasibility.confidence);
  fields.read("slack_s", slack);
  fields.read("mode", feasibility.mode);
  fields.read("cost", feasibility.cost);
  fields.read("earliest", feasibility.earliest);
  fields.read("bytes_by_deadline", bytes);
  fields.read("needs_mode", feasibility.needs_mode);
  fields.read("needs_share", feasibility.needs_share);
  fields.read("why", feasibility.why);
  if (slack) feasibility.slack = std::chrono::seconds(*slack);
  if (bytes) feasibility.by_deadline = Bytes(*bytes);
  if (const Json* binding = fields.object("binding")) {
    Fields inner(*binding);
    inner.read("link", feasibility.link);
    inner.read("reason", feasibility.reason);
  }
  if (Status status = fields.finish_known(); !status.ok()) return std::move(status).error();
  return feasibility;
}

}  // namespace tideway::api
