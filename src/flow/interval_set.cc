// SPDX-License-Identifier: Apache-2.0
#include "flow/interval_set.h"

#include <algorithm>

namespace tideway::flow {

void IntervalSet::clear() {
  intervals_.clear();
  count_ = 0;
}

size_t IntervalSet::first_ending_behind(uint64_t number) const {
  // Most questions are about the end of the list: data arrives and is acked roughly in order.
  if (intervals_.empty() || intervals_.back().end <= number) return intervals_.size();
  if (intervals_.size() == 1 || intervals_[intervals_.size() - 2].end <= number)
    return intervals_.size() - 1;
  const auto found = std::upper_bound(intervals_.begin(), intervals_.end(), number,
                                      [](uint64_t n, const Interval& i) { return n < i.end; });
  return static_cast<size_t>(found - intervals_.begin());
}

uint64_t IntervalSet::add(Interval added) {
  if (added.begin >= added.end) return 0;
  // [first, last) are the intervals that overlap or touch the new one; it swallows them all.
  size_t first = first_ending_behind(added.begin);
  if (first > 0 && intervals_[first - 1].end == added.begin) --first;
  size_t last = first;
  uint64_t before = 0;
  Interval merged = added;
  while (last < intervals_.size() && intervals_[last].begin <= added.end) {
    merged = {std::min(merged.begin, intervals_[last].begin), std::max(merged.end, intervals_[last].end)};
    before += intervals_[last].length();
    ++last;
  }
  const auto at = intervals_.begin() + static_cast<std::ptrdiff_t>(first);
  if (first == last) {
    intervals_.insert(at, merged);
  } else {
    *at = merged;
    intervals_.erase(at + 1, intervals_.begin() + static_cast<std::ptrdiff_t>(last));
  }
  const uint64_t gained = merged.length() - before;
  count_ += gained;
  return gained;
}

uint64_t IntervalSet::subtract(Interval taken) {
  if (taken.begin >= taken.end) return 0;
  size_t first = first_ending_behind(taken.begin);
  if (first == intervals_.size() || intervals_[first].begin >= taken.end) return 0;
  uint64_t removed = 0;
  if (Interval& cut = intervals_[first]; cut.begin < taken.begin) {
    if (cut.end > taken.end) {  // a hole in the middle makes two of one
      const Interval rest{taken.end, cut.end};
      cut.end = taken.begin;
      intervals_.insert(intervals_.begin() + static_cast<std::ptrdiff_t>(first) + 1, rest);
      count_ -= taken.length();
      return taken.length();
    }
    removed += cut.end - taken.begin;
    cut.end = taken.begin;
    ++first;
  }
  size_t last = first;
  while (last < intervals_.size() && intervals_[last].end <= taken.end) removed += intervals_[last++].length();
  if (last < intervals_.size() && intervals_[last].begin < taken.end) {
    removed += taken.end - intervals_[last].begin;
    intervals_[last].begin = taken.end;
  }
  intervals_.erase(intervals_.begin() + static_cast<std::ptrdiff_t>(first),
                   intervals_.begin() + static_cast<std::ptrdiff_t>(last));
  count_ -= removed;
  return removed;
}

void IntervalSet::drop_lowest(size_t count) {
  const size_t dropped = std::min(count, intervals_.size());
  for (size_t i = 0; i < dropped; ++i) count_ -= intervals_[i].length();
  intervals_.erase(intervals_.begin(), intervals_.begin() + static_cast<std::ptrdiff_t>(dropped));
}

bool IntervalSet::contains(uint64_t number) const {
  const size_t i = first_ending_behind(number);
  return i < intervals_.size() && intervals_[i].begin <= number;
}

bool IntervalSet::contains_all(Interval wanted) const {
  if (wanted.begin >= wanted.end) return true;
  const size_t i = first_ending_behind(wanted.begin);
  return i < intervals_.size() && intervals_[i].begin <= wanted.begin && intervals_[i].end >= wanted.end;
}

bool IntervalSet::intersects(Interval other) const {
  return first_inside(other).length() != 0;
}

Interval IntervalSet::first_gap(Interval within) const {
  if (within.begin >= within.end) return {};
  size_t i = first_ending_behind(within.begin);
  uint64_t begin = within.begin;
  if (i < intervals_.size() && intervals_[i].begin <= begin) begin = intervals_[i++].end;
  if (begin >= within.end) return {};
  const uint64_t end = i < intervals_.size() ? std::min(intervals_[i].begin, within.end) : within.end;
  return {begin, end};
}

Interval IntervalSet::first_inside(Interval within) const {
  if (within.begin >= within.end) return {};
  const size_t i = first_ending_behind(within.begin);
  if (i == intervals_.size() || intervals_[i].begin >= within.end) return {};
  return {std::max(intervals_[i].begin, within.begin), std::min(intervals_[i].end, within.end)};
}

}  // namespace tideway::flow
