// SPDX-License-Identifier: Apache-2.0
//
// What a backend may show of a gateway to its own tools (dpdk-telemetry.py), as tables of named values.
// Thread: a table is asked for on a thread of the backend.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tideway::packet_io {

using TelemetryValue = std::variant<uint64_t, std::string>;
using TelemetryRow = std::vector<std::pair<const char*, TelemetryValue>>;  // names of letters, digits and _
using TelemetryTable = std::vector<TelemetryRow>;

struct TelemetryCommand {
  const char* name;  // such as "/tideway/flows"
  const char* help;
  std::function<TelemetryTable()> table;
};

}  // namespace tideway::packet_io
