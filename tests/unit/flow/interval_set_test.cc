// SPDX-License-Identifier: Apache-2.0
#include "flow/interval_set.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace tideway::flow::interval_set_test {
namespace {

std::vector<Interval> list(const IntervalSet& set) { return {set.intervals().begin(), set.intervals().end()}; }

TEST(IntervalSet, NeighboursBecomeOneInterval) {
  IntervalSet set;
  EXPECT_EQ(set.add({10, 20}), 10U);
  EXPECT_EQ(set.add({30, 40}), 10U);
  EXPECT_EQ(set.add({20, 30}), 10U);
  EXPECT_EQ(list(set), (std::vector<Interval>{{10, 40}}));
  EXPECT_EQ(set.add({0, 50}), 20U);
  EXPECT_EQ(list(set), (std::vector<Interval>{{0, 50}}));
}

TEST(IntervalSet, AHoleInTheMiddleMakesTwoOfOne) {
  IntervalSet set;
  set.add({0, 100});
  EXPECT_EQ(set.subtract({40, 60}), 20U);
  EXPECT_EQ(list(set), (std::vector<Interval>{{0, 40}, {60, 100}}));
  EXPECT_EQ(set.first_gap({0, 100}), (Interval{40, 60}));
  EXPECT_EQ(set.first_inside({50, 100}), (Interval{60, 100}));
}

TEST(IntervalSet, EmptyIntervalsChangeNothing) {
  IntervalSet set;
  EXPECT_EQ(set.add({5, 5}), 0U);
  EXPECT_EQ(set.subtract({5, 5}), 0U);
  EXPECT_TRUE(set.is_empty());
  EXPECT_EQ(set.first_gap({5, 5}).length(), 0U);
}

TEST(IntervalSet, WorksUpToTheEndOfItsNumbers) {
  IntervalSet set;
  const uint64_t end = ~uint64_t{0};
  set.add({end - 1, end});
  EXPECT_TRUE(set.contains(end - 1));
  EXPECT_EQ(set.add({end - 2, end}), 1U);
}

TEST(IntervalSet, TheLowestIntervalsGoFirst) {
  IntervalSet set;
  for (const Interval part : {Interval{0, 10}, {20, 25}, {30, 40}}) set.add(part);
  set.drop_lowest(2);
  EXPECT_EQ(list(set), (std::vector<Interval>{{30, 40}}));
  EXPECT_EQ(set.count(), 10U);
  set.drop_lowest(1);
  EXPECT_TRUE(set.is_empty());
  EXPECT_EQ(set.count(), 0U);
}

// The first run of numbers in `within` whose membership is `wanted`.
Interval first_run(const std::set<uint64_t>& model, Interval within, bool wanted) {
  uint64_t begin = within.begin;
  while (begin < within.end && model.contains(begin) != wanted) ++begin;
  uint64_t end = begin;
  while (end < within.end && model.contains(end) == wanted) ++end;
  return {begin, end};
}

TEST(IntervalSet, RandomHistoriesMatchASetOfNumbers) {
  constexpr uint64_t kNumbers = 64;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    IntervalSet set;
    std::set<uint64_t> model;
    for (int step = 0; step < 200; ++step) {
      const uint64_t begin = random.below(kNumbers);
      const Interval part{begin, begin + random.below(12)};
      const bool is_add = random.happens(0.5);
      uint64_t changed = 0;
      for (uint64_t n = part.begin; n < part.end; ++n) changed += is_add ? model.insert(n).second : model.erase(n);
      ASSERT_EQ(is_add ? set.add(part) : set.subtract(part), changed);
      ASSERT_EQ(set.count(), model.size());
      for (size_t i = 0; i < set.intervals().size(); ++i) {
        ASSERT_LT(set.intervals()[i].begin, set.intervals()[i].end);
        ASSERT_TRUE(i == 0 || set.intervals()[i].begin > set.intervals()[i - 1].end);
      }
      const uint64_t from = random.below(kNumbers);
      const Interval within{from, from + 1 + random.below(20)};
      const Interval gap = first_run(model, within, false), inside = first_run(model, within, true);
      ASSERT_EQ(set.first_gap(within).length(), gap.length());
      ASSERT_TRUE(gap.length() == 0 || set.first_gap(within) == gap);
      ASSERT_EQ(set.first_inside(within).length(), inside.length());
      ASSERT_TRUE(inside.length() == 0 || set.first_inside(within) == inside);
      ASSERT_EQ(set.intersects(within), inside.length() != 0);
      ASSERT_EQ(set.contains_all(within), gap.length() == 0);
      ASSERT_EQ(set.contains(from), model.contains(from));
    }
  }
}

}  // namespace
}  // namespace tideway::flow::interval_set_test
