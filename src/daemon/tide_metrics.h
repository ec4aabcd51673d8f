// SPDX-License-Identifier: Apache-2.0
//
// What Prometheus is told of links and trainings.
// Thread: control.
#pragma once
#include "daemon/metrics_text.h"
#include "daemon/tide_api.h"

namespace tideway::daemon {

void add_tide(MetricsText& out, const TideApi& tide, Time now);

}  // namespace tideway::daemon
