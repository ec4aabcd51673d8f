// SPDX-License-Identifier: Apache-2.0
//
// Points in time as the API writes them: RFC 3339 in UTC, with milliseconds.
// Thread: any. Pure.
#pragma once
#include "job/spec.h"

#include <optional>
#include <string>
#include <string_view>

namespace tideway::api {

std::string to_text(job::WallTime time);  // "2026-11-26T06:10:00.250Z"
// Takes milliseconds or none, and "Z" only.
std::optional<job::WallTime> parse_time(std::string_view text);

}  // namespace tideway::api
