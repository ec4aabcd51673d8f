// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoints.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

api::Progress so_far(std::string stage, Bytes held, Bytes verified, Bytes needed) {
  api::Progress progress;
  progress.stage = std::move(stage);
  progress.bytes_held = held;
  progress.bytes_verified = verified;
  progress.bytes_needed = needed;
  return progress;
}

TEST(Checkpoints, D11MoreThanHalfOfItIsNotGivenUpForANewerOne) {
  EXPECT_TRUE(is_past_half(so_far("send", 0_B, 51_GiB, 100_GiB)));
  EXPECT_FALSE(is_past_half(so_far("send", 0_B, 50_GiB, 100_GiB)));
  EXPECT_TRUE(is_past_half(so_far("send", 60_GiB, 0_B, 40_GiB))) << "what an earlier run brought counts";
  EXPECT_FALSE(is_past_half(so_far("send", 30_GiB, 10_GiB, 70_GiB)));
  EXPECT_TRUE(is_past_half(so_far("publish", 0_B, 100_GiB, 100_GiB)));
  EXPECT_FALSE(is_past_half(so_far("scan", 0_B, 2_GiB, 3_GiB))) << "what it needs is not known yet";
  EXPECT_FALSE(is_past_half(so_far("connect", 0_B, 0_B, 0_B)));
}

}  // namespace
}  // namespace tideway::daemon
