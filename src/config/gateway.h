// SPDX-License-Identifier: Apache-2.0
//
// From a configuration to what a gateway is started with. This module knows every other module's settings; none of
// them knows it.
// Thread: main, before the gateway starts.
#pragma once
#include "config/sections.h"
#include "daemon/daemon.h"
#include "session/gateway.h"

#include <string_view>

namespace tideway::config {

// A gateway that listens. Errors: config_invalid, when something is missing that serving needs.
Result<session::GatewayConfig> serving_gateway(const GatewayConfig& config);
// What a running gateway is told when its configuration is read again. Errors: config_invalid.
Result<daemon::DaemonRules> serving_rules(const GatewayConfig& config);
// For the jobs of a gateway: whom it may dial, and which users of this machine may ask. Errors: config_invalid.
Result<daemon::JobRules> job_rules(const GatewayConfig& config);
daemon::ApiConfig api_config(const GatewayConfig& config, const std::string& file);
std::vector<daemon::WatchConfig> watches_of(const GatewayConfig& config);
// One that only dials, for a direct copy: no roots, no grants, ports that the kernel picks.
Result<session::GatewayConfig> dialling_gateway(const GatewayConfig& config);
// A configured peer. Errors: usage, naming the peers there are.
Result<session::PeerConfig> peer_for(const GatewayConfig& config, std::string_view name);

}  // namespace tideway::config
