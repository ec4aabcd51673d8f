// SPDX-License-Identifier: Apache-2.0
//
// The log: changes of state, one line each, event first and `key=value` after, to stderr. Never from the packet path;
// that has base/trace.
// Thread: any.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tideway::log {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError };

void set_level(Level level);
// `event` is a fixed word or two, `fields` the rest of the line: write(kInfo, "session_up", "peer=wisconsin rtt=25ms").
void write(Level level, std::string_view event, std::string_view fields = {});
inline void debug(std::string_view event, std::string_view fields = {}) { write(Level::kDebug, event, fields); }
inline void info(std::string_view event, std::string_view fields = {}) { write(Level::kInfo, event, fields); }
inline void warning(std::string_view event, std::string_view fields = {}) { write(Level::kWarning, event, fields); }
inline void error(std::string_view event, std::string_view fields = {}) { write(Level::kError, event, fields); }

// Adds " name=count" to `fields`, unless nothing was counted.
void add_count(std::string& fields, std::string_view name, uint64_t count);

}  // namespace tideway::log
