// SPDX-License-Identifier: Apache-2.0
#include "config/scheduling_sections.h"

#include "checkpoint/assess.h"
#include "config/section_reader.h"
#include "config/zones.h"
#include "gate/gate.h"
#include "job/job.h"
#include "schedule/registry.h"

#include <limits>
#include <tuple>

namespace tideway::config {
namespace {

Result<std::optional<Rate>> parse_floor(std::string_view text) {
  if (text == "off") return std::optional<Rate>();
  const auto rate = parse_rate(text);
  return rate.ok() ? Result<std::optional<Rate>>(std::optional(rate.value())) : rate.error();
}

Result<double> parse_slack(std::string_view text) {
  constexpr double kMost = 0.9;
  auto share = parse_percent(text);
  if (share.ok() && share.value() > kMost) return invalid(quoted(text) + " leaves nothing to plan with", "write up to 90%, such as 10%");
  return share;
}

Result<Link> read_link(const Value& value) {
  Link link;
  link.at = value.at;
  Reader reader("[[link]]", &std::get<Table>(value.held));
  reader.read("peer", link.peer, parse_name);
  using enum Link::Kind;
  reader.read("kind", link.kind, one_of<Link::Kind>({{"dedicated", kDedicated}, {"shared", kShared}, {"metered", kMetered}}));
  reader.read("capacity", link.capacity, parse_rate);
  reader.read("timetable", link.timetable, planner::Timetable::parse);
  reader.read("timetable_zone", link.zone, read_zone);
  bool le_queue = false;
  reader.read_flag("le_queue", le_queue);
  if (le_queue) link.queue = Link::LowerEffort::kOwn;
  reader.read("congestion", link.congestion, registered({"bbr", "contracted", "scavenger"}));
  reader.read("dscp", link.dscp, one_of<Dscp>({{"LE", Dscp::kLowerEffort}, {"off", Dscp::kDefault}}));
  reader.read("leftover_floor", link.leftover_floor, parse_floor);
  reader.read("may_hurt_training", link.may_hurt, parse_percent);
  if (!reader.status().ok()) return reader.status().error();
  return link;
}

Result<Duration> parse_positive(std::string_view text) {
  auto duration = parse_duration(text);
  if (duration.ok() && duration.value() <= Duration::zero()) return invalid(quoted(text) + " is no time", "write one such as 6s or 250us");
  return duration;
}

// A burst that nobody announced is looked for with pulses of gate::kPulse: of what is longer they would show nothing.
Result<Duration> parse_queue_target(std::string_view text) {
  constexpr Duration kMost = gate::kPulse / 2;
  auto duration = parse_positive(text);
  if (duration.ok() && duration.value() > kMost) return invalid(quoted(text) + " is too long for a queue target", "write up to 2ms, such as 1ms");
  return duration;
}

// More would cost the trainers more than it is good for.
Result<double> parse_trickle(std::string_view text) {
  constexpr double kMost = 0.01;
  auto share = parse_percent(text);
  if (share.ok() && (share.value() > kMost || share.value() <= 0)) return invalid(quoted(text) + " is no trickle", "write up to 1%, such as 0.2%");
  return share;
}

Result<double> parse_budget(std::string_view text) {
  constexpr double kMost = 0.5;
  auto share = parse_percent(text);
  if (share.ok() && (share.value() > kMost || share.value() <= 0)) return invalid(quoted(text) + " is no interference budget", "write a share of an iteration up to 50%, such as 1%");
  return share;
}

Result<std::string> parse_policy(std::string_view text) {
  const auto entry = schedule::find_policy(text);
  return entry.ok() ? Result<std::string>(std::string(text)) : entry.error();
}

Status read_classes(const Table& document, GatewayConfig& config) {
  const Table* classes = section(document, "class");
  for (size_t i = 0; classes != nullptr && i < kJobClasses.size(); ++i) {
    Reader reader("[class." + std::string(kJobClasses[i]) + ']', section(*classes, kJobClasses[i]));
    reader.read("rate", config.classes[i].rate, parse_rate);
    reader.read_count("weight", config.classes[i].weight, job::kWeightMax, 1);
    reader.read("mode", config.classes[i].mode, one_of<JobClassRules::Mode>({{"scavenge", JobClassRules::Mode::kScavenge}, {"fair", JobClassRules::Mode::kFair}}));
    if (!reader.status().ok()) return reader.status();
  }
  return success();
}

Status read_phase(const Table& document, GatewayConfig& config) {
  if (Status status = read_classes(document, config); !status.ok()) return status;
  Reader schedule("[schedule]", section(document, "schedule"));
  schedule.read("policy", config.schedule.policy, parse_policy);
  schedule.read("slack", config.schedule.slack, parse_slack);
  schedule.read("queue_target", config.schedule.queue_target, parse_queue_target);
  schedule.read("trickle", config.schedule.trickle, parse_trickle);
  schedule.read("interference_budget", config.schedule.interference_budget, parse_budget);
  if (!schedule.status().ok()) return schedule.status();
  const Table* table = section(document, "phase");
  Reader phase("[phase]", table);
  const Entry* listen = table == nullptr ? nullptr : find(*table, "listen");
  const bool is_off = listen != nullptr && std::get<std::string>(listen->value.held).empty();
  if (!is_off) phase.read("listen", config.phase.listen, parse_endpoint);
  phase.read_path("key_file", config.phase.key_file, Reader::Empty::kMeansNone);
  phase.read_path("board", config.phase.board, Reader::Empty::kMeansNone);
  phase.read("ttl_max", config.phase.ttl_max, parse_positive);
  return phase.status();
}

Result<Training> read_training(const Value& value) {
  Training training;
  training.at = value.at;
  Reader reader("[[training]]", &std::get<Table>(value.held));
  reader.read("name", training.name, parse_name);
  reader.read_each("peers", [&](const std::string& text) -> Status {
    auto peer = parse_name(text);
    if (!peer.ok()) return peer.error();
    training.peers.push_back(std::move(peer).value());
    return success();
  });
  uint8_t sources = 0;
  using enum PhaseSource;
  const auto parse_source = one_of<PhaseSource>({{"api", kApi}, {"board", kBoard}, {"beacon", kBeacon}});
  reader.read_each("sources", [&](const std::string& text) -> Status {
    const auto source = parse_source(text);
    if (!source.ok()) return source.error();
    sources |= static_cast<uint8_t>(source.value());
    return success();
  });
  if (sources != 0) training.sources = sources;
  reader.read_each("counters", [&](const std::string& text) -> Status {
    auto name = daemon::parse_counter_name(text);
    if (!name.ok()) return name.error();
    training.counters.push_back(std::move(name).value());
    return success();
  });
  reader.read("period_hint", training.period_hint, parse_positive);
  if (!reader.status().ok()) return reader.status().error();
  return training;
}

constexpr uint64_t kWorldMax = 1'000'000;  // processes of one training

Result<std::string> parse_format(std::string_view text) {
  if (checkpoint::format_named(text)) return std::string(text);
  return invalid(quoted(text) + " is no format of checkpoints", "write auto, dcp, torch, safetensors, hf, lightning, deepspeed, megatron or orbax");
}

// "ckpt:runs/llm7".
Result<std::pair<std::string, ObjectName>> parse_below_root(std::string_view text) {
  const size_t colon = text.find(':');
  auto name = colon == text.npos || colon == 0 ? Result<ObjectName>(invalid(quoted(text) + " names no root", "write root:path")) : ObjectName::from_text(text.substr(colon + 1));
  if (!name.ok()) return std::move(name).error();
  return std::pair(std::string(text.substr(0, colon)), std::move(name).value());
}

Result<Watch> read_watch(const Value& value) {
  Watch watch;
  watch.at = value.at;
  Reader reader("[[watch]]", &std::get<Table>(value.held));
  std::pair<std::string, ObjectName> dir;
  Duration rpo{}, deadline{};
  reader.read("dir", dir, parse_below_root);
  std::tie(watch.root, watch.dir) = dir;
  watch.series = to_display(watch.dir);
  reader.read("format", watch.format, parse_format);
  reader.read("series", watch.series, [](std::string_view text) { return Result<std::string>(std::string(text)); });
  reader.read_each("to", [&](const std::string& text) -> Status {
    const bool is_remote = text.find(':') != text.npos && text.find('/') != text.npos;
    if (!is_remote) return invalid(config::quoted(text) + " is no place at a peer", "write peer:root/path");
    watch.to.push_back(text);
    return success();
  });
  reader.read("rpo", rpo, parse_positive);
  if (rpo > Duration()) watch.rpo = rpo;
  reader.read("deadline", deadline, parse_positive);
  if (deadline > Duration()) watch.deadline = deadline;
  reader.read("settle", watch.settle, parse_positive);
  reader.read("poll", watch.poll, parse_positive);
  reader.read("existing", watch.existing, one_of<Watch::Existing>({{"newest", Watch::Existing::kNewest}, {"all", Watch::Existing::kAll}, {"none", Watch::Existing::kNone}}));
  reader.read_count("world", watch.world, kWorldMax);
  reader.read("class", watch.service, one_of<job::Class>({{"checkpoint", job::Class::kCheckpoint}, {"staging", job::Class::kStaging}, {"best-effort", job::Class::kBestEffort}}));
  reader.read_count("pins_max", watch.pins_max, std::numeric_limits<uint32_t>::max());
  reader.read("pin_bytes_max", watch.pin_bytes_max, [](std::string_view text) { return text == "off" ? Result<Bytes>(Bytes::max()) : parse_size(text); });
  reader.read_count("keep", watch.keep, std::numeric_limits<uint32_t>::max());
  if (!reader.status().ok()) return reader.status().error();
  if (watch.series.empty() || watch.to.empty()) return invalid(value.at + ": [[watch]] needs a series and a place to go to", "add to = [\"peer:root/path\"], and series = \"NAME\" for a whole root");
  return watch;
}

}  // namespace

Status read_scheduling(const Table& document, GatewayConfig& config) {
  if (Status status = read_phase(document, config); !status.ok()) return status;
  if (Status status = read_each(document, "link", config.links, read_link); !status.ok()) return status;
  if (Status status = read_each(document, "training", config.trainings, read_training); !status.ok()) return status;
  return read_each(document, "watch", config.watches, read_watch);
}

}  // namespace tideway::config
