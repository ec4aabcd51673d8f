// SPDX-License-Identifier: Apache-2.0
#include "congestion/registry.h"

#include "congestion/loss_rate.h"

#include <gtest/gtest.h>

namespace tideway::congestion::registry_test {
namespace {

TEST(Registry, KnowsItsControllersByName) {
  EXPECT_TRUE(find_controller("bbr", Rate()).ok());
  EXPECT_TRUE(find_controller("contracted", 1_Gbit).ok());
  const auto unknown = find_controller("cubic", 1_Gbit);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().fault, Fault::kConfigInvalid);
  EXPECT_EQ(unknown.error().next, "choose one of bbr, contracted, scavenger");
}

TEST(Registry, RefusesAContractWithoutARate) {
  EXPECT_FALSE(find_controller("contracted", Rate()).ok());
  EXPECT_FALSE(find_controller("contracted", Rate::unlimited()).ok());
}

TEST(LossRate, ASmallSampleIsNotJudged) {
  LossRate loss;
  loss.on_acked(70);
  loss.on_lost(10);
  EXPECT_FALSE(loss.judge(0.02, LossRate::Queue::kSeen));
  loss.on_acked(944);
  EXPECT_DOUBLE_EQ(loss.judge(0.02, LossRate::Queue::kSeen).value(), 10.0 / 1024);
  EXPECT_EQ(loss.lost(), 0U);
}

TEST(LossRate, WhatNoLaterAckCouldExcuseIsJudgedAtOnce) {
  LossRate loss;
  loss.on_acked(100);
  loss.on_lost(50);
  EXPECT_FALSE(loss.judge(0.02, LossRate::Queue::kNotSeen));
  EXPECT_DOUBLE_EQ(loss.judge(0.02, LossRate::Queue::kSeen).value(), 1.0 / 3);
}

TEST(LossRate, TheThresholdFollowsTheBaseWithinBounds) {
  EXPECT_DOUBLE_EQ(loss_threshold(0), 0.02);
  EXPECT_DOUBLE_EQ(loss_threshold(0.03), 0.045);
  EXPECT_DOUBLE_EQ(loss_threshold(0.2), 0.06);
}

}  // namespace
}  // namespace tideway::congestion::registry_test
