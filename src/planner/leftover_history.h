// SPDX-License-Identifier: Apache-2.0
//
// What trainings left of a link, by the time of day: the last two weeks in quarters of an hour. What the planner may count on is
// what nine of ten of those days had at that time; before it has seen three days it knows nothing. What is older than two weeks
// when the next is seen, because nobody looked on meanwhile, says nothing any more.
// Thread: one owner. Pure.
#pragma once
#include <tideway/units.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::planner {

class LeftoverHistory {
 public:
  static constexpr std::chrono::seconds kPart = std::chrono::minutes(15);
  static constexpr size_t kParts = 96;
  static constexpr size_t kDaysKept = 14, kDaysEnough = 3;

  // So much was left in the `over` that ended then.
  struct Measured { Bytes left; Duration over; };
  void on_measured(std::chrono::sys_seconds at, const Measured& measured);

  // A rate for each quarter of the day; nothing: fewer than kDaysEnough days were seen then.
  using Day = std::array<std::optional<Rate>, kParts>;
  Day low() const { return quantiles(0.1); }    // nine of ten were more
  Day usual() const { return quantiles(0.5); }  // half were more
  static size_t part_of(std::chrono::sys_seconds at) { return static_cast<size_t>(number_of(at) % static_cast<int64_t>(kParts)); }
  // The least of all quarters that were seen; nothing: none was.
  std::optional<Rate> least() const;
  size_t days_at(std::chrono::sys_seconds at) const { return parts_[part_of(at)].size(); }
  int64_t quarter() const { return current_; }  // since 1970; -1: nothing was seen

  // The quarters that are over, as lines: the number of the one that is being seen, then each quarter of the day with its rates.
  std::string to_text() const;
  // Nothing: it is no such text.
  static std::optional<LeftoverHistory> from_text(std::string_view text);

 private:
  static int64_t number_of(std::chrono::sys_seconds at) { return at.time_since_epoch() / kPart; }
  std::optional<Rate> quantile(size_t part, double share) const;
  Day quantiles(double share) const;
  void close();

  std::array<std::vector<Rate>, kParts> parts_;  // one for each day, the last ones
  int64_t current_ = -1;                         // the quarter that is being seen
  Bytes left_;
  Duration over_{};
};

}  // namespace tideway::planner
