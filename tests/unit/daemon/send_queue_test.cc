// SPDX-License-Identifier: Apache-2.0
#include "daemon/send_queue.h"

#include "planner/outlook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace tideway::daemon {
namespace {

using Group = job::Turn::Group;

job::Job sent(uint64_t number, job::Class service, Bytes bytes) {
  job::Job job;
  job.number = number;
  job.id = std::to_string(number);
  job.peer = "wisconsin";
  job.spec.destination = "wisconsin:data/x";
  job.spec.service = service;
  job.spec.bytes = bytes;
  return job;
}

std::vector<job::Job> some_jobs(size_t count) {
  std::mt19937_64 random(5);
  std::vector<job::Job> jobs;
  for (uint64_t i = 1; i <= count; ++i) {
    jobs.push_back(sent(i, static_cast<job::Class>(random() % 4), Bytes(random() % 5)));
    if (random() % 3 == 0) jobs.back().spec.deadline = job::WallTime(std::chrono::hours(random() % 20));
    if (random() % 3 == 0) jobs.back().state = job::State::kRunning;
  }
  return jobs;
}

planner::PlannedJob planned(const job::Job& job) {
  planner::PlannedJob made{.number = job.number, .job_class = static_cast<JobClass>(job.spec.service), .left = job.spec.bytes};
  if (job.spec.deadline) made.deadline = Time(job.spec.deadline->time_since_epoch());
  if (job.state == job::State::kRunning) made.weight = 1;
  return made;
}

TEST(SendQueue, IsInTheOrderInWhichThePlannerTakesJobs) {
  const std::vector<job::Job> jobs = some_jobs(300);
  SendQueue queue;
  for (const job::Job& job : jobs) queue.put(job);
  std::vector<job::Job> sorted = jobs;  // the queue points into the others
  std::ranges::sort(sorted, [](const job::Job& a, const job::Job& b) { return planner::goes_before(planned(a), planned(b)); });
  std::vector<uint64_t> wanted, order;
  for (const job::Job& job : sorted) wanted.push_back(job.number);
  for (const auto& [key, item] : queue.items()) order.push_back(item.job->number);
  EXPECT_EQ(order, wanted);
}

TEST(SendQueue, KnowsTheSumsOfWhatIsInIt) {
  const std::vector<job::Job> jobs = some_jobs(300);
  SendQueue queue;
  for (const job::Job& job : jobs) queue.put(job);
  for (size_t i = 0; i < jobs.size(); i += 2) queue.take(jobs[i]);
  const auto expect_sum = [&](Group group, job::Class service) {
    SendQueue::Sum sum;
    for (size_t i = 1; i < jobs.size(); i += 2) {
      const SendQueue::Key key = SendQueue::key_of(jobs[i]);
      if (key.group != group || (group == Group::kOther && key.service != service)) continue;
      sum.bytes += jobs[i].spec.bytes;
      sum.unknown += jobs[i].spec.bytes == Bytes() ? 1 : 0;
    }
    EXPECT_GT(sum.bytes, Bytes());
    EXPECT_EQ(queue.sum_of(group, service).bytes, sum.bytes);
    EXPECT_EQ(queue.sum_of(group, service).unknown, sum.unknown);
  };
  expect_sum(Group::kRestore, job::Class::kRestore);
  expect_sum(Group::kDeadline, job::Class::kRestore);
  for (const auto service : {job::Class::kCheckpoint, job::Class::kStaging, job::Class::kBestEffort}) expect_sum(Group::kOther, service);
  for (size_t i = 1; i < jobs.size(); i += 2) queue.take(jobs[i]);
  EXPECT_TRUE(queue.items().empty());
}

TEST(SendQueue, HasNothingThatIsOverPausedRecurringOrSentByThePeer) {
  std::vector<job::Job> jobs(4, sent(1, job::Class::kStaging, Bytes(7)));
  jobs[0].state = job::State::kPublished;
  jobs[1].state = job::State::kPaused;
  jobs[2].spec.every = std::chrono::seconds(60);
  jobs[3].spec.destination = "data:x";
  SendQueue queue;
  for (const job::Job& job : jobs) queue.put(job);
  EXPECT_TRUE(queue.items().empty());
  const job::Job kept = sent(2, job::Class::kStaging, Bytes(7));
  queue.put(kept);
  for (const job::Job& job : jobs) queue.take(job);
  EXPECT_EQ(queue.sum_of(Group::kOther, job::Class::kStaging).bytes, Bytes(7));
}

TEST(SendQueue, WhatNobodyHasSoMuchOfBreaksNothing) {
  const job::Job first = sent(1, job::Class::kStaging, Bytes::max()), second = sent(2, job::Class::kStaging, Bytes::max()), real = sent(3, job::Class::kStaging, Bytes(5));
  SendQueue queue;
  for (const job::Job* job : {&first, &second, &real}) queue.put(*job);
  for (const job::Job* job : {&second, &first}) queue.take(*job);
  EXPECT_EQ(queue.sum_of(Group::kOther, job::Class::kStaging).bytes, Bytes(5));
}

}  // namespace
}  // namespace tideway::daemon
