// SPDX-License-Identifier: Apache-2.0
#include "site_under_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace tideway::planner {
namespace {

using Edge = CounterWatch::Edge;

TEST(SiteLoop, AnnouncedBurstsCloseTheirLinkAndNeedNoGuard) {
  Site site;
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(site.is_closed());
    EXPECT_EQ(site.loop.signal(site.now, 0).guard_from, kNever);
    site.say(PhaseKind::kBegin);
    EXPECT_TRUE(site.is_closed());
    EXPECT_FALSE(site.is_closed(1));
    EXPECT_EQ(site.reason(), GateReason::kTraining);
    site.pass(milliseconds(400));
    site.say(PhaseKind::kEnd);
    EXPECT_FALSE(site.is_closed());
    site.pass(milliseconds(600));
  }
  EXPECT_EQ(site.lock(), Lock::kLocked);
  EXPECT_NEAR(static_cast<double>(site.llm().period(site.now).count()), 1e9, 1e7);
  EXPECT_EQ(site.llm().origin(), PhaseOrigin::kApi);
  EXPECT_EQ(site.news(), std::vector{SiteNews::Kind::kLocked});
  EXPECT_NEAR(static_cast<double>(site.loop.bursting(0).count()), 8 * 400e6, 8 * 10e6);
}

TEST(SiteLoop, OneLongIterationIsNoNews) {
  Site site;
  for (int i = 0; i < 8; ++i) site.iterate();
  EXPECT_EQ(site.news(), std::vector{SiteNews::Kind::kLocked});
  site.pass(milliseconds(200));
  for (int i = 0; i < 8; ++i) site.iterate();
  EXPECT_EQ(site.lock(), Lock::kLocked);
  EXPECT_EQ(site.news(), std::vector<SiteNews::Kind>());
}

TEST(SiteLoop, ABurstThatIsRenewedIsOneBegin) {
  Site site;
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 4; ++j) {
      site.say(PhaseKind::kBegin);
      site.pass(milliseconds(100));
    }
    site.say(PhaseKind::kEnd);
    site.pass(milliseconds(600));
  }
  EXPECT_NEAR(static_cast<double>(site.llm().period(site.now).count()), 1e9, 1e7);
}

TEST(SiteLoop, SeenBeginsAreGuardedOnceTheyAreLocked) {
  Site site(CounterWatch::kBin);
  site.has_bulk = false;  // no hold-outs between
  for (int i = 0; i < 8; ++i) site.iterate_seen();
  ASSERT_EQ(site.lock(), Lock::kLocked);
  const gate::GateSignal signal = site.loop.signal(site.now, 0);  // a begin is due now
  EXPECT_LT(signal.guard_from, site.now);
  EXPECT_GT(signal.guard_from, site.now - milliseconds(100));  // 2 ms and three sigma, which begins at 2 % of the period
  EXPECT_TRUE(site.is_guarded());
  site.loop.on_counters(0, Edge::kBegin, site.now, site.now);
  EXPECT_TRUE(site.is_closed());
  EXPECT_EQ(site.llm().misses(), 0u);
  EXPECT_EQ(site.llm().origin(), PhaseOrigin::kCounters);
}

// A burst that shows within 2 ms costs less than the budget, and a guard would take more of the gap than that.
TEST(SiteLoop, ABeginThatIsSeenSoonEnoughIsExpectedWithoutAGuard) {
  Site site(CounterWatch::kKernelBin);
  site.has_bulk = false;
  for (int i = 0; i < 8; ++i) site.iterate_seen();
  ASSERT_EQ(site.lock(), Lock::kLocked);
  const gate::GateSignal signal = site.loop.signal(site.now, 0);
  EXPECT_EQ(signal.guard_from, signal.guard_until);
  EXPECT_NE(signal.guard_from, kNever);  // which would let the gate react to queues
  site.news();
  site.pass(milliseconds(500));
  EXPECT_EQ(site.llm().misses(), 1u);
  EXPECT_EQ(site.news(), std::vector{SiteNews::Kind::kWrong});
}

TEST(SiteLoop, AnExpectedBeginThatDoesNotComeIsAMissAndAfterThreeItIsLost) {
  Site site(CounterWatch::kBin);
  for (int i = 0; i < 8; ++i) site.iterate_seen();
  ASSERT_EQ(site.lock(), Lock::kLocked);
  site.news();
  site.pass(milliseconds(500));
  EXPECT_EQ(site.llm().misses(), 1u);
  EXPECT_FALSE(site.is_guarded());
  site.pass(milliseconds(1000));
  EXPECT_EQ(site.llm().misses(), 2u);
  site.pass(milliseconds(1500));
  EXPECT_EQ(site.lock(), Lock::kLost);
  using enum SiteNews::Kind;
  EXPECT_EQ(site.news(), (std::vector{kWrong, kWrong, kLost, kWrong}));  // what was expected when it was lost did not come either
  EXPECT_EQ(site.loop.signal(site.now, 0).guard_from, kNever);  // so back-offs count as bursts: the gate reacts
}

TEST(SiteLoop, CountersMoveTheGateOnlyWhileNobodyAnnounces) {
  Site site(CounterWatch::kBin);
  site.say(PhaseKind::kBegin);
  site.pass(milliseconds(10));
  site.say(PhaseKind::kEnd);
  site.loop.on_counters(0, Edge::kBegin, site.now, site.now);
  EXPECT_FALSE(site.is_closed());
  site.loop.on_counters(0, Edge::kEnd, site.now, site.now);
  site.pass(TrainingWatch::kSilence + milliseconds(20));
  site.loop.on_counters(0, Edge::kBegin, site.now, site.now);
  EXPECT_TRUE(site.is_closed());
}

TEST(SiteLoop, APauseWithinABurstIsNoIteration) {
  Site site(CounterWatch::kBin);
  for (int i = 0; i < 16; ++i) {
    site.loop.on_counters(0, Edge::kBegin, site.now, site.now);
    site.pass(milliseconds(50));
    site.loop.on_counters(0, Edge::kEnd, site.now, site.now);
    site.pass(milliseconds(50));
    site.loop.on_counters(0, Edge::kBegin, site.now, site.now);
    site.pass(milliseconds(300));
    site.loop.on_counters(0, Edge::kEnd, site.now, site.now);
    site.pass(milliseconds(600));
  }
  EXPECT_EQ(site.lock(), Lock::kLocked);
  EXPECT_NEAR(static_cast<double>(site.llm().period(site.now).count()), 1e9, 1e7);
}

// Begins until it is locked with that period; 100: never.
int begins_until_locked(Site& site, Duration burst, Duration gap) {
  for (int begins = 1; begins < 100; ++begins) {
    site.say(PhaseKind::kBegin);
    const double off = static_cast<double>((site.llm().period(site.now) - burst - gap).count()) / static_cast<double>((burst + gap).count());
    if (site.lock() == Lock::kLocked && std::abs(off) < 0.05) return begins;
    site.pass(burst);
    site.say(PhaseKind::kEnd);
    site.pass(gap);
  }
  return 100;
}
void say_burst(Site& site, Duration burst, Duration gap) {
  site.say(PhaseKind::kBegin);
  site.pass(burst);
  site.say(PhaseKind::kEnd);
  site.pass(gap);
}

// The silence was taken for the gap between iterations, and for thirty bursts what came after shorter ones for a pause.
TEST(SiteLoop, ATrainingThatWasSilentOrOddIsLockedSoonAfter) {
  using std::chrono::seconds;
  struct Row { const char* what; std::vector<Duration> gaps; };
  const Row rows[] = {
      {"a try, and a silence", {seconds(30)}},
      {"three tries within a second, and a silence", {milliseconds(200), milliseconds(400), seconds(30)}},
      {"tries at odd times", {milliseconds(200), seconds(28), seconds(20), seconds(5)}},
      {"tries far apart", {seconds(20), seconds(25), seconds(15), seconds(18)}},
  };
  for (const Row& row : rows) {
    Site site;
    for (const Duration gap : row.gaps) say_burst(site, milliseconds(100), gap);
    EXPECT_LE(begins_until_locked(site, milliseconds(400), milliseconds(600)), 15) << row.what;
  }
  Site site;
  site.has_bulk = false;  // no hold-outs between
  for (int i = 0; i < 20; ++i) site.iterate();
  site.pass(seconds(30));
  EXPECT_LE(begins_until_locked(site, milliseconds(400), milliseconds(600)), 6) << "the same as before";
  EXPECT_LE(begins_until_locked(site, milliseconds(80), milliseconds(120)), 12) << "a fifth of it";
}

// A pass that sends its buckets one by one.
TEST(SiteLoop, TwentyBurstsOfOneIterationAreOne) {
  Site site;
  site.has_bulk = false;
  for (int i = 0; i < 20; ++i) {
    for (int bucket = 0; bucket < 19; ++bucket) say_burst(site, milliseconds(20), milliseconds(30));
    say_burst(site, milliseconds(20), milliseconds(600));
  }
  EXPECT_EQ(site.lock(), Lock::kLocked);
  EXPECT_NEAR(static_cast<double>(site.llm().period(site.now).count()), 1.57e9, 2e7);
}

TEST(SiteLoop, APauseOfABurstThatIsSeenOpensNoGate) {
  Site site(CounterWatch::kBin);
  site.has_bulk = false;
  for (int i = 0; i < 8; ++i) site.iterate_seen();
  site.loop.on_counters(0, Edge::kBegin, site.now, site.now);
  site.pass(milliseconds(100));
  site.loop.on_counters(0, Edge::kEnd, site.now - milliseconds(20), site.now);
  EXPECT_TRUE(site.is_closed());
  site.pass(milliseconds(50));
  EXPECT_TRUE(site.is_closed());
  site.pass(milliseconds(50));  // a burst that is shorter than the others, after all
  EXPECT_FALSE(site.is_closed());
  site.loop.on_counters(0, Edge::kBegin, site.now, site.now);
  site.pass(milliseconds(190));
  site.loop.on_counters(0, Edge::kEnd, site.now, site.now);  // as long as they are
  EXPECT_FALSE(site.is_closed());
}

TEST(SiteLoop, AWordAheadIsGuardedAndOneThatWasWrongIsAMiss) {
  Site site;
  site.say(PhaseKind::kPredict, {.bytes = {}, .duration = {}, .period = {}, .jitter = milliseconds(5), .ttl = {}}, milliseconds(100));
  EXPECT_FALSE(site.is_guarded());
  site.pass(milliseconds(90));
  EXPECT_TRUE(site.is_guarded());
  site.pass(milliseconds(30));
  EXPECT_FALSE(site.is_guarded());
  EXPECT_EQ(site.llm().misses(), 1u);
  EXPECT_EQ(site.loop.signal(site.now, 0).guard_from, kNever);
}

// Bulk was held at once, and until three and a half hours after the begin.
TEST(SiteLoop, APredictionOfAnyJitterGuardsForNoLongerThanABurstMayLast) {
  const gate::PhaseDetails wild{.bytes = {}, .duration = {}, .period = {}, .jitter = std::chrono::microseconds(UINT32_MAX), .ttl = {}};
  Site site;
  site.say(PhaseKind::kPredict, wild, std::chrono::minutes(10));
  EXPECT_FALSE(site.is_guarded());
  gate::GateSignal signal = site.loop.signal(site.now, 0);
  EXPECT_EQ(signal.guard_until - signal.guard_from, std::chrono::seconds(60));
  EXPECT_EQ(signal.guard_from, site.now + std::chrono::minutes(10) - std::chrono::seconds(30));
  // Nanoseconds, where microseconds are asked for: the period is known, and most of a gap stays.
  Site known;
  known.has_bulk = false;
  for (int i = 0; i < 8; ++i) known.iterate();
  known.say(PhaseKind::kPredict, {.bytes = {}, .duration = {}, .period = {}, .jitter = std::chrono::seconds(5), .ttl = {}}, milliseconds(500));
  signal = known.loop.signal(known.now, 0);
  EXPECT_NEAR(static_cast<double>((signal.guard_from - known.now).count()), 300e6, 10e6);
  EXPECT_NEAR(static_cast<double>((signal.guard_until - known.now).count()), 700e6, 10e6);
}

TEST(SiteLoop, APredictionOnTheBoardThatIsTooFarAheadIsNone) {
  Site site;
  site.loop.on_board_prediction(site.now, kNever - milliseconds(1), 0);
  site.loop.on_board_prediction(site.now, site.now + gate::kAheadMax + milliseconds(1), 0);
  EXPECT_EQ(site.loop.signal(site.now, 0).guard_from, kNever);
  site.loop.on_board_prediction(site.now, site.now + std::chrono::minutes(1), 0);
  EXPECT_NE(site.loop.signal(site.now, 0).guard_from, kNever);
}

TEST(SiteLoop, TheBoardIsAsGoodAsAWord) {
  Site site;
  for (int i = 0; i < 8; ++i) {
    site.loop.on_board_begin(site.now, 0);
    site.loop.on_board_begin(site.now, 0);  // two members
    site.loop.on_board_end(site.now + milliseconds(300), 0);
    EXPECT_TRUE(site.loop.is_bursting(0));
    site.loop.on_board_end(site.now + milliseconds(400), 0);
    EXPECT_FALSE(site.loop.is_bursting(0));
    site.pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(site.lock(), Lock::kLocked);
  EXPECT_EQ(site.llm().origin(), PhaseOrigin::kBoard);
}

TEST(SiteLoop, SaysThatAGateIsHeldForLong) {
  Site site;
  for (int i = 0; i < 100; ++i) {
    site.say(PhaseKind::kBegin);
    site.pass(milliseconds(1000));
  }
  EXPECT_EQ(site.news(), std::vector{SiteNews::Kind::kGateHeld});
}

// The site at the other end bursts each second for 400 ms, as its gateway says, 10 ms late.
void hear_of_peer(Site& site, int bursts) {
  for (int i = 0; i < bursts; ++i) {
    site.pass(milliseconds(10));
    site.loop.on_peer(0, PhaseKind::kBegin, site.now - milliseconds(10));
    site.pass(milliseconds(400));
    site.loop.on_peer(0, PhaseKind::kEnd, site.now - milliseconds(10));
    site.pass(milliseconds(590));
  }
}

TEST(SiteLoop, TheOtherSitesBurstsAreGuardedOnceTheyAreExpectedAndNeverCloseTheGate) {
  Site site;
  hear_of_peer(site, 2);
  EXPECT_FALSE(site.is_guarded());
  hear_of_peer(site, 6);
  EXPECT_TRUE(site.is_guarded());  // a begin is due now
  site.pass(milliseconds(390));
  EXPECT_TRUE(site.is_guarded());
  EXPECT_FALSE(site.is_closed());
  site.pass(milliseconds(200));
  EXPECT_FALSE(site.is_guarded());
  EXPECT_EQ(site.llm().misses(), 0u);  // nobody promised that its begin would be heard here
  EXPECT_EQ(site.news(), std::vector<SiteNews::Kind>());
}

// Its begin was heard, and with that the guard was over, while the burst had just begun.
TEST(SiteLoop, TheOtherSitesBurstIsGuardedUntilItEnds) {
  Site site;
  hear_of_peer(site, 40);
  site.pass(milliseconds(10));
  site.loop.on_peer(0, PhaseKind::kBegin, site.now - milliseconds(10));
  for (int i = 0; i < 38; ++i) {
    site.pass(milliseconds(10));
    ASSERT_TRUE(site.is_guarded()) << i;
  }
  site.pass(milliseconds(20));
  site.loop.on_peer(0, PhaseKind::kEnd, site.now - milliseconds(10));
  EXPECT_FALSE(site.is_guarded());
  site.pass(milliseconds(590));
  EXPECT_TRUE(site.is_guarded()) << "the next one is due";
  site.loop.on_peer(0, PhaseKind::kBegin, site.now);
  site.pass(milliseconds(600));
  EXPECT_FALSE(site.is_guarded()) << "nobody says that it ended, and it lasts no longer than it did";
}

// A machine that is busy tells of begins later than they were.
TEST(SiteLoop, TheOtherSitesBurstsAreGuardedAlsoWhenTheirBeginsStray) {
  for (const int jitter : {50, 100, 200}) {  // milliseconds, of a second
    Site site;
    std::mt19937_64 random(static_cast<uint64_t>(jitter));
    std::uniform_int_distribution<int> late(0, jitter);
    int guarded = 0;
    for (int i = 0; i < 40; ++i) {
      const int by = late(random);
      site.pass(milliseconds(by));
      site.loop.on_peer(0, PhaseKind::kBegin, site.now);
      site.pass(milliseconds(200));
      guarded += i >= 15 && site.is_guarded();
      site.pass(milliseconds(200));
      site.loop.on_peer(0, PhaseKind::kEnd, site.now);
      site.pass(milliseconds(600 - by));
    }
    EXPECT_GE(guarded, 20) << jitter;
  }
}

TEST(SiteLoop, TheOtherSitesWordCountsForNothingOnceItIsStaleOrOurOwnTrainersSpeak) {
  Site silent;
  hear_of_peer(silent, 8);
  silent.pass(milliseconds(3500));
  for (int i = 0; i < 100; ++i) {
    silent.pass(milliseconds(10));
    ASSERT_FALSE(silent.is_guarded()) << i;
  }
  Site announced;
  hear_of_peer(announced, 8);
  announced.iterate();
  EXPECT_FALSE(announced.is_guarded());
}

TEST(SiteLoop, SaysWhenBurstsBeginAndEndForThoseAtTheOtherEnd) {
  Site site;
  site.say(PhaseKind::kBegin);
  const Time begin = site.now;
  site.pass(milliseconds(400));
  site.say(PhaseKind::kEnd);
  const auto news = site.loop.take_news();
  ASSERT_EQ(news.size(), 2u);
  EXPECT_EQ(news[0].kind, SiteNews::Kind::kBegun);
  EXPECT_EQ(news[0].at, begin);
  EXPECT_EQ(news[1].kind, SiteNews::Kind::kEnded);
  hear_of_peer(site, 2);
  EXPECT_TRUE(site.loop.take_news().empty());  // what others say is not said again
}

TEST(SiteLoop, ABurstThatNobodyEndsIsStale) {
  Site site;
  site.say(PhaseKind::kBegin, {.ttl = milliseconds(300)});
  site.pass(milliseconds(280));
  EXPECT_EQ(site.news(), std::vector<SiteNews::Kind>());
  site.pass(milliseconds(40));
  EXPECT_EQ(site.news(), std::vector{SiteNews::Kind::kStale});
}

TEST(SiteLoop, ABurstOnTheBoardThatNobodyEndsIsStale) {
  Site site;
  site.loop.on_board_begin(site.now, 0);
  site.loop.on_board_begin(site.now, 0);  // two members
  site.pass(milliseconds(300));
  site.loop.on_board_end(site.now, 0);
  site.pass(milliseconds(300));
  EXPECT_TRUE(site.loop.is_bursting(0));
  const auto heard_at = site.llm().heard_at();
  site.loop.on_board_run_out(site.now, 0);
  EXPECT_FALSE(site.loop.is_bursting(0));
  EXPECT_FALSE(site.loop.bursting_training(0));
  EXPECT_EQ(site.news(), std::vector{SiteNews::Kind::kStale});
  EXPECT_EQ(site.llm().heard_at(), heard_at) << "nobody said it";
}

TEST(SiteLoop, KnowsForHowMuchOfTheTimeTrainingsLeaveALinkOpen) {
  Site site;
  const auto bursts = [&](int count, Duration burst, Duration gap) {
    for (int i = 0; i < count; ++i) {
      site.say(PhaseKind::kBegin);
      site.pass(burst);
      site.say(PhaseKind::kEnd);
      site.pass(gap);
    }
  };
  EXPECT_EQ(site.loop.open_share(0), 1);
  bursts(120, milliseconds(400), milliseconds(600));
  EXPECT_NEAR(site.loop.open_share(0), 0.6, 0.08);  // less the hold-outs
  bursts(120, milliseconds(960), milliseconds(40));
  EXPECT_LT(site.loop.open_share(0), 0.1);
  EXPECT_GT(site.loop.open_share(1), 0.999) << "no training crosses the other link";
  site.pass(std::chrono::seconds(60));
  EXPECT_GT(site.loop.open_share(0), 0.9);
}

TEST(SiteLoop, SumsUpTheTimeInWhichALinkIsNeitherClosedNorGuarded) {
  Site site;
  site.pass(std::chrono::seconds(1));
  const auto opened_in = [&](Duration time) {
    const Duration before = site.loop.open(0);
    site.pass(time);
    return site.loop.open(0) - before;
  };
  EXPECT_EQ(opened_in(std::chrono::seconds(2)), std::chrono::seconds(2));
  site.say(PhaseKind::kBegin);
  EXPECT_EQ(opened_in(milliseconds(400)), Duration());
  site.say(PhaseKind::kEnd);
  EXPECT_EQ(opened_in(milliseconds(100)), milliseconds(100));
  site.say(PhaseKind::kPredict, {.jitter = milliseconds(50)}, milliseconds(300));
  EXPECT_LT(opened_in(milliseconds(300)), milliseconds(200)) << "the guard of a begin that is expected";
}

TEST(SiteLoop, ABeginThatIsSaidAfterCountersShowedItIsLateAndOneThatIsSaidBeforeIsNot) {
  Site site(CounterWatch::kBin);
  site.say(PhaseKind::kAlive);  // somebody announces here, so counters are a second opinion
  site.loop.on_counters(0, Edge::kBegin, site.now - milliseconds(10), site.now);
  site.pass(milliseconds(100));
  site.say(PhaseKind::kBegin);
  site.pass(milliseconds(300));
  site.say(PhaseKind::kEnd);
  site.loop.on_counters(0, Edge::kEnd, site.now, site.now);
  site.pass(milliseconds(600));
  EXPECT_EQ(site.llm().late(), 1u);
  EXPECT_EQ(site.news(), std::vector{SiteNews::Kind::kLate});
  site.say(PhaseKind::kBegin);
  site.pass(milliseconds(20));
  site.loop.on_counters(0, Edge::kBegin, site.now - milliseconds(10), site.now);
  site.pass(milliseconds(400));
  site.say(PhaseKind::kEnd);
  site.pass(milliseconds(600));
  site.say(PhaseKind::kBegin);
  EXPECT_EQ(site.llm().late(), 1u);
}

}  // namespace
}  // namespace tideway::planner
