// SPDX-License-Identifier: Apache-2.0
#include "storage/link_target.h"

#include <gtest/gtest.h>

#include <string>

namespace tideway::storage {
namespace {

TEST(StaysInside, TargetsBelowTheTopAreKept) {
  EXPECT_TRUE(stays_inside(0, "a"));
  EXPECT_TRUE(stays_inside(0, "./a//b/"));
  EXPECT_TRUE(stays_inside(1, "../a"));
  EXPECT_TRUE(stays_inside(2, "../.."));
  EXPECT_TRUE(stays_inside(0, "dangling/on/purpose"));
}

TEST(StaysInside, TargetsThatMayLeaveAreRefused) {
  EXPECT_FALSE(stays_inside(5, "/etc/passwd"));
  EXPECT_FALSE(stays_inside(0, ".."));
  EXPECT_FALSE(stays_inside(1, "../../a"));
  EXPECT_FALSE(stays_inside(0, ""));
  EXPECT_FALSE(stays_inside(0, std::string("a\0b", 3)));
  EXPECT_FALSE(stays_inside(0, std::string(4096, 'a')));
}

TEST(StaysInside, ClimbingBehindAComponentIsRefusedBecauseThatMayBeALink) {
  // With b -> .. the target b/../x, looked at as text, stays; followed, it leaves.
  EXPECT_FALSE(stays_inside(3, "b/../x"));
}

}  // namespace
}  // namespace tideway::storage
