// SPDX-License-Identifier: Apache-2.0
#include "schedule/fill.h"
#include "schedule/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tideway::schedule {
namespace {

using std::chrono::seconds;
using enum JobClass;

constexpr LinkId kLink{3};

struct Job { JobClass job_class; double weight = 1; double most_mbit = 1e9; };

LinkView link(double leftover_mbit) {
  return {.id = kLink, .capacity = 1_Gbit, .leftover = Rate::bits_per_second(static_cast<uint64_t>(leftover_mbit * 1e6)), .open_share = 0.57};
}

std::vector<JobView> views(std::initializer_list<Job> jobs) {
  std::vector<JobView> made;
  for (const Job& job : jobs) {
    JobView view;
    view.id = PlannedJobId(made.size() + 1);
    view.link = kLink;
    view.job_class = job.job_class;
    view.weight = job.weight;
    if (job.most_mbit < 1e9) view.rate_max = Rate::bits_per_second(static_cast<uint64_t>(job.most_mbit * 1e6));
    made.push_back(view);
  }
  return made;
}

Plan plan(std::string_view policy, std::span<const JobView> jobs, const LinkView& link) {
  return find_policy(policy).value().make()->plan({Time(seconds(100)), jobs, std::span(&link, 1)});
}

// C = 1000 Mbit/s, leftover 570.
TEST(WeightedFair, SharesByTheTableOfItsDocument) {
  struct Row { std::initializer_list<Job> jobs; std::vector<double> mbit; };
  const Row rows[] = {
      {{{kBestEffort}}, {570}},
      {{{kCheckpoint, 1, 400}, {kStaging}, {kBestEffort}}, {400, 155.9, 14.1}},
      {{{kRestore}, {kCheckpoint}, {kBestEffort}}, {539.4, 27.0, 3.6}},
      {{{kRestore, 1, 100}, {kCheckpoint}}, {100, 470}},
      {{{kBestEffort, 2}, {kBestEffort}}, {380, 190}},
      {{{kBestEffort, 1, 50}, {kBestEffort}}, {50, 520}},
  };
  for (const Row& row : rows) {
    const auto jobs = views(row.jobs);
    const Plan made = plan("weighted_fair", jobs, link(570));
    for (size_t i = 0; i < jobs.size(); ++i)
      EXPECT_NEAR(made.allowances[i].rate.bits_per_second() / 1e6, row.mbit[i], 0.06) << "job " << i << " of " << jobs.size();
  }
}

TEST(WeightedFair, SaysWhyAJobGetsNothing) {
  const auto jobs = views({{kCheckpoint}});
  LinkView starved = link(0);
  starved.open_share = 0.05;
  EXPECT_EQ(plan("weighted_fair", jobs, starved).allowances[0].reason, HoldReason::kGateStarved);
  LinkView paused = link(570);
  paused.cap = Rate();
  EXPECT_EQ(plan("weighted_fair", jobs, paused).allowances[0].reason, HoldReason::kTimetable);
  auto elsewhere = jobs;
  elsewhere[0].link = LinkId(9);
  EXPECT_EQ(plan("weighted_fair", elsewhere, link(570)).allowances[0].reason, HoldReason::kPeerLost);
}

TEST(WeightedFair, AFairJobStandsOutsideTheFill) {
  auto jobs = views({{kRestore}, {kBestEffort}});
  jobs[0].mode = Mode::kFair;
  LinkView capped = link(570);
  capped.cap = 800_Mbit;
  const Plan made = plan("weighted_fair", jobs, capped);
  EXPECT_EQ(made.allowances[0].rate, 800_Mbit);
  EXPECT_NEAR(made.allowances[1].rate.bits_per_second() / 1e6, 570, 0.06);
}

TEST(Fifo, GivesAllToWhoCameFirst) {
  const auto jobs = views({{kBestEffort, 1, 300}, {kRestore, 1, 200}, {kStaging}, {kStaging}});
  const Plan made = plan("fifo", jobs, link(570));
  EXPECT_EQ(made.allowances[0].rate, 300_Mbit);
  EXPECT_EQ(made.allowances[1].rate, 200_Mbit);
  EXPECT_EQ(made.allowances[2].rate, 70_Mbit);
  EXPECT_EQ(made.allowances[3].reason, HoldReason::kLowerClass);
}

TEST(Deadline, GivesEachDeadlineWhatItNeedsBeforeAnythingElse) {
  auto jobs = views({{kBestEffort}, {kBestEffort}, {kCheckpoint}});
  jobs[0].left = Bytes(25'000'000);
  jobs[0].deadline = Time(seconds(110));  // 20 Mbit/s
  jobs[1].left = Bytes(250'000'000);
  jobs[1].deadline = Time(seconds(105));  // 400 Mbit/s
  const Plan made = plan("deadline", jobs, link(570));
  EXPECT_GE(made.allowances[0].rate, 20_Mbit);
  EXPECT_GE(made.allowances[1].rate, 400_Mbit);
  EXPECT_GT(made.allowances[2].rate, 130_Mbit);
  // Too much for the link: the earliest first.
  const Plan tight = plan("deadline", jobs, link(410));
  EXPECT_GE(tight.allowances[1].rate, 400_Mbit);
  EXPECT_LT(tight.allowances[0].rate, 10_Mbit);
  EXPECT_GT(tight.allowances[2].rate, 1_Mbit) << "it never starves";
}

TEST(Policies, AreFoundByName) {
  for (const PolicyEntry& entry : policies()) EXPECT_TRUE(find_policy(entry.name).ok());
  EXPECT_EQ(find_policy("lottery").error().next, "choose one of fifo, weighted_fair, deadline");
}

// Programs and dashboards go by them: one that is new goes to the end.
TEST(HoldReasons, HaveTheirPublicNames) {
  constexpr std::string_view kPublic[] = {
      "", "gate", "guard", "probe", "reactive", "timetable", "planned_later", "lower_class", "budget", "holdout", "gate_starved", "unknown_foreground",
      "receiver_disk", "receiver_cpu", "source_slow", "rate_limit", "peer_lost", "lease_lost", "plan_expired", "residency", "policy_denied", "paused_by_operator", "verifying"};
  EXPECT_TRUE(std::ranges::equal(kHoldReasons, kPublic));
  EXPECT_EQ(name_of(HoldReason::kGateStarved), "gate_starved");
  EXPECT_EQ(name_of(HoldReason::kVerifying), "verifying");
}

// ---- what holds for any input ----------------------------------------------------------------------------------------

std::vector<JobView> random_jobs(std::mt19937_64& random) {
  std::vector<JobView> jobs(1 + random() % 30);
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].id = PlannedJobId(1 + i);
    jobs[i].link = LinkId(static_cast<uint16_t>(random() % 3));
    jobs[i].job_class = static_cast<JobClass>(random() % 4);
    jobs[i].weight = 1 + static_cast<double>(random() % 10);
    jobs[i].left = Bytes(random() % 1'000'000'000);
    if (random() % 3 == 0) jobs[i].rate_max = Rate::bytes_per_second(random() % 100'000'000);
    if (random() % 2 == 0) jobs[i].deadline = Time(seconds(random() % 1000));
  }
  return jobs;
}

std::vector<LinkView> random_links(std::mt19937_64& random) {
  std::vector<LinkView> links(2);
  for (size_t i = 0; i < links.size(); ++i) {
    links[i].id = LinkId(static_cast<uint16_t>(i));
    links[i].capacity = Rate::bytes_per_second(1'000'000 + random() % 1'000'000'000);
    links[i].leftover = links[i].capacity * (static_cast<double>(random() % 101) / 100);
    if (random() % 3 == 0) links[i].cap = links[i].capacity * 0.3;
  }
  return links;
}

TEST(Policies, HoldTheirPromisesForAnySituation) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    std::mt19937_64 random(seed);
    const auto jobs = random_jobs(random);
    auto links = random_links(random);
    for (const PolicyEntry& entry : policies()) {
      const auto policy = entry.make();
      const Time now(seconds(500));
      const Plan made = policy->plan({now, jobs, links}), again = policy->plan({now, jobs, links});
      ASSERT_EQ(made.allowances.size(), jobs.size());
      ASSERT_GT(made.valid_until, now);
      for (const LinkView& one : links) {
        uint64_t sum = 0;
        for (size_t i = 0; i < jobs.size(); ++i)
          if (jobs[i].link == one.id) sum += made.allowances[i].rate.bytes_per_second();
        ASSERT_LE(sum, std::min(one.leftover, one.cap).bytes_per_second()) << entry.name << " seed " << seed;
      }
      for (size_t i = 0; i < jobs.size(); ++i) {
        ASSERT_EQ(made.allowances[i].job, jobs[i].id);
        ASSERT_EQ(made.allowances[i].rate, again.allowances[i].rate);
        ASSERT_EQ(made.allowances[i].rate == Rate(), made.allowances[i].reason != HoldReason::kNone);
        ASSERT_LE(made.allowances[i].rate, jobs[i].rate_max);
      }
      auto reversed = jobs;
      std::reverse(reversed.begin(), reversed.end());
      const Plan other = policy->plan({now, reversed, links});
      for (size_t i = 0; i < jobs.size(); ++i) ASSERT_EQ(made.allowances[i].rate, other.allowances[jobs.size() - 1 - i].rate);
      auto wider = links;
      for (LinkView& one : wider) one.leftover = one.leftover + Rate::bytes_per_second(random() % 10'000'000);
      const Plan more = policy->plan({now, jobs, wider});
      for (size_t i = 0; i < jobs.size(); ++i) ASSERT_GE(more.allowances[i].rate + Rate::bytes_per_second(2), made.allowances[i].rate) << entry.name;
    }
  }
}

// Under `fifo` each waits for those before it, as its name says, so there the first has all.
TEST(Policies, LetNoJobWaitForEverUnderALeftover) {
  for (const PolicyEntry& entry : policies()) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 100; ++i) {
      auto jobs = random_jobs(random);
      for (JobView& job : jobs) job.link = kLink, job.rate_max = Rate::unlimited();
      const Plan made = plan(entry.name, jobs, link(100));
      const size_t served = entry.name == "fifo" ? 1 : jobs.size();
      for (size_t j = 0; j < served; ++j) ASSERT_GT(made.allowances[j].rate, Rate()) << entry.name << " round " << i << " job " << j;
    }
  }
}

}  // namespace
}  // namespace tideway::schedule
