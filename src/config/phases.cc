// SPDX-License-Identifier: Apache-2.0
#include "config/phases.h"

#include <algorithm>

namespace tideway::config {

namespace {

// Trainings cross it, in the queue that we use.
bool is_gated(const GatewayConfig& config, const Link& link) {
  const auto crosses = [&link](const Training& training) { return std::ranges::count(training.peers, link.peer) > 0; };
  return link.queue == Link::LowerEffort::kNone && std::ranges::any_of(config.trainings, crosses);
}

}  // namespace

std::shared_ptr<engine::Gates> gates_of(const GatewayConfig& config) {
  if (config.links.empty()) return nullptr;
  std::vector<engine::LinkTraffic> traffic;
  for (const Link& link : config.links) {
    // What the names mean was checked when the configuration was read.
    const auto controller = congestion::find_controller(link.congestion.empty() ? config.data_plane.congestion : link.congestion, config.data_plane.rate);
    traffic.push_back({controller.ok() ? std::optional(controller.value()) : std::nullopt, link.dscp, is_gated(config, link) ? link.capacity : Rate::unlimited()});
  }
  return std::make_shared<engine::Gates>(config.links.size(),
                                         engine::GatesConfig{.trickle = config.schedule.trickle,
                                                             .queue_target = config.schedule.queue_target,
                                                             .ttl_default = std::min(gate::BurstTable::kTtlDefault, config.phase.ttl_max),
                                                             .ttl_max = config.phase.ttl_max,
                                                             .traffic = std::move(traffic)});
}

std::vector<daemon::LinkAbout> links_of(const GatewayConfig& config) {
  std::vector<daemon::LinkAbout> links;
  for (const Link& link : config.links) {
    const char* const kind = link.kind == Link::Kind::kDedicated ? "dedicated" : link.kind == Link::Kind::kShared ? "shared" : "metered";
    links.push_back({link.peer, kind, link.capacity.is_unlimited() ? std::nullopt : std::optional(link.capacity)});
  }
  return links;
}

daemon::ShareRules shares_of(const GatewayConfig& config) {
  daemon::ShareRules rules;
  for (const Link& link : config.links) {
    daemon::LinkRule rule{link.peer, link.capacity, link.timetable, link.zone};
    rule.leftover_floor = link.leftover_floor;
    rule.hurt_max = link.may_hurt;
    if (is_gated(config, link)) rule.tide = daemon::LinkRule::Tide::kTrainings;
    rules.links.push_back(std::move(rule));
  }
  for (const Peer& peer : config.peers) {
    if (peer.rate.is_unlimited()) continue;
    const auto known = std::ranges::find(rules.links, peer.name, &daemon::LinkRule::peer);
    (known == rules.links.end() ? rules.links.emplace_back(daemon::LinkRule{peer.name, Rate::unlimited(), {}, {}}) : *known).ceiling = peer.rate;
  }
  rules.slack = config.schedule.slack;
  rules.policy = config.schedule.policy;
  for (size_t i = 0; i < config.classes.size(); ++i) {
    rules.class_rates[i] = config.classes[i].rate;
    rules.class_weights[i] = config.classes[i].weight;
    rules.modes[i] = config.classes[i].mode == JobClassRules::Mode::kFair ? Mode::kFair : Mode::kScavenge;
  }
  return rules;
}

namespace {

planner::TrainingRules rules_of(const Training& training, const Schedule& schedule, Rate capacity) {
  planner::TrainingRules rules;
  rules.period_hint = training.period_hint;
  rules.budget.budget = schedule.interference_budget;
  rules.budget.configured.trickle = schedule.trickle;
  rules.budget.configured.queue_target = schedule.queue_target;
  if (training.counters.empty()) return rules;
  rules.seen_after = daemon::seen_after(training.counters, capacity);
  rules.budget.start = planner::BudgetConfig::Start::kInDoubt;
  return rules;
}

void add_training(const GatewayConfig& config, const Training& training, daemon::PhasePortConfig& port) {
  gate::TrainingConfig crosses{.id = gate::training_id(training.name), .links = {}};
  Rate capacity = Rate::unlimited();
  for (size_t i = 0; i < config.links.size(); ++i) {
    if (std::ranges::count(training.peers, config.links[i].peer) == 0) continue;
    capacity = std::min(capacity, config.links[i].capacity);
    // Where the network keeps bulk out of the way by itself, the gate stays open.
    if (config.links[i].queue == Link::LowerEffort::kNone) crosses.links.push_back(i);
  }
  if (!training.counters.empty()) port.counted.push_back({port.names.size(), training.counters, capacity});
  port.site.bursts.trainings.push_back(std::move(crosses));
  port.site.trainings.push_back(rules_of(training, config.schedule, capacity));
  port.hears_api.push_back(training.listens_to(PhaseSource::kApi));
  port.hears_beacons.push_back(training.listens_to(PhaseSource::kBeacon));
  port.hears_board.push_back(training.listens_to(PhaseSource::kBoard));
  port.names.push_back(training.name);
}

}  // namespace

Result<std::optional<daemon::PhasePortConfig>> phase_port(const GatewayConfig& config, const std::shared_ptr<engine::Gates>& gates) {
  if (config.trainings.empty() || gates == nullptr) return std::optional<daemon::PhasePortConfig>();
  daemon::PhasePortConfig port;
  port.gates = gates;
  port.listen = config.phase.listen;
  port.board = config.phase.board;
  port.site.bursts.ttl_max = config.phase.ttl_max;
  if (!config.data_plane.is_dpdk()) port.data_address = config.data_plane.address;
  if (port.listen) {
    auto keys = daemon::read_beacon_keys(config.phase.key_file);
    if (!keys.ok()) return std::move(keys).error();
    port.keys = std::move(keys).value();
  }
  for (const Link& link : config.links) {
    port.site.bursts.link_sites.push_back(gate::site_id(link.peer));
    port.peers.push_back(link.peer);
  }
  for (const Training& training : config.trainings) add_training(config, training, port);
  return std::optional(std::move(port));
}

}  // namespace tideway::config
