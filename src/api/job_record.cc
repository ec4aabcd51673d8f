// SPDX-License-Identifier: Apache-2.0
#include "api/job_record.h"

#include "api/job_object.h"
#include "api/spec_object.h"
#include "api/time_text.h"
#include "crypto/sha256.h"

#include <charconv>

namespace tideway::api {
namespace {

void read_error(Fields& fields, job::Job& job) {
  const Json* object = fields.object("error");
  if (object == nullptr) return;
  Fields inner(*object);
  std::string code;
  Error error{Fault::kCancelled, "", ""};
  inner.read("code", code);
  inner.read("detail", error.what);
  inner.read("next", error.next);
  error.fault = fault_named(code).value_or(Fault::kCancelled);
  job.error = std::move(error);
}

void read_wait(Fields& fields, job::Job& job) {
  const Json* object = fields.object("wait");
  if (object == nullptr) return;
  Fields inner(*object);
  job::Wait& wait = job.wait.emplace();
  inner.read("reason", wait.reason);
  inner.read("detail", wait.what);
  inner.read("next", wait.next);
}

Json to_object(const std::vector<job::SparePin>& spares) {
  Json list = Json::array();
  for (const job::SparePin& one : spares) list.push_back({{"pin", one.pin}, {"request", one.request}, {"owner", one.owner}, {"gid", one.gid}, {"groups", one.groups}, {"jobs", one.jobs}});
  return list;
}

void read_groups(Fields& fields, std::vector<uint32_t>& into) {
  if (const Json* groups = fields.array("groups"))
    for (const Json& group : *groups)
      if (group.is_number_unsigned()) into.push_back(group.get<uint32_t>());
}

void read_spares(Fields& fields, std::vector<job::SparePin>& into) {
  const Json* list = fields.array("spares");
  if (list == nullptr) return;
  for (const Json& item : *list) {
    if (!item.is_object()) return fields.wrong("spares", "a list of objects");
    Fields inner(item);
    job::SparePin& spare = into.emplace_back();
    inner.read("pin", spare.pin);
    inner.read("request", spare.request);
    inner.read("owner", spare.owner);
    inner.read("gid", spare.gid);
    read_groups(inner, spare.groups);
    inner.read("jobs", spare.jobs);
  }
}

}  // namespace

void read_problems(Fields& fields, const char* name, std::vector<job::EntryProblem>& into) {
  const Json* list = fields.array(name);
  if (list == nullptr) return;
  for (const Json& item : *list) {
    if (!item.is_object()) return fields.wrong(name, "a list of objects");
    Fields inner(item);
    job::EntryProblem& problem = into.emplace_back();
    std::string status;
    inner.read("path", problem.path);
    inner.read("code", problem.code);
    inner.read("detail", problem.detail);
    inner.read("status", status);
    problem.is_skipped = status == "skipped";
  }
}

bool from_hex(std::string_view text, std::span<std::byte> into) {
  if (text.size() != 2 * into.size()) return false;
  for (size_t i = 0; i < into.size(); ++i) {
    uint8_t value = 0;
    const char* first = text.data() + 2 * i;
    if (const auto [end, failure] = std::from_chars(first, first + 2, value, 16); failure != std::errc() || end != first + 2) return false;
    into[i] = std::byte(value);
  }
  return true;
}

Json to_object(const std::vector<job::SourceShare>& sources) {
  Json list = Json::array();
  for (const job::SourceShare& one : sources) list.push_back({{"source", one.source}, {"bytes", one.bytes.count()}});
  return list;
}

void read_sources(Fields& fields, std::vector<job::SourceShare>& into) {
  const Json* list = fields.array("sources");
  if (list == nullptr) return;
  for (const Json& item : *list) {
    if (!item.is_object()) return fields.wrong("sources", "a list of objects");
    Fields inner(item);
    job::SourceShare& share = into.emplace_back();
    inner.read("source", share.source);
    inner.read("bytes", share.bytes);
  }
}

Json to_object(const job::Outcome& outcome) {
  Json json{{"root", crypto::to_sha256_text(outcome.root)}, {"entries", outcome.entries}, {"failed", outcome.failed}, {"skipped", outcome.skipped},
          {"kept", outcome.kept}, {"leaves_rejected", outcome.leaves_rejected}, {"bytes", outcome.bytes.count()}, {"bytes_sent", outcome.bytes_sent.count()}, {"bytes_held", outcome.bytes_held.count()},
          {"milliseconds", outcome.milliseconds}, {"ratio", outcome.ratio}, {"loss", outcome.loss}};
  if (!outcome.sources.empty()) json["sources"] = to_object(outcome.sources);
  return json;
}

void read_outcome(Fields& fields, std::optional<job::Outcome>& into) {
  const Json* object = fields.object("outcome");
  if (object == nullptr) return;
  Fields inner(*object);
  job::Outcome& outcome = into.emplace();
  std::string root;
  inner.read("root", root);
  if (const auto hash = crypto::parse_sha256_text(root)) outcome.root = *hash;
  else fields.wrong("root", "sha256: and 64 hex digits");
  inner.read("entries", outcome.entries);
  inner.read("failed", outcome.failed);
  inner.read("skipped", outcome.skipped);
  inner.read("kept", outcome.kept);
  inner.read("leaves_rejected", outcome.leaves_rejected);
  inner.read("bytes", outcome.bytes);
  inner.read("bytes_sent", outcome.bytes_sent);
  inner.read("bytes_held", outcome.bytes_held);
  inner.read("milliseconds", outcome.milliseconds);
  inner.read("ratio", outcome.ratio);
  inner.read("loss", outcome.loss);
  read_sources(inner, outcome.sources);
}

Json to_object(const Error& error) { return {{"code", std::string(error.name())}, {"detail", error.what}, {"next", error.next}}; }
Json to_object(const job::Wait& wait) { return {{"reason", wait.reason}, {"detail", wait.what}, {"next", wait.next}}; }

Json to_object(const std::vector<job::EntryProblem>& problems) {
  Json list = Json::array();
  for (const job::EntryProblem& problem : problems)
    list.push_back({{"path", problem.path}, {"status", problem.is_skipped ? "skipped" : "failed"}, {"code", problem.code}, {"detail", problem.detail}});
  return list;
}

Json to_object(const job::Job& job) {
  Json json{{"v", 1}, {"id", job.id}, {"number", job.number}, {"spec", to_object(job.spec)}, {"owner", job.owner}, {"peer", job.peer},
            {"transfer", crypto::to_hex(job.transfer)}, {"state", std::string(to_string(job.state))}, {"attempts", job.attempts}};
  const auto add_time = [&](const char* name, job::WallTime time) {
    if (time != job::WallTime{}) json[name] = to_text(time);
  };
  add_time("created", job.created);
  add_time("started", job.started);
  add_time("ended", job.ended);
  add_time("due", job.due);
  add_time("removed", job.removed);
  if (!job.run_of.empty()) json["run_of"] = job.run_of;
  if (job.runs > 0) json["runs"] = job.runs;
  if (job.hold != job::Hold::kNone) json["hold"] = std::string(to_string(job.hold));
  if (!job.pin.empty()) json["pin"] = job.pin;
  if (job.sources_tried > 0) json["sources_tried"] = job.sources_tried;
  if (job.is_at_risk) json["deadline_at_risk"] = true;
  if (!job.superseded_by.empty()) json["superseded_by"] = job.superseded_by;
  if (job.bytes_durable > 0_B) json["bytes_durable"] = job.bytes_durable.count();
  if (job.wait) json["wait"] = to_object(*job.wait);
  if (job.error) json["error"] = to_object(*job.error);
  if (job.outcome) json["outcome"] = to_object(*job.outcome);
  return json;
}

std::string to_record(const job::Job& job) {
  Json json = to_object(job);
  json["request"] = job.request;
  json["lease_epoch"] = job.lease_epoch;
  if (!job.groups.empty()) json["groups"] = job.groups;
  if (!job.problems.empty()) json["problems"] = to_object(job.problems);
  if (!job.spares.empty()) json["spares"] = to_object(job.spares);
  return to_line(json);
}

Result<job::Job> parse_record(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  return read_job(json.value());
}

Result<job::Job> read_job(const Json& json) {
  Fields fields(json);
  job::Job job;
  std::string state, transfer;
  fields.read("id", job.id);
  fields.read("number", job.number);
  if (const Json* spec = fields.object("spec")) {
    Fields inner(*spec);
    job.spec = read_spec(inner);
    if (Status status = inner.finish_known(); !status.ok()) return std::move(status).error();
  }
  fields.read("request", job.request);
  fields.read("owner", job.owner);
  fields.read("peer", job.peer);
  fields.read("transfer", transfer);
  fields.read("state", state);
  fields.read("attempts", job.attempts);
  fields.read("bytes_durable", job.bytes_durable);
  fields.read("created", job.created);
  fields.read("started", job.started);
  fields.read("ended", job.ended);
  fields.read("lease_epoch", job.lease_epoch);
  read_groups(fields, job.groups);
  fields.read("run_of", job.run_of);
  fields.read("runs", job.runs);
  fields.read("due", job.due);
  fields.read("removed", job.removed);
  std::string hold = "none";
  fields.read("hold", hold);
  fields.read("pin", job.pin);
  fields.read("sources_tried", job.sources_tried);
  fields.read("superseded_by", job.superseded_by);
  fields.read("deadline_at_risk", job.is_at_risk);
  if (const auto known = job::hold_named(hold)) job.hold = *known;
  else fields.wrong("hold", "a hold of a job");
  read_wait(fields, job);
  read_error(fields, job);
  read_outcome(fields, job.outcome);
  read_problems(fields, "problems", job.problems);
  read_spares(fields, job.spares);
  if (const auto known = job::state_named(state)) job.state = *known;
  else fields.wrong("state", "a state of a job");
  if (!from_hex(transfer, job.transfer)) fields.wrong("transfer", "32 hex digits");
  if (Status status = fields.finish_known(); !status.ok()) return std::move(status).error();
  return job;
}

}  // namespace tideway::api
