// SPDX-License-Identifier: Apache-2.0
//
// Which rate a link may have at which time of the week, in rclone's syntax with units:
// "Mon-00:00,512MiB Fri-23:59,10GiB Sat-10:00,1GiB Sun-20:00,off". An entry without a day holds on each; `off` is no limit and
// `pause` none at all; of UP:DOWN the first counts for what we send. A rate alone holds always.
// Thread: any. Pure.
#pragma once
#include "planner/zone_rule.h"
#include <tideway/units.h>

#include <optional>
#include <vector>

namespace tideway::planner {

class Timetable {
 public:
  static constexpr size_t kEntriesMax = 1024;

  Timetable() = default;  // no limit
  // Errors: config_invalid, with the entry.
  static Result<Timetable> parse(std::string_view text);

  // What we may send, and take.
  struct Rates {
    Rate up = Rate::unlimited(), down = Rate::unlimited();
    bool operator==(const Rates&) const = default;
  };
  Rates at(std::chrono::sys_seconds time, const ZoneRule& zone) const;
  // When they are others for the first time after `time`; nothing: never.
  std::optional<std::chrono::sys_seconds> next_change(std::chrono::sys_seconds time, const ZoneRule& zone) const;

 private:
  struct Entry { int minute; Rates rates; };  // of the week, from Sunday on; local
  static Status add(std::string_view word, std::vector<Entry>& entries);
  std::vector<Entry> entries_;  // by minute
};

}  // namespace tideway::planner
