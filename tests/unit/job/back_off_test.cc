// SPDX-License-Identifier: Apache-2.0
#include "job/back_off.h"

#include <gtest/gtest.h>

namespace tideway::job {
namespace {

TEST(BackOff, DoublesFromTheFirstPauseUpToTheLongest) {
  Random random(1);
  Duration whole = kRetryFirst;
  for (uint32_t attempts = 1; attempts < 12; ++attempts) {
    const Duration pause = back_off(Reaction::kRetry, attempts, random);
    EXPECT_LE(pause, whole);
    EXPECT_GE(pause, whole - whole / 4);
    whole = std::min(whole * 2, kRetryMax);
  }
}

TEST(BackOff, StaysAtTheLongestHoweverManyAttempts) {
  Random random(2);
  EXPECT_LE(back_off(Reaction::kRetry, UINT32_MAX, random), kRetryMax);
  EXPECT_LE(back_off(Reaction::kWait, UINT32_MAX, random), kWaitMax);
  EXPECT_GE(back_off(Reaction::kWait, UINT32_MAX, random), kWaitMax - kWaitMax / 4);
}

TEST(BackOff, JobsOfOneGatewayDoNotAllAskAtOnce) {
  Random random(3);
  std::set<Duration> pauses;
  for (int i = 0; i < 100; ++i) pauses.insert(back_off(Reaction::kRetry, 4, random));
  EXPECT_GT(pauses.size(), 90U);
}

}  // namespace
}  // namespace tideway::job
