// SPDX-License-Identifier: Apache-2.0
#include "api/phase_json.h"

#include "api/json_fields.h"

#include <algorithm>

namespace tideway::api {
namespace {

using gate::PhaseKind;

constexpr std::string_view kKinds[] = {"begin", "end", "predict", "alive", "iteration"};  // of PhaseKind, from 1 on
constexpr size_t kNameMax = 255;

std::string_view name_of(PhaseKind kind) { return kKinds[static_cast<size_t>(kind) - 1]; }

void read_kind(Fields& fields, PhaseKind& into) {
  std::string text;
  fields.read("kind", text);
  const auto found = std::ranges::find(kKinds, text);
  if (found == std::end(kKinds)) return fields.wrong("kind", "begin, end, predict, alive or iteration");
  into = static_cast<PhaseKind>(found - std::begin(kKinds) + 1);
}

void read_time(Fields& fields, const char* name, Duration& into) {
  uint32_t microseconds = 0;  // as wide as the beacon's
  fields.read(name, microseconds);
  into = std::chrono::microseconds(microseconds);
}

void read_member(Fields& fields, gate::PhaseEvent& event) {
  uint32_t member = 0, members = 1;
  fields.read("member", member);
  fields.read("members", members);
  if (members == 0 || members > UINT16_MAX) return fields.wrong("members", "from 1 to 65535");
  if (member >= members) return fields.wrong("member", "below members");
  event.member = static_cast<uint16_t>(member);
  event.members = static_cast<uint16_t>(members);
}

// What a kind cannot be without.
void check(Fields& fields, const PhaseWord& word) {
  const gate::PhaseEvent& event = word.event;
  if (word.training.empty() || word.training.size() > kNameMax) fields.wrong("training", "the name of a training");
  if (event.kind == PhaseKind::kPredict && (event.ahead == Duration::zero() || event.ahead > gate::kAheadMax))
    fields.wrong("ahead_us", "from 1 to an hour, which a prediction needs");
  if (!gate::is_credible(event)) fields.wrong("jitter_us", "at most a fifth of period_us");
  if (event.kind == PhaseKind::kIteration && event.details.duration == Duration::zero())
    fields.wrong("duration_us", "from 1 on, which an iteration needs");
  if (word.source.empty() != (word.number == 0)) fields.wrong("seq", "from 1 on, beside a source");
}

}  // namespace

Result<PhaseWord> parse_phase_word(std::string_view body) {
  const auto json = parse_object(body);
  if (!json.ok()) return json.error();
  Fields fields(json.value());
  PhaseWord word;
  gate::PhaseEvent& event = word.event;
  fields.read("training", word.training);
  read_kind(fields, event.kind);
  fields.read("dst", word.site);
  read_member(fields, event);
  fields.read("bytes", event.details.bytes);
  read_time(fields, "duration_us", event.details.duration);
  read_time(fields, "period_us", event.details.period);
  read_time(fields, "jitter_us", event.details.jitter);
  read_time(fields, "ttl_us", event.details.ttl);
  read_time(fields, "ahead_us", event.ahead);
  fields.read("source", word.source);
  fields.read("seq", word.number);
  check(fields, word);
  if (Status status = fields.finish(); !status.ok()) return std::move(status).error();
  event.training = gate::training_id(word.training);
  if (!word.site.empty()) event.destination = gate::site_id(word.site);
  return word;
}

std::string to_json(const PhaseWord& word) {
  const gate::PhaseEvent& event = word.event;
  Json json{{"training", word.training}, {"kind", std::string(name_of(event.kind))}};
  if (!word.site.empty()) json["dst"] = word.site;
  if (event.members != 1) json["member"] = event.member, json["members"] = event.members;
  if (event.details.bytes != 0_B) json["bytes"] = event.details.bytes.count();
  for (const auto& [name, time] : {std::pair("duration_us", event.details.duration), std::pair("period_us", event.details.period),
                                   std::pair("jitter_us", event.details.jitter), std::pair("ttl_us", event.details.ttl), std::pair("ahead_us", event.ahead)})
    if (time != Duration::zero()) json[name] = time / std::chrono::microseconds(1);
  if (!word.source.empty()) json["source"] = word.source, json["seq"] = word.number;
  return to_line(json);
}

}  // namespace tideway::api
