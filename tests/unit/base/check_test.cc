// SPDX-License-Identifier: Apache-2.0
#include <tideway/check.h>

#include <gtest/gtest.h>

#include <thread>

namespace tideway {
namespace {

// P03, P12: no thread goes on alone, and none is left that would act on what is wrong.
TEST(Check, AFailedCheckOfAnyThreadEndsTheProcess) {
  const int two = 2;
  EXPECT_DEATH(std::thread([&] { TIDEWAY_CHECK(two == 3); }).join(), "two == 3");
}

}  // namespace
}  // namespace tideway
