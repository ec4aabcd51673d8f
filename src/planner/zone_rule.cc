// SPDX-License-Identifier: Apache-2.0
#include "planner/zone_rule.h"

#include <charconv>
#include <string>
#include <utility>

namespace tideway::planner {
namespace {

constexpr int kHoursMax = 167;  // of a rule's times: a week, as tzfile(5) extends POSIX

Error bad(std::string_view text) {
  return {Fault::kConfigInvalid, '"' + std::string(text.substr(0, 64)) + "\" is no rule of a time zone", "write one such as CET-1CEST,M3.5.0,M10.5.0/3"};
}

std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

bool take_char(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

// "CET", or "<+0330>".
bool take_name(std::string_view& text) {
  const bool is_quoted = take_char(text, '<');
  const size_t end = is_quoted ? text.find('>') : text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
  if (is_quoted && end == text.npos) return false;
  const size_t length = std::min(end, text.size());
  text.remove_prefix(std::min(text.size(), length + (is_quoted ? 1 : 0)));
  return length >= 3;
}

// [+-]hh[:mm[:ss]].
std::optional<std::chrono::seconds> take_time(std::string_view& text) {
  const bool is_negative = take_char(text, '-');
  if (!is_negative) take_char(text, '+');
  std::chrono::seconds sum{};
  for (const auto& [unit, most] : {std::pair(3600, kHoursMax), std::pair(60, 59), std::pair(1, 59)}) {
    const auto number = take_number(text);
    if (!number || *number < 0 || *number > most) return std::nullopt;
    sum += std::chrono::seconds(*number * unit);
    if (!take_char(text, ':')) break;
  }
  return is_negative ? -sum : sum;
}

}  // namespace

std::optional<ZoneRule::Change> ZoneRule::parse_change(std::string_view text) {
  Change change;
  if (!take_char(text, 'M')) return std::nullopt;
  const auto month = take_number(text);
  const bool has_week = take_char(text, '.');
  const auto week = take_number(text);
  const bool has_day = take_char(text, '.');
  const auto day = take_number(text);
  if (!month || !has_week || !week || !has_day || !day) return std::nullopt;
  if (*month < 1 || *month > 12 || *week < 1 || *week > 5 || *day < 0 || *day > 6) return std::nullopt;
  change.month = std::chrono::month(static_cast<unsigned>(*month));
  change.week = static_cast<unsigned>(*week);
  change.day = std::chrono::weekday(static_cast<unsigned>(*day));
  if (take_char(text, '/')) {
    const auto time = take_time(text);
    if (!time) return std::nullopt;
    change.time = *time;
  }
  if (!text.empty()) return std::nullopt;
  return change;
}

Result<ZoneRule> ZoneRule::parse(std::string_view text) {
  const std::string_view all = text;
  ZoneRule rule;
  if (!take_name(text)) return bad(all);
  const auto standard = take_time(text);
  if (!standard) return bad(all);
  rule.standard_ = rule.summer_ = -*standard;  // POSIX counts westwards
  if (text.empty()) return rule;
  if (!take_name(text)) return bad(all);
  rule.summer_ = rule.standard_ + std::chrono::hours(1);
  if (!text.empty() && text.front() != ',') {
    const auto summer = take_time(text);
    if (!summer) return bad(all);
    rule.summer_ = -*summer;
  }
  const size_t comma = text.find(',', 1);
  if (!take_char(text, ',') || comma == text.npos) return bad(all);
  rule.to_summer_ = parse_change(text.substr(0, comma - 1));
  rule.to_standard_ = parse_change(text.substr(comma));
  if (!rule.to_summer_ || !rule.to_standard_) return bad(all);
  return rule;
}

std::chrono::local_seconds ZoneRule::Change::in(std::chrono::year year) const {
  using namespace std::chrono;
  const local_days date = week == 5 ? local_days(year / month / day[last]) : local_days(year / month / day[week]);
  return date + time;
}

std::chrono::seconds ZoneRule::offset_at(std::chrono::sys_seconds time) const {
  if (!to_summer_) return standard_;
  const auto year = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time + standard_)).year();
  const auto in_utc = [](std::chrono::local_seconds local, std::chrono::seconds offset) { return std::chrono::sys_seconds(local.time_since_epoch() - offset); };
  const auto summer_from = in_utc(to_summer_->in(year), standard_), summer_until = in_utc(to_standard_->in(year), summer_);
  // South of the equator summer lies over the turn of the year.
  const bool is_summer = summer_from < summer_until ? time >= summer_from && time < summer_until : time >= summer_from || time < summer_until;
  return is_summer ? summer_ : standard_;
}

}  // namespace tideway::planner
