// SPDX-License-Identifier: Apache-2.0
#include "api/time_text.h"

#include <charconv>
#include <cstdio>

namespace tideway::api {
namespace {

// `digits` of them at the front of `text`, then `end`; both are taken off.
std::optional<int> take(std::string_view& text, size_t digits, char end) {
  int value = 0;
  if (text.size() < digits + 1 || text[digits] != end) return std::nullopt;
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + digits, value);
  if (failure != std::errc() || stop != text.data() + digits || value < 0) return std::nullopt;
  text.remove_prefix(digits + 1);
  return value;
}

}  // namespace

std::string to_text(job::WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

std::optional<job::WallTime> parse_time(std::string_view text) {
  const bool has_milliseconds = text.size() == 24;
  const auto year = take(text, 4, '-'), month = take(text, 2, '-'), day = take(text, 2, 'T');
  const auto hour = take(text, 2, ':'), minute = take(text, 2, ':'), second = take(text, 2, has_milliseconds ? '.' : 'Z');
  const auto millisecond = has_milliseconds ? take(text, 3, 'Z') : std::optional(0);
  if (!year || !month || !day || !hour || !minute || !second || !millisecond || !text.empty()) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)), std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return job::WallTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second) +
         std::chrono::milliseconds(*millisecond);
}

}  // namespace tideway::api
