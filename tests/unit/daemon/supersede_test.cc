// SPDX-License-Identifier: Apache-2.0
#include "daemon/supersede.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

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

bool gives_way(const job::Job& older, const std::optional<api::Progress>& progress, const job::Job& newer) { return !giving_way({{&older, progress}}, {}, newer).empty(); }

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

TEST(Supersede, D11TheOldestThatRunsInThePlaceOfOneThatHadBegunGoesOn) {
  job::Job first = checkpoint_of(100), second = checkpoint_of(200), third = checkpoint_of(300);
  first.id = "a", second.id = "b", third.id = "c";
  const std::vector<Live> live{{&second, sent(1_MiB, 100_MiB)}, {&first, sent(1_MiB, 100_MiB)}};
  using Ids = std::vector<job::JobId>;
  EXPECT_EQ(giving_way(live, {}, third), (Ids{"a", "b"}));
  EXPECT_EQ(giving_way(live, {"b"}, third), (Ids{"a"}));
  EXPECT_EQ(giving_way(live, {"a", "b"}, third), (Ids{"b"})) << "one is enough";
  EXPECT_EQ(giving_way({{&first, std::nullopt}}, {"a"}, third), (Ids{"a"})) << "it waits";
}

TEST(Supersede, ThePlaceOfOneThatHadBegunIsHandedOn) {
  std::vector<job::Job> jobs(4);
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i].id = std::to_string(i + 1);
  jobs[0].superseded_by = "2";
  jobs[1].superseded_by = "3";
  const auto heirs = [&] { return heirs_among({{1, jobs.data()}, {2, &jobs[1]}, {3, &jobs[2]}, {4, &jobs[3]}}); };
  EXPECT_EQ(heirs(), std::set<job::JobId>()) << "nothing had begun";
  jobs[0].started = job::WallTime(std::chrono::hours(1));
  EXPECT_EQ(heirs(), (std::set<job::JobId>{"2", "3"})) << "also by one that left before its turn came";
}

// One is saved each period, and one alone takes five of them to cross; those that run at once share the link.
TEST(Supersede, D11SavesThatComeFasterThanHalfOfOneCrossesStarveNoSeries) {
  constexpr uint64_t kSaves = 50;
  constexpr double kPeriods = 5;
  std::vector<job::Job> jobs;
  jobs.reserve(kSaves);
  std::map<uint64_t, const job::Job*> by_number;
  std::map<job::JobId, double> there;       // of 1
  uint64_t published = 0, behind_most = 0;  // the newest, and how many saves there were behind it
  for (uint64_t step = 1; step <= kSaves; ++step) {
    job::Job& newer = jobs.emplace_back(checkpoint_of(step));
    newer.id = std::to_string(step);
    newer.started = job::WallTime(std::chrono::hours(step));
    by_number[step] = &newer;
    std::vector<Live> live;
    for (const job::Job& job : jobs) live.push_back({&job, sent(Bytes(static_cast<uint64_t>(there[job.id] * 1e6)), Bytes(1'000'000))});
    for (const job::JobId& id : giving_way(std::move(live), heirs_among(by_number), newer)) {
      job::Job& older = *std::ranges::find(jobs, id, &job::Job::id);
      older.state = job::State::kCancelled;
      older.superseded_by = newer.id;
    }
    const auto running = std::ranges::count(jobs, job::State::kRunning, &job::Job::state);
    for (job::Job& job : jobs) {
      if (job.state != job::State::kRunning || (there[job.id] += 1 / kPeriods / static_cast<double>(running)) < 1 - 1e-9) continue;
      job.state = job::State::kPublished;
      published = *job.spec.step;
    }
    behind_most = std::max(behind_most, step - published);
  }
  EXPECT_LE(behind_most, 4 * kPeriods);
  EXPECT_GT(published, kSaves / 2);
}

TEST(Supersede, D11WithAllEveryOneIsBrought) {
  job::Job newer = checkpoint_of(200);
  newer.spec.checkpoint->supersede = job::Checkpoint::Supersede::kAll;
  EXPECT_FALSE(gives_way(checkpoint_of(100), std::nullopt, newer));
}

TEST(Supersede, AnEarlierSaveOfTheSameStepGivesWayUntilItIsBeingPublished) {
  job::Job first = checkpoint_of(100), second = checkpoint_of(100);
  first.number = 1, second.number = 2;
  second.spec.checkpoint->supersede = job::Checkpoint::Supersede::kAll;
  EXPECT_TRUE(gives_way(first, sent(99_MiB, 100_MiB), second)) << "there is one name for both";
  api::Progress ending = sent(100_MiB, 100_MiB);
  ending.stage = "publish";
  EXPECT_FALSE(gives_way(first, ending, second)) << "it may be there already";
  EXPECT_FALSE(gives_way(second, std::nullopt, first));
  first.spec.step.reset(), second.spec.step.reset();
  EXPECT_TRUE(gives_way(first, std::nullopt, second)) << "such as last.ckpt";
  first.spec.destination = "wisconsin:ckpt/runs/llm7/step-100";
  EXPECT_FALSE(gives_way(first, std::nullopt, second)) << "a replica elsewhere";
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

TEST(Supersede, WhatIsAnothersGivesWayToRootAlone) {
  constexpr uint32_t kUser = 4'000'000'000, kOther = kUser + 1;
  job::Job older = checkpoint_of(100), newer = checkpoint_of(200), again = checkpoint_of(100);
  again.number = 1;
  older.owner = kUser;
  newer.owner = again.owner = kOther;
  EXPECT_FALSE(gives_way(older, std::nullopt, newer));
  EXPECT_FALSE(gives_way(older, std::nullopt, again));
  newer.owner = again.owner = 0;
  EXPECT_TRUE(gives_way(older, std::nullopt, newer));
  EXPECT_TRUE(gives_way(older, std::nullopt, again));
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
