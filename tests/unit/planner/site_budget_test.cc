// SPDX-License-Identifier: Apache-2.0
//
// What bulk costs a training, as its site measures it, and what follows from that.
#include "site_under_test.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tideway::planner {
namespace {

TEST(SiteLoop, HoldsBulkForOneIterationOfFiftyAndMeasures) {
  Site site;
  int held = 0;
  for (int i = 0; i < 270; ++i) {
    held += site.is_closed() ? 1 : 0;
    if (site.is_closed()) {
      EXPECT_EQ(site.reason(), GateReason::kHoldout);
    }
    site.iterate();
  }
  EXPECT_EQ(held, 5);
  ASSERT_TRUE(site.llm().budget().inflation());
  EXPECT_NEAR(*site.llm().budget().inflation(), 0, 0.001);
}

// The burst of a hold-out is what is measured, so nothing may be let into it either.
TEST(SiteLoop, AHoldoutLastsThroughItsBurst) {
  Site site;
  for (int i = 0; i < 100 && !site.is_closed(); ++i) site.iterate();
  ASSERT_EQ(site.reason(), GateReason::kHoldout);
  site.say(PhaseKind::kBegin);
  site.pass(milliseconds(390));
  EXPECT_TRUE(site.is_closed());
  EXPECT_EQ(site.reason(), GateReason::kHoldout);
  site.say(PhaseKind::kEnd);
  EXPECT_FALSE(site.is_closed());
  site.pass(milliseconds(600));
  site.say(PhaseKind::kBegin);
  EXPECT_EQ(site.reason(), GateReason::kTraining);
}

// What passes a closed gate of a fast link is more than 1 MB/s, so no iteration was ever without bulk.
TEST(SiteLoop, MeasuresOnAFastLinkWhoseTrickleIsMoreThanSlowBulk) {
  Site site;
  site.trickle = Bytes(25'000);  // 2.5 MB/s, of 10 Gbit/s
  for (int i = 0; i < 270; ++i) site.iterate(milliseconds(10));
  ASSERT_TRUE(site.llm().budget().inflation());
  EXPECT_NEAR(*site.llm().budget().inflation(), 0.01, 0.002);
}

TEST(SiteLoop, TightensAndPausesWhenBulkCostsTooMuch) {
  Site site;
  for (int i = 0; i < 260; ++i) site.iterate(milliseconds(20));
  ASSERT_TRUE(site.loop.tightness(0));
  EXPECT_LT(site.loop.tightness(0)->trickle, 0.002);
  EXPECT_GT(site.loop.tightness(0)->guard, milliseconds(2));
  EXPECT_FALSE(site.loop.tightness(1));  // no training crosses it
  const auto news = site.news();
  EXPECT_EQ(std::ranges::count(news, SiteNews::Kind::kOverBudget), 1);
}

// Announced begins need no guard (site_loop_test.cc); one that suffers all the same is announced too late for somebody. A burst that
// nobody announced may come as before, and be reacted to.
TEST(SiteLoop, AnnouncedBeginsAreGuardedOnceBulkCostsTooMuch) {
  Site site;
  const auto guarded_in_a_gap = [&] {
    site.say(PhaseKind::kBegin);
    site.pass(milliseconds(400));
    site.say(PhaseKind::kEnd);
    int guarded = 0;
    for (int step = 0; step < 60; ++step) {
      site.pass(milliseconds(10));
      guarded += site.is_guarded() ? 1 : 0;
    }
    return guarded;
  };
  for (int i = 0; i < 49; ++i) EXPECT_EQ(guarded_in_a_gap(), 0) << i;
  for (int i = 0; i < 260; ++i) site.iterate(milliseconds(20));
  ASSERT_GT(site.loop.tightness(0)->guard, milliseconds(10));
  const auto steps = site.loop.tightness(0)->guard / milliseconds(10);
  EXPECT_EQ(site.loop.signal(site.now, 0).backoffs, gate::GateSignal::BackOffs::kTell);
  EXPECT_GE(guarded_in_a_gap(), steps);
  EXPECT_LE(guarded_in_a_gap(), steps + 6);  // begins hardly stray, see `iterate`
  site.pass(milliseconds(100));
  EXPECT_FALSE(site.is_guarded());  // one that does not come is not waited for
  EXPECT_EQ(std::ranges::count(site.news(), SiteNews::Kind::kWrong), 0);
}

// What a trainer says of its iteration is what its burst is compared with: here there are two bursts in each.
TEST(SiteLoop, TheInflationIsOfTheIterationThatTheTrainerReports) {
  Site plain, reports;
  for (int i = 0; i < 270; ++i) {
    plain.iterate(milliseconds(10));
    reports.say(PhaseKind::kIteration, {.bytes = {}, .duration = milliseconds(2000), .period = {}, .jitter = {}, .ttl = {}});
    reports.iterate(milliseconds(10));
  }
  ASSERT_TRUE(plain.llm().budget().inflation() && reports.llm().budget().inflation());
  EXPECT_NEAR(*plain.llm().budget().inflation(), 0.01, 0.001);
  EXPECT_NEAR(*reports.llm().budget().inflation(), 0.005, 0.001);
}

TEST(SiteLoop, FarOverTheBudgetBulkPausesForTenPeriods) {
  Site site;
  int paused = 0;
  for (int i = 0; i < 260; ++i) {
    paused += site.is_closed() && site.reason() == GateReason::kBudget ? 1 : 0;
    site.iterate(milliseconds(100));
  }
  EXPECT_GE(paused, InterferenceBudget::kPausePeriods - 1);
}

TEST(SiteLoop, WithoutEndsNothingIsMeasured) {
  Site site;
  for (int i = 0; i < 260; ++i) {
    site.say(PhaseKind::kBegin, {.bytes = {}, .duration = {}, .period = {}, .jitter = {}, .ttl = milliseconds(400)});
    site.pass(std::chrono::seconds(1));
  }
  EXPECT_FALSE(site.llm().budget().inflation());
}

TEST(SiteLoop, WithoutBulkNothingIsHeld) {
  Site site;
  site.has_bulk = false;
  for (int i = 0; i < 120; ++i) {
    EXPECT_FALSE(site.is_closed());
    site.iterate();
  }
}

}  // namespace
}  // namespace tideway::planner
