// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <gtest/gtest.h>

namespace tideway {
namespace {

TEST(Random, TheSameSeedGivesTheSameChoices) {
  Random a(7), b(7), c(8);
  EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(a.next(), c.next());
}

TEST(Random, FractionsFillTheirRange) {
  Random random(1);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double f = random.fraction();
    ASSERT_GE(f, 0);
    ASSERT_LT(f, 1);
    sum += f;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

}  // namespace
}  // namespace tideway
