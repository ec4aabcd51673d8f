// SPDX-License-Identifier: Apache-2.0
#include "planner/timetable.h"

#include "base/amounts.h"

#include <algorithm>
#include <string>

namespace tideway::planner {
namespace {

constexpr int kDay = 24 * 60;
constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

Error bad(std::string_view word, std::string_view why) {
  return {Fault::kConfigInvalid, '"' + std::string(word.substr(0, 64)) + "\" is no entry of a timetable: " + std::string(why),
          "write entries such as 08:00,2Gbit or Sat-10:00,off or Mon-00:00,pause"};
}

Result<Rate> parse_one(std::string_view text) {
  if (text == "pause") return Rate();
  return parse_rate(text);
}

Result<Timetable::Rates> parse_rates(std::string_view word, std::string_view text) {
  const size_t colon = text.find(':');
  auto up = parse_one(text.substr(0, colon));
  if (!up.ok()) return bad(word, up.error().what);
  if (colon == text.npos) return Timetable::Rates{up.value(), up.value()};
  auto down = parse_one(text.substr(colon + 1));
  if (!down.ok()) return bad(word, down.error().what);
  return Timetable::Rates{up.value(), down.value()};
}

int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : 100; }

// "HH:MM"; nothing: it is none.
std::optional<int> parse_minute(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hour = 10 * digit(text[0]) + digit(text[1]), minute = 10 * digit(text[3]) + digit(text[4]);
  if (hour > 23 || minute > 59) return std::nullopt;
  return 60 * hour + minute;
}

}  // namespace

Status Timetable::add(std::string_view word, std::vector<Entry>& entries) {
  const size_t comma = word.find(',');
  if (comma == word.npos) return bad(word, "it has no time");
  auto rates = parse_rates(word, word.substr(comma + 1));
  if (!rates.ok()) return rates.error();
  std::string_view when = word.substr(0, comma);
  int first = 0, last = 6;
  if (const size_t dash = when.find('-'); dash != when.npos) {
    const auto day = std::ranges::find(kDays, when.substr(0, dash));
    if (day == std::end(kDays)) return bad(word, "days are Mon, Tue, Wed, Thu, Fri, Sat and Sun");
    first = last = static_cast<int>(day - std::begin(kDays));
    when.remove_prefix(dash + 1);
  }
  const auto minute = parse_minute(when);
  if (!minute) return bad(word, "a time is HH:MM");
  for (int day = first; day <= last; ++day) entries.push_back({day * kDay + *minute, rates.value()});
  return success();
}

Result<Timetable> Timetable::parse(std::string_view text) {
  Timetable table;
  if (text.find_first_of(", ") == text.npos) {
    auto always = parse_rates(text, text);
    if (!always.ok()) return std::move(always).error();
    table.entries_.push_back({0, always.value()});
    return table;
  }
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (end > 0)
      if (Status status = add(text.substr(0, end), table.entries_); !status.ok()) return std::move(status).error();
    text.remove_prefix(std::min(end + 1, text.size()));
    if (table.entries_.size() > kEntriesMax) return bad("...", "there are more than " + std::to_string(kEntriesMax) + " entries");
  }
  std::ranges::stable_sort(table.entries_, {}, &Entry::minute);
  return table;
}

Timetable::Rates Timetable::at(std::chrono::sys_seconds time, const ZoneRule& zone) const {
  if (entries_.empty()) return {};
  using namespace std::chrono;
  const auto local = time + zone.offset_at(time);
  const auto day = floor<days>(local);
  const auto minute = static_cast<int>(weekday(day).c_encoding()) * kDay + static_cast<int>(duration_cast<minutes>(local - day).count());
  const auto next = std::ranges::upper_bound(entries_, minute, {}, &Entry::minute);
  return next == entries_.begin() ? entries_.back().rates : (next - 1)->rates;  // before the first of the week the last one holds on
}

// Minute by minute, because clocks that are put forward or back move entries.
std::optional<std::chrono::sys_seconds> Timetable::next_change(std::chrono::sys_seconds time, const ZoneRule& zone) const {
  if (entries_.size() < 2) return std::nullopt;
  constexpr int kLooks = 8 * kDay;  // a week, and a day for the clocks
  const Rates before = at(time, zone);
  std::chrono::sys_seconds next = std::chrono::floor<std::chrono::minutes>(time);
  for (int i = 0; i < kLooks; ++i) {
    next += std::chrono::minutes(1);
    if (at(next, zone) != before) return next;
  }
  return std::nullopt;
}

}  // namespace tideway::planner
