// SPDX-License-Identifier: Apache-2.0
//
// The table of congestion controllers, by the names that configuration and command line use.
// Pure.
#pragma once
#include "congestion/controller_config.h"
#include <tideway/congestion_controller.h>
#include <tideway/result.h>

#include <memory>
#include <span>
#include <string_view>

namespace tideway::congestion {

struct ControllerEntry {
  std::string_view name;
  std::unique_ptr<CongestionController> (*make)(const ControllerConfig& config);
  bool needs_rate;  // rate_contracted must be set
};

std::span<const ControllerEntry> controllers();
// Errors: config_invalid, when no controller has this name or it needs a rate that is not there. Ask once, when the
// configuration is read, and keep the entry.
Result<ControllerEntry> find_controller(std::string_view name, Rate rate_contracted);

}  // namespace tideway::congestion
