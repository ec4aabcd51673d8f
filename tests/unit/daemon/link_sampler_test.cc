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

double in_kib(double bytes) { return bytes / 1024; }

TEST(LeftOfALink, IsWhatAnnouncedBurstsDoNotTake) {
  const TrainingTime time{.over = std::chrono::seconds(10), .bursting = std::chrono::seconds(4), .open = std::chrono::seconds(5)};  // and hold-outs
  EXPECT_NEAR(in_kib(left_by_trainings(Rate::bytes_per_second(1024), time)), 6, 1e-6);
  EXPECT_NEAR(in_kib(left_to_use(Rate::bytes_per_second(1024), time)), 5, 1e-6);
}

// Deadlines were promised half of each burst, in which the gate lets nothing pass.
TEST(LeftOfALink, BesideABurstThatCountersShowToFillHalfOfItIsNobodys) {
  const TrainingTime half{.over = std::chrono::seconds(10), .bursting = std::chrono::seconds(8), .open = std::chrono::seconds(2), .foreground = Bytes(4 * 1024)};
  EXPECT_NEAR(in_kib(left_by_trainings(Rate::bytes_per_second(1024), half)), 6, 1e-6);
  EXPECT_NEAR(in_kib(left_to_use(Rate::bytes_per_second(1024), half)), 2, 1e-6);
  const TrainingTime thin{.over = std::chrono::seconds(10), .open = std::chrono::seconds(10), .foreground = Bytes(512)};  // too thin for a burst
  EXPECT_NEAR(in_kib(left_to_use(Rate::bytes_per_second(1024), thin)), 9.5, 1e-6);
}

}  // namespace
}  // namespace tideway::daemon
