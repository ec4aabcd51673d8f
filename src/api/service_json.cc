// SPDX-License-Identifier: Apache-2.0
#include "api/service_json.h"

#include "api/job_object.h"
#include "api/time_text.h"

namespace tideway::api {
namespace {

// A row for each object in the list called `name`; `read` fills it from the object's fields.
template <typename Row, typename Read>
Result<std::vector<Row>> parse_list(std::string_view text, const char* name, Read read) {
  std::vector<Row> rows;
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  const Json* list = fields.array(name);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const Json& item = (*list)[i];
    if (!item.is_object()) return Error{Fault::kUsage, std::string(name) + " holds something else than objects", ""};
    Fields inner(item);
    read(inner, rows.emplace_back());
    if (Status status = inner.finish_known(); !status.ok()) return std::move(status).error();
  }
  if (Status status = fields.finish_known(); !status.ok()) return std::move(status).error();
  return rows;
}

}  // namespace

std::string to_json(const std::vector<PeerState>& peers) {
  Json list = Json::array();
  for (const PeerState& peer : peers) {
    Json json{{"name", peer.name}, {"control", peer.control}, {"identity", peer.identity}, {"sessions", peer.sessions}, {"up", peer.is_up},
              {"bytes_sent", peer.bytes_sent}, {"bytes_received", peer.bytes_received}};
    if (!peer.carrier.empty()) json["carrier"] = peer.carrier;
    json["rtt_s"] = peer.rtt_s ? Json(*peer.rtt_s) : Json();
    json["path_mtu"] = peer.path_mtu ? Json(*peer.path_mtu) : Json();
    json["certificate_ends"] = peer.certificate_ends ? Json(to_text(*peer.certificate_ends)) : Json();
    list.push_back(std::move(json));
  }
  return to_line(Json{{"peers", list}});
}

Result<std::vector<PeerState>> parse_peers(std::string_view text) {
  return parse_list<PeerState>(text, "peers", [](Fields& fields, PeerState& peer) {
    fields.read("name", peer.name);
    fields.read("control", peer.control);
    fields.read("identity", peer.identity);
    fields.read("sessions", peer.sessions);
    fields.read("up", peer.is_up);
    fields.read("bytes_sent", peer.bytes_sent);
    fields.read("bytes_received", peer.bytes_received);
    fields.read("carrier", peer.carrier);
    fields.read("rtt_s", peer.rtt_s);
    fields.read("path_mtu", peer.path_mtu);
    fields.read("certificate_ends", peer.certificate_ends);
  });
}

std::string to_json(const std::vector<RootState>& roots) {
  Json list = Json::array();
  for (const RootState& root : roots) list.push_back({{"name", root.name}, {"path", root.path}, {"bytes_free", root.bytes_free}});
  return to_line(Json{{"roots", list}});
}

Result<std::vector<RootState>> parse_roots(std::string_view text) {
  return parse_list<RootState>(text, "roots", [](Fields& fields, RootState& root) {
    fields.read("name", root.name);
    fields.read("path", root.path);
    fields.read("bytes_free", root.bytes_free);
  });
}

std::string to_json(const RateState& state) {
  Json json{{"rate_bits", Json()}};
  if (!state.rate.is_unlimited()) json["rate_bits"] = static_cast<uint64_t>(state.rate.bits_per_second());
  if (state.seconds) json["for_s"] = *state.seconds;
  return to_line(json);
}

Result<RateState> parse_rate_state(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  if (!json.value().contains("rate_bits")) return Error{Fault::kUsage, "rate_bits is missing", "write a number of bits per second, or null for no limit"};
  Fields fields(json.value());
  RateState state;
  fields.read_rate("rate_bits", state.rate);
  fields.read("for_s", state.seconds);
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  if (state.rate == Rate()) return Error{Fault::kUsage, "rate_bits is zero", "pause the jobs instead"};
  return state;
}

Result<JobChange> parse_change(std::string_view text) {
  const auto json = parse_object(text);
  if (!json.ok()) return json.error();
  for (const char* name : {"rpo_s", "hurt_max"})
    if (json.value().contains(name)) return Error{Fault::kUnsupported, std::string(name) + " of a job cannot be changed any more", "submit another one"};
  Fields fields(json.value());
  JobChange change;
  if (json.value().contains("rate_bits")) fields.read_rate("rate_bits", change.rate.emplace(Rate::unlimited()));
  if (json.value().contains("class")) fields.read("class", change.service.emplace());
  fields.read("weight", change.weight);
  if (json.value().contains("deadline")) fields.read("deadline", change.deadline.emplace());
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  if (change.rate && *change.rate == Rate()) return Error{Fault::kUsage, "rate_bits is zero", "pause the job instead"};
  return change;
}

std::string to_json(const JobChange& change) {
  Json json = Json::object();
  if (change.rate) json["rate_bits"] = change.rate->is_unlimited() ? Json() : Json(static_cast<uint64_t>(change.rate->bits_per_second()));
  if (change.service) json["class"] = *change.service;
  if (change.weight) json["weight"] = *change.weight;
  if (change.deadline) json["deadline"] = *change.deadline ? Json(to_text(**change.deadline)) : Json();
  return to_line(json);
}

std::string to_json(const Health& health) {
  return to_line(Json{{"status", health.is_well ? "ok" : "degraded"}, {"store", health.store}, {"running", health.running}, {"queued", health.queued}, {"waiting", health.waiting}});
}

std::string to_json(const ConfigState& state) {
  Json json{{"file", state.file}, {"sections", state.sections}, {"reload_failed", Json()}};
  if (state.reload_failed) json["reload_failed"] = to_object(*state.reload_failed);
  return to_line(json);
}

std::string to_json(const Version& version) {
  return to_line(Json{{"program", std::string(version.program)}, {"protocol", version.protocol}, {"api", 1}, {"site", version.site}, {"gateway", version.gateway}});
}

}  // namespace tideway::api
