// SPDX-License-Identifier: Apache-2.0
//
// The configuration of a gateway, from its file to checked values. The only place that knows the file's syntax.
// Thread: control.
#pragma once
#include "config/sections.h"

#include <string>
#include <string_view>

namespace tideway::config {

inline constexpr std::string_view kDefaultFile = "/etc/tideway/tideway.toml";

// Reads FILE, and when it is called tideway.toml also conf.d/*.toml beside it, in byte order of their names: arrays
// of tables follow each other, a key given twice is an error.
// Errors: config_invalid with file, line, column, the key, and what to write instead.
Result<GatewayConfig> load(const std::string& file);

// The same for a text in memory; `file` is its name in errors, and relative paths are below that file's directory.
Result<GatewayConfig> parse(std::string_view text, std::string_view file);

// The sections that differ and that a running gateway does not take up: "[engine]".
std::vector<std::string> needing_restart(const GatewayConfig& running, const GatewayConfig& fresh);

// Whether a daemon can serve with this configuration; a direct copy needs less. Errors: config_invalid, naming the
// missing key.
Status check_serves(const GatewayConfig& config);

}  // namespace tideway::config
