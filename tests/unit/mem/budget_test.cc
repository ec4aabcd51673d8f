// SPDX-License-Identifier: Apache-2.0
#include "mem/budget.h"

#include <gtest/gtest.h>

namespace tideway {
namespace {

TEST(Budget, RefusesTheHolderThatDoesNotFitAndNamesAll) {
  Budget budget(10_MiB);
  EXPECT_TRUE(budget.add("block buffers", 8_MiB).ok());
  const Status status = budget.add("replay windows", 3_MiB);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().what.find("block buffers 8 MiB, replay windows 3 MiB"), std::string::npos);
  EXPECT_EQ(budget.left(), 2_MiB);
}

}  // namespace
}  // namespace tideway
