// SPDX-License-Identifier: Apache-2.0
#include "daemon/phase_mail.h"

#include <gtest/gtest.h>

#include <poll.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

struct PhaseMailTest : testing::Test {
  PhaseMail mail;
  Time now{100s};

  void SetUp() override { ASSERT_TRUE(mail.open().ok()); }
  bool wakes() const {
    pollfd watched{mail.wait_fd(), POLLIN, 0};
    return poll(&watched, 1, 0) == 1;
  }
};

TEST_F(PhaseMailTest, ANoticeWakesAndLeavesWithItsAge) {
  EXPECT_FALSE(wakes());
  mail.tell({"wisconsin", {.training = 7}, now});
  EXPECT_TRUE(wakes());
  const auto told = mail.take_to_tell(now + 30ms);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].site, "wisconsin");
  EXPECT_EQ(told[0].notice.age_us, 30'000u);
  EXPECT_FALSE(wakes());
  mail.tell({"wisconsin", {.training = 7}, now});
  EXPECT_TRUE(mail.take_to_tell(now + PhaseMail::kNoticeAgeMax + 1ms).empty());  // too old to be of use
}

TEST_F(PhaseMailTest, WhatNobodyFetchesIsBounded) {
  for (size_t i = 0; i < 2 * PhaseMail::kWaitingMax; ++i) {
    mail.tell({"wisconsin", {.training = i + 1}, now});
    mail.hear({i, messages::PhaseNotice::Kind::kBegin, now});
    mail.raise(now, {PhaseTrouble::kStale, std::to_string(i)});
  }
  EXPECT_EQ(mail.take_to_tell(now).size(), PhaseMail::kWaitingMax);
  EXPECT_EQ(mail.take_heard().size(), PhaseMail::kWaitingMax);
  EXPECT_EQ(mail.take_alarms().size(), PhaseMail::kWaitingMax);
  EXPECT_EQ(mail.count(PhaseTrouble::kStale), 2 * PhaseMail::kWaitingMax);
}

TEST_F(PhaseMailTest, TellsWhichTrainingsWentOverTheirBudgetAndCameBack) {
  const BudgetNews over{"llm7", 0.03, 0.01}, within{"llm7", 0.004, 0.01};
  mail.tell_budget(over);
  mail.tell_budget(within);
  EXPECT_TRUE(wakes());
  EXPECT_EQ(mail.take_budget_news(), (std::vector<BudgetNews>{over, within}));
  EXPECT_TRUE(mail.take_budget_news().empty());
  for (size_t i = 0; i < 2 * PhaseMail::kWaitingMax; ++i) mail.tell_budget(over);
  EXPECT_EQ(mail.take_budget_news().size(), PhaseMail::kWaitingMax);
}

TEST_F(PhaseMailTest, TheSameAlarmIsToldOnceInAWhileAndCountedAlways) {
  EXPECT_TRUE(mail.raise(now, {PhaseTrouble::kForged, "beacon"}));
  EXPECT_FALSE(mail.raise(now + 1s, {PhaseTrouble::kForged, "beacon"}));
  EXPECT_TRUE(mail.raise(now + 1s, {PhaseTrouble::kForged, "oslo"}));
  EXPECT_TRUE(mail.raise(now + PhaseMail::kAgain, {PhaseTrouble::kForged, "beacon"}));
  EXPECT_EQ(mail.take_alarms().size(), 3u);
  EXPECT_EQ(mail.count(PhaseTrouble::kForged), 4u);
}

}  // namespace
}  // namespace tideway::daemon
