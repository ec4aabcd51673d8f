// SPDX-License-Identifier: Apache-2.0
#include "planner/interference_budget.h"

#include <gtest/gtest.h>

namespace tideway::planner {
namespace {

using std::chrono::milliseconds;
using Start = BudgetConfig::Start;
using Kind = InterferenceBudget::Kind;

BudgetConfig config(Start start = Start::kSettled) {
  return {.budget = 0.01, .configured = {.guard = milliseconds(2), .trickle = 0.002, .queue_target = milliseconds(1)}, .start = start};
}

// Bursts of 400 ms in hold-outs and so much more in the others, each second. Returns the hold-outs.
int run(InterferenceBudget& budget, int iterations, Duration more, Duration burst = milliseconds(400)) {
  int holdouts = 0;
  for (int i = 0; i < iterations; ++i) {
    const bool is_holdout = budget.is_next_holdout();
    holdouts += is_holdout;
    budget.on_iteration(is_holdout ? Kind::kHoldout : Kind::kWithBulk, burst + (is_holdout ? Duration() : more), milliseconds(1000));
  }
  return holdouts;
}

TEST(InterferenceBudget, HoldsOutOneIterationInFiftyWhenSettledAndOneInFiveInDoubtUntilSixAreKnown) {
  InterferenceBudget settled(config());
  EXPECT_EQ(run(settled, 200, Duration()), 4);
  InterferenceBudget inferred(config(Start::kInDoubt));
  EXPECT_EQ(run(inferred, 30, Duration()), 6);
  EXPECT_TRUE(inferred.is_in_doubt());
  EXPECT_EQ(run(inferred, 10, Duration()), 0);
  EXPECT_FALSE(inferred.is_in_doubt());
}

// It used to go on with one in five, and bulk lost a fifth of the gaps for good where counters could not tell better.
TEST(InterferenceBudget, ADoubtThatLastsCostsFewHoldouts) {
  InterferenceBudget budget(config(Start::kInDoubt));
  run(budget, 40, milliseconds(8));
  EXPECT_TRUE(budget.is_in_doubt());
  EXPECT_EQ(run(budget, 200, milliseconds(8)), 10);
  ASSERT_TRUE(budget.inflation());
  EXPECT_NEAR(*budget.inflation(), 0.008, 1e-9);
}

// What tells is the iterations with bulk, each eight of them: with fewer hold-outs it tightens no later.
TEST(InterferenceBudget, TightensAsSoonWithFewHoldouts) {
  InterferenceBudget budget(config(Start::kInDoubt));
  run(budget, 80, milliseconds(2));
  ASSERT_EQ(budget.tightness(), config().configured);
  run(budget, 16, milliseconds(15));  // most of what is kept with bulk
  EXPECT_EQ(budget.tightness().guard, milliseconds(4));
  run(budget, 8, milliseconds(15));
  EXPECT_EQ(budget.tightness().guard, milliseconds(8));
}

TEST(InterferenceBudget, IsUnmeasuredUntilItHasHeldOutFourTimes) {
  InterferenceBudget budget(config());
  run(budget, 190, milliseconds(50));
  EXPECT_FALSE(budget.inflation());
  EXPECT_EQ(budget.tightness(), config().configured);
}

TEST(InterferenceBudget, TightensOverTheBudgetAndPausesFarOverIt) {
  InterferenceBudget budget(config(Start::kInDoubt));
  run(budget, 24, milliseconds(15));
  ASSERT_TRUE(budget.inflation());
  EXPECT_NEAR(*budget.inflation(), 0.015, 1e-9);
  EXPECT_EQ(budget.tightness().guard, milliseconds(4));
  EXPECT_DOUBLE_EQ(budget.tightness().trickle, 0.001);
  EXPECT_EQ(budget.tightness().queue_target, std::chrono::microseconds(500));
  EXPECT_EQ(budget.periods_paused(), 0);
  run(budget, 8, milliseconds(40));
  EXPECT_EQ(budget.periods_paused(), InterferenceBudget::kPausePeriods);
  run(budget, 80, milliseconds(40));
  EXPECT_LE(budget.tightness().guard, milliseconds(100));  // a tenth of the period
  EXPECT_EQ(budget.tightness().queue_target, std::chrono::microseconds(250));
}

// Sixteen old hold-outs took hundreds of iterations to be outvoted, and all that time it tightened.
TEST(InterferenceBudget, ATrainingThatChangesByItselfIsNotTakenForOurDoingForLong) {
  InterferenceBudget budget(config());
  run(budget, 1000, milliseconds(1));
  ASSERT_EQ(budget.tightness(), config().configured);
  run(budget, 100, milliseconds(1), milliseconds(415));  // 1.5 % of the period more, with and without bulk
  ASSERT_TRUE(budget.inflation());
  EXPECT_NEAR(*budget.inflation(), 0.001, 1e-9);
  EXPECT_FALSE(budget.is_in_doubt());
  const Tightness tight = budget.tightness();
  EXPECT_GT(tight.guard, config().configured.guard);
  run(budget, 100, milliseconds(1), milliseconds(415));
  EXPECT_LT(budget.tightness().guard, tight.guard);
}

TEST(InterferenceBudget, GoesBackSlowlyOnceItIsCalm) {
  InterferenceBudget budget(config(Start::kInDoubt));
  run(budget, 24, milliseconds(15));
  const Tightness tight = budget.tightness();
  run(budget, 56, milliseconds(2));
  EXPECT_EQ(budget.tightness(), tight);
  run(budget, 64, milliseconds(2));
  EXPECT_LT(budget.tightness().guard, tight.guard);
  EXPECT_GT(budget.tightness().guard, milliseconds(2));
  run(budget, 5000, milliseconds(2));
  EXPECT_NEAR(static_cast<double>(budget.tightness().guard.count()), 2e6, 1e4);
}

}  // namespace
}  // namespace tideway::planner
