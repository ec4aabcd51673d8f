// SPDX-License-Identifier: Apache-2.0
#include "planner/leftover_history.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace tideway::planner {

void LeftoverHistory::on_measured(std::chrono::sys_seconds at, const Measured& measured) {
  if (const int64_t number = number_of(at); number != current_) {
    close();
    const int64_t away = current_ < 0 ? 0 : std::abs(number - current_);
    if (away > static_cast<int64_t>(kDaysKept * kParts)) parts_ = {};
    current_ = number;
  }
  left_ += measured.left;
  over_ += measured.over;
}

// A quarter of which less than half was seen says nothing of the rest.
void LeftoverHistory::close() {
  if (current_ >= 0 && over_ * 2 >= kPart) {
    std::vector<Rate>& days = parts_[static_cast<size_t>(current_ % static_cast<int64_t>(kParts))];
    if (days.size() == kDaysKept) days.erase(days.begin());
    days.push_back(Rate::of(left_, over_));
  }
  left_ = Bytes();
  over_ = Duration::zero();
}

// With the quarters beside it, since nothing happens at the same minute each day.
std::optional<Rate> LeftoverHistory::quantile(size_t part, double share) const {
  if (parts_[part].size() < kDaysEnough) return std::nullopt;
  std::vector<Rate> seen;
  for (const size_t beside : {part + kParts - 1, part, part + 1}) {
    const std::vector<Rate>& days = parts_[beside % kParts];
    seen.insert(seen.end(), days.begin(), days.end());
  }
  const auto nth = seen.begin() + static_cast<int64_t>(share * static_cast<double>(seen.size() - 1));
  std::ranges::nth_element(seen, nth);
  return *nth;
}

LeftoverHistory::Day LeftoverHistory::quantiles(double share) const {
  Day day;
  for (size_t part = 0; part < kParts; ++part) day[part] = quantile(part, share);
  return day;
}

std::string LeftoverHistory::to_text() const {
  std::string text = std::to_string(current_) + '\n';
  for (size_t part = 0; part < kParts; ++part) {
    if (parts_[part].empty()) continue;
    text += std::to_string(part);
    for (const Rate rate : parts_[part]) text += ' ' + std::to_string(rate.bytes_per_second());
    text += '\n';
  }
  return text;
}

std::optional<LeftoverHistory> LeftoverHistory::from_text(std::string_view text) {
  LeftoverHistory history;
  std::istringstream lines{std::string(text)};
  std::string line;
  if (!std::getline(lines, line) || !(std::istringstream(line) >> history.current_) || history.current_ < -1) return std::nullopt;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    size_t part = 0;
    if (!(words >> part) || part >= kParts) return std::nullopt;
    std::vector<Rate>& days = history.parts_[part];
    for (uint64_t rate = 0; words >> rate;) days.push_back(Rate::bytes_per_second(rate));
    if (!words.eof() || days.empty() || days.size() > kDaysKept) return std::nullopt;
  }
  return history;
}

std::optional<Rate> LeftoverHistory::least() const {
  std::optional<Rate> least;
  for (const std::vector<Rate>& days : parts_)
    for (const Rate rate : days) least = std::min(least.value_or(rate), rate);
  return least;
}

}  // namespace tideway::planner
