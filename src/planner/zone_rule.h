// SPDX-License-Identifier: Apache-2.0
//
// What a clock on the wall shows: the rule of a time zone in the form of POSIX, "CET-1CEST,M3.5.0,M10.5.0/3", which stands in
// the last line of each file below /usr/share/zoneinfo and holds from now on.
// Thread: any. Pure.
#pragma once
#include <tideway/result.h>

#include <chrono>
#include <optional>
#include <string_view>

namespace tideway::planner {

class ZoneRule {
 public:
  ZoneRule() = default;  // UTC
  // Errors: config_invalid. Rules by the week of a month (M) only, which all zones of today use.
  static Result<ZoneRule> parse(std::string_view text);

  // Local time less UTC.
  std::chrono::seconds offset_at(std::chrono::sys_seconds time) const;

 private:
  struct Change {
    std::chrono::month month{1};
    unsigned week = 1;             // 5: the last one
    std::chrono::weekday day{0u};
    std::chrono::seconds time = std::chrono::hours(2);  // local
    std::chrono::local_seconds in(std::chrono::year year) const;
  };
  static std::optional<Change> parse_change(std::string_view text);

  std::chrono::seconds standard_{}, summer_{};
  std::optional<Change> to_summer_, to_standard_;  // both or none
};

}  // namespace tideway::planner
