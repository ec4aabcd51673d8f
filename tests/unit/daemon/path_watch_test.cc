// SPDX-License-Identifier: Apache-2.0
#include "daemon/path_watch.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

TEST(PathWatch, PutsARoundTripBelowTheFirstBoundThatItDoesNotExceed) {
  PathWatch watch;
  for (const Duration rtt : {Duration(50us), Duration(100us), Duration(20ms), Duration(20'001us), Duration(1s), Duration(2s)}) watch.take_rtt(rtt);
  const Histogram& rtts = watch.rtts();
  EXPECT_EQ(rtts.counts[0], 2U);
  EXPECT_EQ(rtts.counts[5], 1U);  // 20 ms
  EXPECT_EQ(rtts.counts[6], 1U);  // 30 ms
  EXPECT_EQ(rtts.counts[PathWatch::kRttBounds.size() - 1], 1U);
  EXPECT_EQ(rtts.all, 6U);
  EXPECT_DOUBLE_EQ(rtts.sum, 3.040151);
}

}  // namespace
}  // namespace tideway::daemon
