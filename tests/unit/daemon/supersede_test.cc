// SPDX-License-Identifier: Apache-2.0
#include "daemon/supersede.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

job::Job checkpoint_of(uint64_t step) {
  job::Job job;
  job.state = job::State::kRunning;
  job.spec.series = "llm7";
  job.spec.step = step;
  job.spec.destination = "oslo:ckpt/runs/llm7/step-" + std::to_string(step);
  job.spec.checkpoint.emplace();
  return job;
}

api::Progress sent(Bytes verified, Bytes needed) {
  api::Progress progress;
  progress.stage = "send";
  progress.bytes_verified = verified;
  progress.bytes_needed = needed;
  return progress;
}

TEST(Supersede, D11AnOlderOneGivesWayUnlessMoreThanHalfOfItIsThere) {
  const job::Job older = checkpoint_of(100), newer = checkpoint_of(200);
  EXPECT_TRUE(gives_way(older, std::nullopt, newer)) << "it waits";
  EXPECT_TRUE(gives_way(older, sent(50_MiB, 100_MiB), newer));
  EXPECT_FALSE(gives_way(older, sent(51_MiB, 100_MiB), newer));
  api::Progress of_a_base = sent(0_B, 10_MiB);
  of_a_base.bytes_held = 90_MiB;
  EXPECT_FALSE(gives_way(older, of_a_base, newer)) << "what the destination has counts";
  api::Progress scanning = sent(1_MiB, 1_MiB);
  scanning.stage = "scan";
  EXPECT_TRUE(gives_way(older, scanning, newer)) << "how much there is is not known yet";
}

TEST(Supersede, D11WithAllEveryOneIsBrought) {
  job::Job newer = checkpoint_of(200);
  newer.spec.checkpoint->supersede = job::Checkpoint::Supersede::kAll;
  EXPECT_FALSE(gives_way(checkpoint_of(100), std::nullopt, newer));
}

TEST(Supersede, OnlyOlderOnesOfItsSeriesAtItsPlaceGiveWay) {
  const job::Job newer = checkpoint_of(200);
  EXPECT_FALSE(gives_way(checkpoint_of(200), std::nullopt, newer));
  EXPECT_FALSE(gives_way(checkpoint_of(300), std::nullopt, newer)) << "a late one takes nobody's place";
  job::Job other = checkpoint_of(100);
  other.spec.series = "llm8";
  EXPECT_FALSE(gives_way(other, std::nullopt, newer));
  other = checkpoint_of(100);
  other.spec.destination = "wisconsin:ckpt/runs/llm7/step-100";
  EXPECT_FALSE(gives_way(other, std::nullopt, newer));
  other = checkpoint_of(100);
  other.spec.overwrite = "if-older";
  EXPECT_FALSE(gives_way(other, std::nullopt, newer)) << "a pointer";
  other = checkpoint_of(100);
  other.state = job::State::kPublished;
  EXPECT_FALSE(gives_way(other, std::nullopt, newer));
  other = checkpoint_of(100);
  other.spec.step.reset();
  EXPECT_FALSE(gives_way(other, std::nullopt, newer));
}

TEST(PinLimits, TheOldestThatWaitsGoesFirst) {
  using enum HeldPin::Use;
  const std::vector<HeldPin> held{{"d", 400, 10_GiB, kNeeded}, {"b", 200, 10_GiB}, {"a", 100, 10_GiB, kNeeded}, {"c", 300, 10_GiB}};
  using Names = std::vector<std::string>;
  EXPECT_EQ(too_many(held, {4}), Names{});
  EXPECT_EQ(too_many(held, {3}), (Names{"b"}));
  EXPECT_EQ(too_many(held, {1}), (Names{"b", "c"})) << "what is sent, and the newest, stay all the same";
  EXPECT_EQ(too_many(held, {0}), Names{}) << "no limit";
  EXPECT_EQ(too_many(held, {0, 35_GiB}), (Names{"b"}));
  EXPECT_EQ(too_many(held, {0, 40_GiB}), Names{});
}

}  // namespace
}  // namespace tideway::daemon
