// SPDX-License-Identifier: Apache-2.0
//
// Time zones by name. Thread: any.
#pragma once
#include "planner/zone_rule.h"
#include <tideway/result.h>

#include <string_view>

namespace tideway::config {

// `UTC`; a rule in the form of POSIX such as `CET-1CEST,M3.5.0,M10.5.0/3`; or a name such as `Europe/Berlin`, whose file below
// /usr/share/zoneinfo has the rule. Errors: config_invalid.
Result<planner::ZoneRule> read_zone(std::string_view text);

}  // namespace tideway::config
