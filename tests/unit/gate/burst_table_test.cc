// SPDX-License-Identifier: Apache-2.0
#include "gate/burst_table.h"

#include <gtest/gtest.h>

namespace tideway::gate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using enum PhaseKind;

constexpr Time at(int64_t ms) { return Time(milliseconds(ms)); }

constexpr uint64_t kLlm = training_id("llm7"), kRl = training_id("rl2");

// llm7 crosses both links, rl2 the second one.
BurstTable table() {
  return BurstTable({.link_sites = {site_id("wisconsin"), site_id("oslo")}, .trainings = {{kLlm, {0, 1}}, {kRl, {1}}}});
}

PhaseEvent event(PhaseKind kind, uint64_t training = kLlm, uint16_t member = 0) {
  PhaseEvent event;
  event.kind = kind;
  event.training = training;
  event.member = member;
  event.members = 2;
  return event;
}

bool is_closed(const BurstTable& bursts, Time now, size_t link) { return now < bursts.signal(now, link).closed_until; }

TEST(BurstTable, HoldsUntilTheLastMemberEnds) {
  BurstTable bursts = table();
  EXPECT_EQ(bursts.on_event(at(0), event(kBegin, kLlm, 0)), EventFate::kTaken);
  EXPECT_EQ(bursts.on_event(at(1), event(kBegin, kLlm, 1)), EventFate::kTaken);
  EXPECT_TRUE(is_closed(bursts, at(2), 0));
  bursts.on_event(at(10), event(kEnd, kLlm, 0));
  EXPECT_TRUE(is_closed(bursts, at(10), 0));
  bursts.on_event(at(20), event(kEnd, kLlm, 1));
  EXPECT_FALSE(is_closed(bursts, at(20), 0));
  EXPECT_EQ(bursts.on_event(at(21), event(kEnd, kLlm, 1)), EventFate::kNotBegun);
}

TEST(BurstTable, SeveralTrainingsHoldTheLinksTheyCross) {
  BurstTable bursts = table();
  bursts.on_event(at(0), event(kBegin, kRl));
  EXPECT_FALSE(is_closed(bursts, at(1), 0));
  EXPECT_TRUE(is_closed(bursts, at(1), 1));
  bursts.on_event(at(2), event(kBegin, kLlm));
  bursts.on_event(at(3), event(kEnd, kRl));
  EXPECT_TRUE(is_closed(bursts, at(4), 0));
  EXPECT_TRUE(is_closed(bursts, at(4), 1));
  EXPECT_EQ(bursts.signal(at(4), 1).training, 0);
}

TEST(BurstTable, ADestinationHoldsItsLinkOnly) {
  BurstTable bursts = table();
  PhaseEvent one = event(kBegin);
  one.destination = site_id("oslo");
  bursts.on_event(at(0), one);
  EXPECT_FALSE(is_closed(bursts, at(1), 0));
  EXPECT_TRUE(is_closed(bursts, at(1), 1));
  one.destination = site_id("nowhere");
  EXPECT_EQ(bursts.on_event(at(1), one), EventFate::kUnknownDestination);
  EXPECT_EQ(bursts.on_event(at(1), event(kBegin, training_id("stranger"))), EventFate::kUnknownTraining);
}

TEST(BurstTable, AForgottenEndRunsOut) {
  BurstTable bursts = table();
  bursts.on_event(at(0), event(kBegin));
  EXPECT_EQ(bursts.next_deadline(), at(2000));
  EXPECT_TRUE(is_closed(bursts, at(1999), 0));
  EXPECT_FALSE(is_closed(bursts, at(2000), 0));
  bursts.on_time(at(2000));
  EXPECT_EQ(bursts.expired(), 1u);
  EXPECT_FALSE(bursts.is_bursting(0));
}

TEST(BurstTable, BeginAgainAndAliveRenew) {
  BurstTable bursts = table();
  bursts.on_event(at(0), event(kBegin));
  bursts.on_event(at(1500), event(kAlive));
  EXPECT_TRUE(is_closed(bursts, at(3400), 0));
  bursts.on_event(at(3400), event(kBegin));
  EXPECT_TRUE(is_closed(bursts, at(5300), 0));
  EXPECT_EQ(bursts.on_event(at(9000), event(kAlive)), EventFate::kNotBegun);  // over: alive begins nothing
}

TEST(BurstTable, TimeToLiveIsTheAnnouncedOneUpToTheMost) {
  const BurstTable bursts = table();
  EXPECT_EQ(bursts.ttl({.ttl = milliseconds(900)}), milliseconds(900));
  EXPECT_EQ(bursts.ttl({.duration = milliseconds(400), .jitter = milliseconds(5)}), milliseconds(415));
  EXPECT_EQ(bursts.ttl({.ttl = seconds(600)}), seconds(60));
  EXPECT_EQ(bursts.ttl({}), seconds(2));
}

TEST(BurstTable, RefusesMoreMembersThanItKeeps) {
  BurstTable bursts = table();
  for (size_t i = 0; i < BurstTable::kBurstsMax; ++i)
    ASSERT_EQ(bursts.on_event(at(0), event(kBegin, kLlm, static_cast<uint16_t>(i))), EventFate::kTaken);
  EXPECT_EQ(bursts.on_event(at(0), event(kBegin, kLlm, 5000)), EventFate::kFull);
  EXPECT_EQ(bursts.on_event(at(2001), event(kBegin, kLlm, 5000)), EventFate::kTaken);  // the others ran out
}

}  // namespace
}  // namespace tideway::gate
