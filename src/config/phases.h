// SPDX-License-Identifier: Apache-2.0
//
// From a configuration to the gates of a gateway and the port on which trainers announce phases.
// Thread: main, before the gateway starts.
#pragma once
#include "config/sections.h"
#include "daemon/link_sampler.h"
#include "daemon/link_shares.h"
#include "daemon/phase_port.h"

namespace tideway::config {

// One gate per [[link]], in their order. Null: there is none.
std::shared_ptr<engine::Gates> gates_of(const GatewayConfig& config);
// What the API says of each [[link]], in their order.
std::vector<daemon::LinkAbout> links_of(const GatewayConfig& config);
// What jobs share, and by which rules.
daemon::ShareRules shares_of(const GatewayConfig& config);
// What listens for announcements. Nothing: no training is configured. Errors: config_invalid, when the key file cannot be
// used.
Result<std::optional<daemon::PhasePortConfig>> phase_port(const GatewayConfig& config, const std::shared_ptr<engine::Gates>& gates);

}  // namespace tideway::config
