// SPDX-License-Identifier: Apache-2.0
#include "engine/rate_shares.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

constexpr Rate kAll = Rate::unlimited();
Rate rate(uint64_t n) { return Rate::bytes_per_second(n); }

TEST(RateShares, ThoseWhoWantAllGetEqualParts) {
  EXPECT_EQ(share_out(rate(900), std::vector{kAll, kAll, kAll}), (std::vector{rate(300), rate(300), rate(300)}));
}

TEST(RateShares, WhatTheModestLeaveGoesToTheOthers) {
  EXPECT_EQ(share_out(rate(900), std::vector{kAll, rate(100), kAll}), (std::vector{rate(400), rate(100), rate(400)}));
  EXPECT_EQ(share_out(rate(900), std::vector{rate(0), kAll}), (std::vector{rate(0), rate(900)}));
}

TEST(RateShares, TheSumNeverExceedsTheTotal) {
  EXPECT_EQ(share_out(rate(10), std::vector{kAll, kAll, kAll}), (std::vector{rate(3), rate(3), rate(4)}));
  EXPECT_EQ(share_out(rate(100), std::vector{rate(60), rate(60)}), (std::vector{rate(50), rate(50)}));
}

TEST(RateShares, WithoutALimitEachGetsWhatItWants) {
  EXPECT_EQ(share_out(kAll, std::vector{kAll, rate(5)}), (std::vector{kAll, rate(5)}));
  EXPECT_TRUE(share_out(rate(5), {}).empty());
}

// Three quarters of the rate used to be nobody's while all were idle, and who began had to do with the rest at first.
TEST(RateShares, WhatNobodyWantsIsOpenToAll) {
  EXPECT_EQ(share_out_all(rate(900), std::vector{rate(0), rate(300), rate(0)}), (std::vector{rate(200), rate(500), rate(200)}));
  EXPECT_EQ(share_out_with_standby(rate(800), {rate(0), rate(0)}), (std::vector{rate(400), rate(400)}));
  EXPECT_EQ(share_out_with_standby(rate(800), {rate(0), kAll}), (std::vector{rate(100), rate(700)}));
  EXPECT_EQ(share_out_all(kAll, std::vector{rate(5)}), std::vector{rate(5)});
}

}  // namespace
}  // namespace tideway::engine
