// SPDX-License-Identifier: Apache-2.0
#include "daemon/link_shares.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

using job::Class;
using std::chrono::seconds;

constexpr Time kDealtAt = Time(seconds(1000));
constexpr job::WallTime kMonday = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);

Rate mbit(double n) { return Rate::bits_per_second(static_cast<uint64_t>(n * 1e6)); }
double in_mbit(Rate rate) { return rate.is_unlimited() ? 1e9 : rate.bits_per_second() / 1e6; }

ShareRules gigabit() {
  ShareRules rules;
  rules.links.push_back({"wisconsin", 1_Gbit, {}, {}});
  return rules;
}

// One that takes all that it is given.
Sender greedy(uint64_t number, Class service, uint32_t weight = 1) {
  return {.number = number, .peer = "wisconsin", .service = service, .weight = weight};
}

std::vector<double> deal(const ShareRules& rules, std::vector<Sender> senders, job::WallTime wall = kMonday) {
  std::vector<double> shares;
  for (const Share& share : LinkShares(rules).deal(senders, kDealtAt, wall)) shares.push_back(in_mbit(share.rate));
  return shares;
}

TEST(LinkShares, LimitNobodyOnALinkOfUnknownCapacity) {
  EXPECT_EQ(deal({}, {greedy(1, Class::kCheckpoint), greedy(2, Class::kBestEffort)}), (std::vector<double>{1e9, 1e9}));
}

TEST(LinkShares, GiveAJobAloneTheWholeLink) {
  EXPECT_NEAR(deal(gigabit(), {greedy(1, Class::kBestEffort)})[0], 1000, 1);
}

TEST(LinkShares, LetTheBetterClassHaveNearlyAllAndTheOtherAFloor) {
  const auto shares = deal(gigabit(), {greedy(1, Class::kCheckpoint), greedy(2, Class::kBestEffort)});
  EXPECT_GT(shares[0], 900);
  EXPECT_GT(shares[1], 5);
  EXPECT_NEAR(shares[0] + shares[1], 1000, 2);
}

TEST(LinkShares, DivideAClassByWeight) {
  const auto shares = deal(gigabit(), {greedy(1, Class::kStaging, 3), greedy(2, Class::kStaging)});
  EXPECT_NEAR(shares[0], 750, 2);
  EXPECT_NEAR(shares[1], 250, 2);
}

TEST(LinkShares, TellWhichLimitAJobMeets) {
  ShareRules rules = gigabit();
  rules.class_rates[static_cast<size_t>(Class::kStaging)] = mbit(100);
  rules.links[0].timetable = planner::Timetable::parse("Mon-00:00,10MiB").value();
  const LinkShares shares(rules);
  const auto held = [&](Sender sender, Rate sent, Rate gateway = Rate::unlimited()) {
    sender.sent = sent;
    return shares.held_to(sender, std::span(&sender, 1), gateway, kMonday);
  };
  Sender limited = greedy(1, Class::kCheckpoint);
  limited.most = mbit(40);
  EXPECT_EQ(held(limited, mbit(37)), HoldReason::kRateLimit);  // less headers
  EXPECT_EQ(held(limited, mbit(20)), HoldReason::kNone);
  EXPECT_EQ(held(greedy(1, Class::kStaging), mbit(92)), HoldReason::kRateLimit) << "that of its class";
  EXPECT_EQ(held(greedy(1, Class::kCheckpoint), mbit(55), mbit(60)), HoldReason::kRateLimit) << "that of the gateway";
  EXPECT_EQ(held(greedy(1, Class::kCheckpoint), mbit(78)), HoldReason::kTimetable);
  EXPECT_EQ(held(greedy(1, Class::kCheckpoint), mbit(30)), HoldReason::kNone);
}

TEST(LinkShares, LeaveToOthersWhatAJobDoesNotUse) {
  Sender slow = greedy(1, Class::kCheckpoint);
  slow.given = mbit(900);
  slow.sent = mbit(50);  // its source is slow
  const auto shares = deal(gigabit(), {slow, greedy(2, Class::kBestEffort)});
  EXPECT_NEAR(shares[1], 800, 2);  // all but four times what the other uses
  EXPECT_GE(shares[0], 199);       // and that stays open to it
}

TEST(LinkShares, KeepWhoStillUsesAThird) {
  Sender gated = greedy(1, Class::kCheckpoint);
  gated.given = mbit(960);
  gated.sent = mbit(400);  // the gate was closed for half of the time
  EXPECT_GT(deal(gigabit(), {gated, greedy(2, Class::kBestEffort)})[0], 900);
}

// What a job sends in the fifth of the time in which its gate is open was compared with what it may send all the time.
TEST(LinkShares, KeepWhoUsesAllOfTheTimeInWhichItsGateIsOpen) {
  Sender gated = greedy(1, Class::kCheckpoint), other = greedy(2, Class::kBestEffort);
  gated.open_share = other.open_share = 0.2;
  for (int second = 0; second < 6; ++second) {
    const auto rates = LinkShares(gigabit()).deal(std::vector{gated, other}, kDealtAt + seconds(second), kMonday);
    gated.given = rates[0].rate, gated.sent = gated.given * 0.2;
    other.given = rates[1].rate, other.sent = other.given * 0.2;
  }
  EXPECT_GT(in_mbit(gated.given), 900);
  EXPECT_LT(in_mbit(other.given), 100);
}

TEST(LinkShares, OpenUpForAJobThatWakes) {
  Sender idle = greedy(1, Class::kCheckpoint);
  idle.given = mbit(900);
  for (int second = 0; second < 6; ++second) {
    const auto rates = LinkShares(gigabit()).deal(std::vector{idle, greedy(2, Class::kBestEffort)}, kDealtAt + seconds(second), kMonday);
    idle.given = rates[0].rate;
    idle.sent = rates[0].rate;  // from now on it takes all it gets
  }
  EXPECT_GT(in_mbit(idle.given), 900);
}

TEST(LinkShares, LetARestorePassTheFillAndTheOthersHaveTheRest) {
  Sender restore = greedy(1, Class::kRestore);
  restore.given = mbit(1000);
  restore.sent = mbit(700);
  const auto shares = deal(gigabit(), {restore, greedy(2, Class::kCheckpoint)});
  EXPECT_NEAR(shares[0], 1000, 1);
  EXPECT_NEAR(shares[1], 300, 1);
  restore.sent = mbit(1000);
  EXPECT_NEAR(deal(gigabit(), {restore, greedy(2, Class::kCheckpoint)})[1], 20, 1);  // it never starves
}

TEST(LinkShares, CountARestoreAmongTheOthersWhereTheOwnerSaysSo) {
  ShareRules rules = gigabit();
  rules.modes[0] = Mode::kScavenge;
  const auto shares = deal(rules, {greedy(1, Class::kRestore), greedy(2, Class::kCheckpoint)});
  EXPECT_GT(shares[0], 900);
  EXPECT_LT(shares[1], 100);
  EXPECT_TRUE(LinkShares(rules).is_gated(Class::kRestore));
  EXPECT_FALSE(LinkShares(gigabit()).is_gated(Class::kRestore));
}

TEST(LinkShares, GiveWhatIsDueWhatItNeedsBeforeBetterClasses) {
  Sender due = greedy(1, Class::kBestEffort);
  due.due = kDealtAt + seconds(10);
  due.left = Bytes(500'000'000);  // 400 Mbit/s
  EXPECT_GT(deal(gigabit(), {due, greedy(2, Class::kCheckpoint)})[0], 400);
  due.mode = Mode::kFair;  // its deadline lets it compete
  EXPECT_NEAR(deal(gigabit(), {due, greedy(2, Class::kCheckpoint)})[0], 1000, 1);
  ShareRules rules = gigabit();
  rules.policy = "weighted_fair";
  EXPECT_FALSE(LinkShares(rules).keeps_deadlines());
  due.mode = Mode::kScavenge;
  EXPECT_LT(deal(rules, {due, greedy(2, Class::kCheckpoint)})[0], 100);
}

// It had nothing, which the session took for no limit at all, and nobody said why.
TEST(LinkShares, LeaveALittleToThoseBesideOneThatIsLateAndSayWhy) {
  for (const char* policy : {"deadline", "fifo"}) {
    ShareRules rules = gigabit();
    rules.policy = policy;
    Sender late = greedy(1, Class::kStaging);
    late.due = kDealtAt - seconds(10);
    late.left = Bytes(500'000'000);
    const auto shares = LinkShares(rules).deal(std::vector{late, greedy(2, Class::kStaging), greedy(3, Class::kBestEffort)}, kDealtAt, kMonday);
    EXPECT_GT(in_mbit(shares[0].rate), 900) << policy;
    EXPECT_EQ(shares[0].reason, HoldReason::kNone);
    Rate sum;
    for (const Share& share : shares) {
      EXPECT_GE(in_mbit(share.rate), 1) << policy;
      sum = sum + share.rate;
    }
    EXPECT_LE(in_mbit(sum), 1010) << policy;
    EXPECT_EQ(shares[2].reason, HoldReason::kLowerClass) << policy;
  }
}

TEST(LinkShares, KeepAClassWithinItsRate) {
  ShareRules rules = gigabit();
  rules.class_rates[static_cast<size_t>(Class::kStaging)] = mbit(100);
  const auto shares = deal(rules, {greedy(1, Class::kStaging), greedy(2, Class::kStaging), greedy(3, Class::kBestEffort)});
  EXPECT_NEAR(shares[0], 50, 1);
  EXPECT_NEAR(shares[1], 50, 1);
  EXPECT_NEAR(shares[2], 900, 2);
}

TEST(LinkShares, KeepAJobWithinItsOwnRate) {
  Sender limited = greedy(1, Class::kCheckpoint);
  limited.most = mbit(200);
  const auto shares = deal(gigabit(), {limited, greedy(2, Class::kBestEffort)});
  EXPECT_NEAR(shares[0], 200, 1);
  EXPECT_NEAR(shares[1], 800, 2);
}

TEST(LinkShares, FollowTheTimetable) {
  ShareRules rules = gigabit();
  rules.links[0].timetable = planner::Timetable::parse("08:00,100Mbit 20:00,pause 22:00,off").value();
  EXPECT_NEAR(deal(rules, {greedy(1, Class::kCheckpoint)}, kMonday + std::chrono::hours(9))[0], 100, 1);
  EXPECT_TRUE(LinkShares(rules).is_paused("wisconsin", kMonday + std::chrono::hours(21)));
  EXPECT_FALSE(LinkShares(rules).is_paused("wisconsin", kMonday + std::chrono::hours(23)));
  EXPECT_FALSE(LinkShares(rules).is_paused("ohio", kMonday + std::chrono::hours(21)));
  EXPECT_NEAR(deal(rules, {greedy(1, Class::kCheckpoint)}, kMonday + std::chrono::hours(23))[0], 1000, 1);
}

TEST(LinkShares, WhatWasSaidForATimeLeavesWhatWasInForceBefore) {
  ShareRules rules;
  rules.links.push_back({.peer = "wisconsin", .timetable = {}, .zone = {}, .ceiling = mbit(100)});
  LinkShares shares(rules);
  const auto hour = std::chrono::hours(1);
  shares.set_ceiling("wisconsin", {mbit(10), kMonday + hour});
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday).rate, mbit(10));
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday + hour).rate, mbit(100)) << "the configuration's";
  shares.set_ceiling("wisconsin", {mbit(50)});
  shares.set_ceiling("wisconsin", {mbit(10), kMonday + hour});
  shares.set_ceiling("wisconsin", {mbit(20), kMonday + 2 * hour});
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday + hour).rate, mbit(20));
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday + 2 * hour).rate, mbit(50)) << "the operator's";
  shares.set_ceiling("wisconsin", {mbit(10), kMonday + hour});
  shares.set_ceiling("wisconsin", {mbit(60)});
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday).rate, mbit(60)) << "what is said later holds at once";
}

// What was said for two hours used to end with the next change of the configuration.
TEST(LinkShares, WhatWasSaidForATimeHoldsThroughNewRules) {
  LinkShares shares(gigabit());
  const auto hour = std::chrono::hours(1);
  shares.set_ceiling("wisconsin", {mbit(50)});
  shares.set_ceiling("wisconsin", {mbit(10), kMonday + 2 * hour});
  shares.set_ceiling("ohio", {mbit(50)});
  ShareRules rules;
  rules.policy = "weighted_fair";
  rules.links.push_back({.peer = "wisconsin", .timetable = {}, .zone = {}, .ceiling = mbit(100)});
  rules.links.push_back({.peer = "ohio", .timetable = {}, .zone = {}, .ceiling = mbit(200)});
  shares.take_up(rules);
  EXPECT_FALSE(shares.keeps_deadlines());
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday + hour).rate, mbit(10));
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday + hour).until, kMonday + 2 * hour);
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday + 2 * hour).rate, mbit(100)) << "the new configuration's";
  EXPECT_EQ(shares.ceiling_of("ohio", kMonday).rate, mbit(200));
}

TEST(LinkShares, KeepAllJobsOfAPeerWithinItsCeilingTogether) {
  ShareRules rules;
  rules.links.push_back({.peer = "wisconsin", .timetable = {}, .zone = {}, .ceiling = mbit(100)});  // no [[link]] says what it carries
  const auto restores = deal(rules, {greedy(1, Class::kRestore), greedy(2, Class::kRestore)});
  EXPECT_NEAR(restores[0] + restores[1], 100, 1);
  Sender idle = greedy(1, Class::kStaging), other = greedy(2, Class::kStaging);
  idle.given = other.given = mbit(50);
  const auto waking = deal(rules, {idle, other});
  EXPECT_LE(waking[0] + waking[1], 101);
  EXPECT_GT(waking[0], 40);
}

TEST(LinkShares, ObeyWhatTheOperatorSaysUnderWayUntilItEnds) {
  LinkShares shares(gigabit());
  const auto given = [&](std::string_view peer, job::WallTime wall) {
    Sender sender = greedy(1, Class::kCheckpoint);
    sender.peer = peer;
    return in_mbit(shares.deal(std::vector{sender}, kDealtAt, wall)[0].rate);
  };
  shares.set_ceiling("wisconsin", {mbit(80), kMonday + std::chrono::hours(1)});
  shares.set_ceiling("ohio", {mbit(30)});
  EXPECT_NEAR(given("wisconsin", kMonday), 80, 1);
  EXPECT_NEAR(given("wisconsin", kMonday + std::chrono::hours(1)), 1000, 1);
  EXPECT_NEAR(given("ohio", kMonday), 30, 1);
  shares.set_ceiling("ohio", {Rate::unlimited()});
  EXPECT_EQ(given("ohio", kMonday), 1e9);
  EXPECT_EQ(shares.ceiling_of("wisconsin", kMonday).rate, mbit(80));
  EXPECT_TRUE(shares.ceiling_of("bergen", kMonday).rate.is_unlimited());
}

}  // namespace
}  // namespace tideway::daemon
