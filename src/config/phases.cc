// SPDX-License-Identifier: Apache-2.0
#include "config/phases.h"

#include <algorithm>

namespace tideway::config {

std::shared_ptr<engine::Gates> gates_of(const GatewayConfig& config) {
  if (config.links.empty()) return nullptr;
  return std::make_shared<engine::Gates>(config.links.size(),
                                         engine::GatesConfig{.trickle = config.schedule.trickle,
                                                             .queue_target = config.schedule.queue_target,
                                                             .ttl_default = std::min(gate::BurstTable::kTtlDefault, config.phase.ttl_max),
                                                             .ttl_max = config.phase.ttl_max});
}

Result<std::optional<daemon::PhasePortConfig>> phase_port(const GatewayConfig& config, const std::shared_ptr<engine::Gates>& gates) {
  if (config.trainings.empty() || gates == nullptr) return std::optional<daemon::PhasePortConfig>();
  daemon::PhasePortConfig port;
  port.gates = gates;
  port.listen = config.phase.listen;
  port.board = config.phase.board;
  port.bursts.ttl_max = config.phase.ttl_max;
  if (port.listen) {
    auto keys = daemon::read_beacon_keys(config.phase.key_file);
    if (!keys.ok()) return std::move(keys).error();
    port.keys = std::move(keys).value();
  }
  for (const Link& link : config.links) port.bursts.link_sites.push_back(gate::site_id(link.peer));
  for (const Training& training : config.trainings) {
    gate::TrainingConfig crosses{.id = gate::training_id(training.name), .links = {}};
    for (size_t i = 0; i < config.links.size(); ++i) {
      // Where the network keeps bulk out of the way by itself, the gate stays open.
      const bool is_gated = config.links[i].queue == Link::LowerEffort::kNone;
      if (is_gated && std::ranges::count(training.peers, config.links[i].peer) > 0) crosses.links.push_back(i);
    }
    port.bursts.trainings.push_back(std::move(crosses));
    port.hears_beacons.push_back(training.listens_to(PhaseSource::kBeacon));
    port.hears_board.push_back(training.listens_to(PhaseSource::kBoard));
    port.names.push_back(training.name);
  }
  return std::optional(std::move(port));
}

}  // namespace tideway::config
