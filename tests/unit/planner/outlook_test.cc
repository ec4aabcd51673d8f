// SPDX-License-Identifier: Apache-2.0
#include "planner/outlook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tideway::planner {
namespace {

using namespace std::chrono_literals;

constexpr Time kBegin(500h);

Calendar carrying(uint64_t bytes_per_second) {
  return Calendar(kBegin, 0, [=](Time) { return SlotForecast{Rate::bytes_per_second(bytes_per_second)}; });
}

std::vector<uint64_t> sums(std::span<const PlannedJob> jobs) {
  std::vector<uint64_t> counts;
  for (const Bytes sum : sums_until(jobs)) counts.push_back(sum.count());
  return counts;
}

TEST(Outlook, PutsRestoresFirstThenDeadlinesThenClasses) {
  const std::vector<PlannedJob> jobs = {{.number = 1, .job_class = JobClass::kBestEffort, .left = Bytes(1)},
                                        {.number = 2, .job_class = JobClass::kBestEffort, .deadline = kBegin + 2h, .left = Bytes(10)},
                                        {.number = 3, .job_class = JobClass::kStaging, .left = Bytes(100)},
                                        {.number = 4, .job_class = JobClass::kCheckpoint, .deadline = kBegin + 1h, .left = Bytes(1000)},
                                        {.number = 5, .job_class = JobClass::kRestore, .left = Bytes(10'000)}};
  EXPECT_EQ(sums(jobs), (std::vector<uint64_t>{11'111, 11'010, 11'110, 11'000, 10'000}));
}

TEST(Outlook, SharesTheWayAmongWhatRunsInOneClass) {
  const std::vector<PlannedJob> jobs = {{.number = 1, .left = Bytes(100), .weight = 1},
                                        {.number = 2, .left = Bytes(300), .weight = 1},
                                        {.number = 3, .left = Bytes(50)}};  // waits until both have ended
  EXPECT_EQ(sums(jobs), (std::vector<uint64_t>{200, 400, 450}));
  const std::vector<PlannedJob> weighted = {{.number = 1, .left = Bytes(100), .weight = 1}, {.number = 2, .left = Bytes(300), .weight = 3}};
  EXPECT_EQ(sums(weighted), (std::vector<uint64_t>{400, 400}));
}

TEST(Outlook, TheOrderInWhichJobsAreListedChangesNothing) {
  std::mt19937_64 random(3);
  std::vector<PlannedJob> jobs;
  for (uint64_t i = 1; i <= 60; ++i) {
    PlannedJob job{.number = i, .job_class = static_cast<JobClass>(random() % 4), .left = Bytes(random() % 1000)};
    if (random() % 3 == 0) job.deadline = kBegin + std::chrono::seconds(random() % 5000);
    if (random() % 3 == 0) job.weight = static_cast<double>(1 + random() % 3);
    jobs.push_back(job);
  }
  std::map<uint64_t, Bytes> before;
  const auto first = sums_until(jobs);
  for (size_t i = 0; i < jobs.size(); ++i) before[jobs[i].number] = first[i];
  std::ranges::shuffle(jobs, random);
  const auto second = sums_until(jobs);
  for (size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(second[i], before.at(jobs[i].number)) << jobs[i].number;
}

TEST(Outlook, TellsTheTimeAsUsualAndInNineOfTenDays) {
  const Calendar usual = carrying(1000), low = carrying(500);
  PlannedJob job{.number = 1, .deadline = kBegin + 100s, .left = Bytes(45'000)};
  const Prospect fine = prospect_of({usual, low}, job, Bytes(45'000));
  EXPECT_EQ(fine.eta, kBegin + 45s);
  EXPECT_EQ(fine.latest, kBegin + 90s);
  EXPECT_EQ(fine.escalation.risk, Risk::kNone);
  EXPECT_NEAR(fine.escalation.rho, 0.9, 1e-6);
  EXPECT_EQ(prospect_of({usual, low}, job, Bytes(60'000)).escalation.risk, Risk::kDeadlineAtRisk);
  job.rate_max = Rate::bytes_per_second(450);
  EXPECT_EQ(prospect_of({usual, low}, job, Bytes(45'000)).eta, kBegin + 100s);
  const Calendar none = carrying(0);
  EXPECT_FALSE(prospect_of({none, none}, job, Bytes(45'000)).eta);
  EXPECT_EQ(prospect_of({none, none}, job, Bytes(45'000)).escalation.risk, Risk::kDeadlineAtRisk);
}

TEST(Outlook, BringsADeadlineForwardAsFarAsTheGateIsShutOrLessIsLeftLater) {
  constexpr Rate kCeiling = Rate::bytes_per_second(1000);
  const Calendar paused(kBegin, 0, [](Time at) { return SlotForecast{Rate::bytes_per_second(at < kBegin + 1h ? 1000 : 0)}; });
  EXPECT_EQ(deadline_while_open(paused, kBegin + 10h, kCeiling), kBegin + 1h);
  EXPECT_EQ(deadline_while_open(carrying(1000), kBegin + 10h, kCeiling), kBegin + 10h);
  EXPECT_EQ(deadline_while_open(carrying(600), kBegin + 10h, kCeiling), kBegin + 6h) << "the gate is open for six tenths of the time";
  const Calendar better(kBegin, 0, [](Time at) { return SlotForecast{Rate::bytes_per_second(at < kBegin + 1h ? 0 : 1000)}; });
  EXPECT_EQ(deadline_while_open(better, kBegin + 10h, kCeiling), kBegin + 9h);
  EXPECT_EQ(deadline_while_open(carrying(1000), kBegin + 10h, kCeiling * 0.1), kBegin + 10h) << "the ceiling is lifted later";
  EXPECT_EQ(deadline_while_open(carrying(0), kBegin + 10h, kCeiling), kBegin + 10h);
  EXPECT_EQ(deadline_while_open(carrying(1000), kBegin - 1h, kCeiling), kBegin - 1h);
}

}  // namespace
}  // namespace tideway::planner
