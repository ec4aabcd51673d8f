// SPDX-License-Identifier: Apache-2.0
//
// Any text as the timetable of a link, and behind the first line as the rule of a time zone. What is accepted gives a rate at any
// second, also where a clock jumps, and the same one a second later unless a minute began.
#include "planner/timetable.h"

#include <tideway/check.h>

namespace {

using namespace tideway::planner;
using std::chrono::sys_seconds;

void look(const Timetable& timetable, const ZoneRule& zone) {
  constexpr auto kNow = sys_seconds(std::chrono::seconds(1'795'000'020));  // a minute begins
  for (int week = -3000; week <= 3000; week += 7) {
    const auto time = kNow + std::chrono::weeks(week) + std::chrono::minutes(61 * week);
    const Timetable::Rates rates = timetable.at(time, zone), later = timetable.at(time + std::chrono::seconds(1), zone);
    const bool is_same = rates.up == later.up && rates.down == later.down;
    TIDEWAY_CHECK(is_same || zone.offset_at(time).count() % 60 != 0 || zone.offset_at(time) != zone.offset_at(time + std::chrono::seconds(1)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(text.find('\n'), text.size());
  const auto timetable = Timetable::parse(text.substr(0, end));
  const auto zone = ZoneRule::parse(end < text.size() ? text.substr(end + 1) : "UTC0");
  if (zone.ok()) TIDEWAY_CHECK(std::chrono::abs(zone.value().offset_at(sys_seconds())) <= std::chrono::hours(192));
  if (timetable.ok()) look(timetable.value(), zone.ok() ? zone.value() : ZoneRule());
  return 0;
}
