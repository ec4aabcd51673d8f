// SPDX-License-Identifier: Apache-2.0
//
// A set of numbers kept as a sorted list of disjoint, non-touching intervals. Made for sets that nearly always are one
// to three intervals long: bytes of a block that were acked, lost or received, and blocks of a transfer that are
// finished. It keeps the memory it once had, so that a set in steady use does not allocate.
// Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tideway::flow {

struct Interval {
  uint64_t begin = 0;
  uint64_t end = 0;  // the first number behind it; more than `begin`
  uint64_t length() const { return end - begin; }
  bool operator==(const Interval&) const = default;
};

class IntervalSet {
 public:
  void reserve(size_t intervals) { intervals_.reserve(intervals); }
  void clear();
  // Both return how many numbers this changed. An empty interval changes none.
  uint64_t add(Interval added);
  uint64_t subtract(Interval taken);
  // Takes the `count` lowest intervals out.
  void drop_lowest(size_t count);

  bool contains(uint64_t number) const;
  bool contains_all(Interval wanted) const;
  bool intersects(Interval other) const;
  // The first piece of `within` that is not in the set; empty (begin == end) when there is none.
  Interval first_gap(Interval within) const;
  // The first piece of `within` that is in the set; empty when there is none.
  Interval first_inside(Interval within) const;

  bool is_empty() const { return intervals_.empty(); }
  uint64_t count() const { return count_; }  // numbers in the set
  std::span<const Interval> intervals() const { return intervals_; }

 private:
  size_t first_ending_behind(uint64_t number) const;  // index of the first interval with end > number
  std::vector<Interval> intervals_;
  uint64_t count_ = 0;
};

}  // namespace tideway::flow
