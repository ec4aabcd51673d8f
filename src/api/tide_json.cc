// SPDX-License-Identifier: Apache-2.0
#include "api/tide_json.h"

#include "api/json_fields.h"
#include "api/time_text.h"

namespace tideway::api {
namespace {

Json bits(const std::optional<Rate>& rate) { return rate && !rate->is_unlimited() ? Json(static_cast<uint64_t>(rate->bits_per_second())) : Json(); }
Json in_seconds(const std::optional<Duration>& time) { return time ? Json(std::chrono::duration<double>(*time).count()) : Json(); }
Json ratio(const std::optional<double>& value) { return value ? Json(*value) : Json(); }
Json text(const std::string& value) { return value.empty() ? Json() : Json(value); }

Json gates_of(const LinkView& link) {
  Json gates = Json::array();
  for (const LinkGate& gate : link.gates)
    gates.push_back({{"direction", gate.direction}, {"state", gate.state}, {"reason", text(gate.reason)}, {"rate_bits", bits(gate.rate)}});
  return gates;
}

Json trainings_of(const LinkView& link) {
  Json trainings = Json::array();
  for (const TrainingOnLink& training : link.trainings)
    trainings.push_back({{"training", training.name}, {"predictor", training.predictor}, {"period_s", in_seconds(training.period)},
                         {"jitter_s", in_seconds(training.jitter)}, {"burst", training.is_bursting}, {"source", text(training.source)},
                         {"source_age_s", in_seconds(training.source_age)}, {"inflation", ratio(training.inflation)}, {"budget", training.budget}});
  return trainings;
}

// The gate of that direction; null: there is none here.
Json state_of(const LinkView& link, std::string_view direction) {
  for (const LinkGate& gate : link.gates)
    if (gate.direction == direction) return text(gate.state);
  return Json();
}

}  // namespace

std::string links_json(std::span<const LinkView> links) {
  Json list = Json::array();
  for (const LinkView& link : links)
    list.push_back({{"peer", link.peer}, {"kind", link.kind}, {"capacity_bits", bits(link.capacity)}, {"gates", gates_of(link)},
                    {"bulk_bits", {{"send", bits(link.bulk_send)}, {"receive", bits(link.bulk_receive)}}}, {"foreground_bits", bits(link.foreground)},
                    {"rtt_s", in_seconds(link.rtt)}, {"loss", ratio(link.loss)}, {"trainings", trainings_of(link)}});
  return to_line(Json{{"links", list}});
}

std::string tide_json(std::chrono::milliseconds since_epoch, std::span<const LinkView> links) {
  Json list = Json::array();
  for (const LinkView& link : links) {
    Json bursts = Json::array();
    for (const TrainingOnLink& training : link.trainings)
      if (training.is_bursting) bursts.push_back(training.name);
    std::string reason;
    for (const LinkGate& gate : link.gates)
      if (reason.empty()) reason = gate.reason;
    list.push_back({{"peer", link.peer}, {"bulk_send_bits", bits(link.bulk_send)}, {"bulk_receive_bits", bits(link.bulk_receive)},
                    {"foreground_bits", bits(link.foreground)}, {"gate_send", state_of(link, "send")}, {"gate_receive", state_of(link, "receive")},
                    {"reason", text(reason)}, {"burst", bursts}});
  }
  return to_line(Json{{"time", to_text(job::WallTime(since_epoch))}, {"links", list}});
}

std::string alarm_json(std::string_view alarm, std::string_view subject, std::string_view answer) {
  return to_line(Json{{"alarm", alarm}, {"about", subject}, {"answer", answer}});
}

std::string budget_json(std::string_view training, const Interference& measured) {
  return to_line(Json{{"training", training}, {"inflation", measured.inflation}, {"budget", measured.budget}, {"over", measured.inflation > measured.budget}});
}

}  // namespace tideway::api
