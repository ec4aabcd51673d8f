// SPDX-License-Identifier: Apache-2.0
#include "daemon/link_sampler.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

constexpr LinkHold::Trainings kSomeIsKnown = LinkHold::Trainings::kKnown;

TEST(HoldReason, IsTheGatesWhileItIsNotOpen) {
  EXPECT_EQ(hold_reason({.reason = "gate:llm7", .open_share = 0.6, .trainings = kSomeIsKnown}), "gate:llm7");
  EXPECT_EQ(hold_reason({.reason = "guard", .trainings = kSomeIsKnown}), "guard");
  EXPECT_EQ(hold_reason({}), "");
}

TEST(HoldReason, AGateThatIsHardlyEverOpenStarvesJobs) {
  EXPECT_EQ(hold_reason({.reason = "gate:llm7", .open_share = 0.05, .trainings = kSomeIsKnown}), "gate_starved");
  EXPECT_EQ(hold_reason({.reason = "budget", .open_share = 0.05, .trainings = kSomeIsKnown}), "budget");  // that is our own doing
  EXPECT_EQ(hold_reason({.open_share = 0.05, .trainings = kSomeIsKnown}), "");                            // it is open now
}

TEST(HoldReason, BackingOffIsReactiveBesideAKnownTrainingAndElseUnknownForeground) {
  EXPECT_EQ(hold_reason({.reacted = 0.2, .trainings = kSomeIsKnown}), "reactive");
  EXPECT_EQ(hold_reason({.reacted = 0.2}), "unknown_foreground");
  EXPECT_EQ(hold_reason({.reason = "reactive"}), "unknown_foreground");
  EXPECT_EQ(hold_reason({.reacted = 0.01}), "");
  EXPECT_EQ(hold_reason({.reason = "gate:llm7", .reacted = 0.2, .trainings = kSomeIsKnown}), "gate:llm7");
}

}  // namespace
}  // namespace tideway::daemon
