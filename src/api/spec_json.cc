// SPDX-License-Identifier: Apache-2.0
#include "api/spec_json.h"

#include "api/json_fields.h"
#include "api/spec_object.h"
#include "api/time_text.h"

namespace tideway::api {
namespace {

constexpr uint64_t kSettleMax = 86'400'000;  // milliseconds

uint64_t seconds(std::chrono::milliseconds time) { return static_cast<uint64_t>(std::chrono::floor<std::chrono::seconds>(time).count()); }

void read_filters(Fields& fields, std::vector<job::Filter>& into) {
  const Json* list = fields.array("filters");
  if (list == nullptr) return;
  for (const Json& item : *list) {
    const bool is_one = item.is_object() && item.size() == 1 && item.begin()->is_string();
    const std::string kind = is_one ? item.begin().key() : "";
    if (kind != "include" && kind != "exclude") return fields.wrong("filters", "a list of {\"include\": PATTERN} and {\"exclude\": PATTERN}");
    into.push_back({kind == "include" ? job::Filter::Kind::kInclude : job::Filter::Kind::kExclude, item.begin()->get<std::string>()});
  }
}

void read_checkpoint(Fields& fields, std::optional<job::Checkpoint>& into) {
  const Json* object = fields.object("checkpoint");
  if (object == nullptr) return;
  Fields inner(*object);
  job::Checkpoint& checkpoint = into.emplace();
  uint64_t settle = static_cast<uint64_t>(checkpoint.settle.count());
  inner.read("format", checkpoint.format);
  inner.read("path", checkpoint.path);
  inner.read("world", checkpoint.world);
  inner.read("keep", checkpoint.keep);
  inner.read("pin", checkpoint.pin);
  inner.read("pointers", checkpoint.pointers);
  read_supersede(inner, checkpoint.supersede);
  inner.read("settle_ms", settle);
  checkpoint.settle = std::chrono::milliseconds(std::min(settle, kSettleMax));
  if (Status status = inner.finish_known(); !status.ok()) fields.wrong("checkpoint", "as a gateway writes it");
}

Json to_object(const job::Checkpoint& checkpoint) {
  Json json{{"format", checkpoint.format}, {"path", checkpoint.path}, {"settle_ms", checkpoint.settle.count()}};
  if (checkpoint.world > 0) json["world"] = checkpoint.world;
  if (checkpoint.keep > 0) json["keep"] = checkpoint.keep;
  if (!checkpoint.pin.empty()) json["pin"] = checkpoint.pin;
  if (!checkpoint.pointers.empty()) json["pointers"] = checkpoint.pointers;
  if (checkpoint.supersede == job::Checkpoint::Supersede::kAll) json["supersede"] = "all";
  return json;
}

void read_words(Fields& fields, job::Spec& spec) {
  std::string service;
  fields.read("class", service);
  read_patience(fields, spec.patience);
  if (!service.empty()) {
    const auto known = job::class_named(service);
    if (known) spec.service = *known;
    else fields.wrong("class", "restore, checkpoint, staging or best-effort");
  }
}

}  // namespace

void read_patience(Fields& fields, job::Patience& into) {
  std::string word;
  fields.read("patience", word);
  if (word == "command") into = job::Patience::kCommand;
  else if (!word.empty() && word != "job") fields.wrong("patience", "job or command");
}

void read_supersede(Fields& fields, job::Checkpoint::Supersede& into) {
  std::string word;
  fields.read("supersede", word);
  if (word == "all") into = job::Checkpoint::Supersede::kAll;
  else if (!word.empty() && word != "latest") fields.wrong("supersede", "latest or all");
}

job::Spec read_spec(Fields& fields) {
  job::Spec spec;
  fields.read("sources", spec.sources);
  fields.read("destination", spec.destination);
  fields.read("compress", spec.compress);
  fields.read("verify", spec.verify);
  fields.read("publish", spec.publish);
  fields.read("last", spec.last);
  read_filters(fields, spec.filters);
  fields.read("only", spec.only);
  fields.read("alternatives", spec.alternatives);
  fields.read("older", spec.older);
  fields.read("overwrite", spec.overwrite);
  fields.read("resume_verify", spec.resume_verify);
  read_checkpoint(fields, spec.checkpoint);
  fields.read_rate("rate_bits", spec.rate_max);
  read_words(fields, spec);
  fields.read("submission_id", spec.submission_id);
  fields.read_seconds("every_s", spec.every);
  fields.read("deadline", spec.deadline);
  fields.read_seconds("rpo_s", spec.rpo);
  fields.read("series", spec.series);
  fields.read("step", spec.step);
  fields.read("bytes", spec.bytes);
  fields.read("weight", spec.weight);
  fields.read("hurt_max", spec.hurt_max);
  fields.read("labels", spec.labels);
  fields.read("sites", spec.sites);
  fields.read("replicas", spec.replicas);
  fields.read("relay_ok", spec.relay_ok);
  fields.read("energy", spec.energy);
  return spec;
}

Json to_object(const job::Spec& spec) {
  const job::Spec defaults;
  Json json{{"sources", spec.sources}, {"destination", spec.destination}};
  const auto add = [&](const char* name, const auto& value, const auto& otherwise) {
    if (value != otherwise) json[name] = value;
  };
  add("compress", spec.compress, defaults.compress);
  add("verify", spec.verify, defaults.verify);
  add("publish", spec.publish, defaults.publish);
  add("last", spec.last, defaults.last);
  for (const job::Filter& filter : spec.filters)
    json["filters"].push_back({{filter.kind == job::Filter::Kind::kInclude ? "include" : "exclude", filter.pattern}});
  if (spec.only) json["only"] = *spec.only;
  add("alternatives", spec.alternatives, defaults.alternatives);
  add("older", spec.older, defaults.older);
  add("overwrite", spec.overwrite, defaults.overwrite);
  add("resume_verify", spec.resume_verify, defaults.resume_verify);
  if (spec.checkpoint) json["checkpoint"] = to_object(*spec.checkpoint);
  if (!spec.rate_max.is_unlimited()) json["rate_bits"] = static_cast<uint64_t>(spec.rate_max.bits_per_second());
  if (spec.service != defaults.service) json["class"] = std::string(to_string(spec.service));
  if (spec.patience == job::Patience::kCommand) json["patience"] = "command";
  add("submission_id", spec.submission_id, defaults.submission_id);
  if (spec.every) json["every_s"] = seconds(*spec.every);
  if (spec.deadline) json["deadline"] = to_text(*spec.deadline);
  if (spec.rpo) json["rpo_s"] = seconds(*spec.rpo);
  add("series", spec.series, defaults.series);
  if (spec.step) json["step"] = *spec.step;
  if (spec.bytes > 0_B) json["bytes"] = spec.bytes.count();
  if (spec.weight) json["weight"] = *spec.weight;
  if (spec.hurt_max) json["hurt_max"] = *spec.hurt_max;
  add("labels", spec.labels, defaults.labels);
  add("sites", spec.sites, defaults.sites);
  if (spec.replicas) json["replicas"] = *spec.replicas;
  add("relay_ok", spec.relay_ok, defaults.relay_ok);
  add("energy", spec.energy, defaults.energy);
  return json;
}

Result<job::Spec> parse_spec(std::string_view body) {
  const auto json = parse_object(body);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  job::Spec spec = read_spec(fields);
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  return spec;
}

std::string to_json(const job::Spec& spec) { return to_line(to_object(spec)); }

}  // namespace tideway::api
