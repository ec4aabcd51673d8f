// SPDX-License-Identifier: Apache-2.0
#include "api/checkpoint_json.h"

#include "api/spec_object.h"
#include "api/time_text.h"
#include "base/amounts.h"

namespace tideway::api {
namespace {

Error usage(std::string what, std::string next) { return {Fault::kUsage, std::move(what), std::move(next)}; }

// What the shape of the request has room for and nothing obeys yet.
Status refuse_later(const Json& json) {
  const auto later = [](std::string_view name) {
    return Error{Fault::kUnsupported, std::string(name) + " of a checkpoint is not there in this version", "leave it out"};
  };
  if (const auto member = json.find("member"); member != json.end() && !member->is_null() && *member != Json{0, 1}) return later("member");
  return success();
}

void read_rpo(Fields& fields, std::optional<std::chrono::milliseconds>& into) {
  std::string text;
  fields.read("rpo", text);
  if (text.empty()) return;
  const auto rpo = parse_duration(text);
  if (!rpo.ok()) return fields.wrong("rpo", "a time such as 30m");
  into = std::chrono::duration_cast<std::chrono::milliseconds>(rpo.value());
}

Status check(const CheckpointRequest& request) {
  if (request.path.empty() || request.to.empty()) return usage("a checkpoint needs a path and a place to go", "write path as root:path, and to as a list of peer:root/path");
  if (request.to.size() > kTargetsMax) return usage("a checkpoint goes to at most " + std::to_string(kTargetsMax) + " places", "leave some out");
  if (request.pointers.size() > kPointersMax) return usage("a checkpoint has at most " + std::to_string(kPointersMax) + " pointers", "leave some out");
  if (request.source == CheckpointRequest::Source::kGrowing && !request.pin.empty()) return usage("what is still being written has no pin", "name it when it is complete");
  if (request.series.size() > kSeriesMax) return usage("series is longer than " + std::to_string(kSeriesMax) + " bytes", "shorten it");
  return success();
}

}  // namespace

Result<CheckpointRequest> parse_checkpoint(std::string_view body) {
  const auto json = parse_object(body);
  if (!json.ok()) return json.error();
  if (Status status = refuse_later(json.value()); !status.ok()) return std::move(status).error();
  Fields fields(json.value());
  CheckpointRequest request;
  fields.read("submission_id", request.submission_id);
  fields.read("series", request.series);
  fields.read("step", request.step);
  fields.read("path", request.path);
  fields.read("pin", request.pin);
  fields.read("format", request.format);
  fields.read("to", request.to);
  read_rpo(fields, request.rpo);
  fields.read("publish", request.publish);
  fields.read("pointers", request.pointers);
  read_supersede(fields, request.supersede);
  fields.read("world", request.world);
  fields.read("labels", request.labels);
  fields.read("deadline", request.deadline);
  std::optional<uint32_t> keep;
  fields.read("keep", keep);
  if (keep == 0U) fields.wrong("keep", "a number of at least 1; without it all are kept");
  request.keep = keep.value_or(0);
  bool is_growing = false;
  fields.read("growing", is_growing);
  if (is_growing) request.source = CheckpointRequest::Source::kGrowing;
  fields.pass_over("member");
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  if (Status status = check(request); !status.ok()) return std::move(status).error();
  return request;
}

std::string to_json(const CheckpointRequest& request) {
  Json json{{"path", request.path}, {"to", request.to}, {"format", request.format}, {"publish", request.publish}};
  const auto add = [&](const char* name, const auto& value) {
    if (!value.empty()) json[name] = value;
  };
  add("submission_id", request.submission_id);
  add("series", request.series);
  add("pin", request.pin);
  add("pointers", request.pointers);
  add("labels", request.labels);
  if (request.step) json["step"] = *request.step;
  if (request.rpo) json["rpo"] = std::to_string(request.rpo->count()) + "ms";
  if (request.supersede == job::Checkpoint::Supersede::kAll) json["supersede"] = "all";
  if (request.world > 0) json["world"] = request.world;
  if (request.keep > 0) json["keep"] = request.keep;
  if (request.deadline) json["deadline"] = to_text(*request.deadline);
  if (request.source == CheckpointRequest::Source::kGrowing) json["growing"] = true;
  return to_line(json);
}

Result<DeclaredRange> parse_range(std::string_view body) {
  const auto json = parse_object(body);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  DeclaredRange range;
  fields.read("path", range.path);
  fields.read("offset", range.offset);
  fields.read("length", range.length);
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  if (range.length == 0 || range.offset > UINT64_MAX - range.length) return usage("a range has a length", "write the bytes of the file that are final");
  return range;
}

Result<std::string> parse_complete(std::string_view body) {
  std::string pin;
  if (body.empty()) return pin;
  const auto json = parse_object(body);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  fields.read("pin", pin);
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  return pin;
}

Result<RestoreRequest> parse_restore(std::string_view body) {
  const auto json = parse_object(body);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  RestoreRequest request;
  bool fallback = false;
  fields.read("submission_id", request.submission_id);
  fields.read("series", request.series);
  fields.read("from", request.from);
  fields.read("dst", request.destination);
  fields.read("include", request.include);
  fields.read("fallback", fallback);
  fields.read("verify", request.verify);
  read_patience(fields, request.patience);
  const auto step = json.value().find("step");
  if (step != json.value().end() && step->is_string() && *step == "latest") fields.pass_over("step");
  else fields.read("step", request.step);
  if (fallback) request.fallback = RestoreRequest::Fallback::kToOlder;
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  if (request.destination.empty()) return usage("a restore needs dst", "write root:path of this gateway");
  if (request.series.empty() == request.from.empty())
    return usage("a restore needs either series or from", "name a series that this gateway has sent, or from as peer:root/run or any:root/run");
  return request;
}

std::string to_json(const RestoreRequest& request) {
  Json json{{"dst", request.destination}, {"step", "latest"}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("submission_id", request.submission_id);
  add("series", request.series);
  add("from", request.from);
  add("verify", request.verify);
  if (request.step) json["step"] = *request.step;
  if (!request.include.empty()) json["include"] = request.include;
  if (request.fallback == RestoreRequest::Fallback::kToOlder) json["fallback"] = true;
  if (request.patience == job::Patience::kCommand) json["patience"] = "command";
  return to_line(json);
}

Result<RequestKind> kind_of(std::string_view body) {
  const auto json = parse_object(body);
  if (!json.ok()) return json.error();
  if (json.value().contains("to")) return RequestKind::kCheckpoint;
  if (json.value().contains("sources")) return RequestKind::kJob;
  return json.value().contains("dst") ? RequestKind::kRestore : RequestKind::kCheckpoint;
}

std::string accepted_to_json(const std::vector<job::JobId>& jobs, job::State state) {
  return to_line(Json{{"id", jobs.front()}, {"jobs", jobs}, {"state", std::string(to_string(state))}, {"feasible", Json()}, {"eta", Json()}});
}

Result<job::JobId> parse_accepted(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  job::JobId id;
  fields.read("id", id);
  if (Status status = fields.finish_known(); !status.ok()) return std::move(status).error();
  if (id.empty()) return usage("the gateway named no job", "look at its log");
  return id;
}

std::string to_json(const std::vector<CheckpointRow>& rows) {
  Json list = Json::array();
  for (const CheckpointRow& row : rows)
    list.push_back({{"series", row.series}, {"step", row.step ? Json(*row.step) : Json()}, {"sites", row.sites}, {"root_hash", row.root_hash.empty() ? Json() : Json(row.root_hash)},
                    {"bytes", row.bytes.count()}, {"published_at", row.published_at ? Json(to_text(*row.published_at)) : Json()}, {"state", row.state}, {"jobs", row.jobs}});
  return to_line(list);
}

}  // namespace tideway::api
