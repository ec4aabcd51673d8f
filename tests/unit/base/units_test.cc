// SPDX-License-Identifier: Apache-2.0
#include <tideway/units.h>

#include <gtest/gtest.h>

namespace tideway {
namespace {

TEST(Rate, ASumWithAnUnlimitedRateIsUnlimited) {
  EXPECT_EQ(2_Mbit + 3_Mbit, 5_Mbit);
  EXPECT_EQ(Rate() + 3_Mbit, 3_Mbit);
  EXPECT_EQ(Rate::unlimited() + 3_Mbit, Rate::unlimited());
  EXPECT_EQ(3_Mbit + Rate::unlimited(), Rate::unlimited());
  EXPECT_EQ(Rate::unlimited() + Rate::unlimited(), Rate::unlimited());
}

}  // namespace
}  // namespace tideway
