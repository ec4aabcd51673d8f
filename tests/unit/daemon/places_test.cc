// SPDX-License-Identifier: Apache-2.0
#include "daemon/places.h"

#include <gtest/gtest.h>

#include <deque>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;
using job::Class;
using enum Places::Own;

constexpr job::WallTime kQueuedAt{std::chrono::hours(1000)};

job::Spec plain(Class service) {
  job::Spec spec;
  spec.service = service;
  return spec;
}
job::Spec due_in(std::chrono::milliseconds time) {
  job::Spec spec = plain(Class::kStaging);
  spec.deadline = kQueuedAt + time;
  return spec;
}
job::Spec weighted(Class service) {
  job::Spec spec = plain(service);
  spec.weight = 2;
  return spec;
}

class Queue {
 public:
  void add(const job::Spec& spec, size_t times = 1) {
    for (size_t i = 0; i < times; ++i) {
      job::Job& job = jobs_.emplace_back();
      job.number = jobs_.size();
      job.spec = spec;
      ranks_.insert({job::turn_of(spec), job.number, &job});
    }
  }
  // Starts what may start beside these; its numbers.
  std::vector<uint64_t> start(std::vector<job::Spec> running, Places::Own own = kFree) {
    Places places{.taken = {}, .own = own};
    for (const job::Spec& spec : running) places.taken.push_back(job::turn_of(spec));
    std::vector<uint64_t> started;
    while (const job::Job* next = places.next_of(ranks_)) {
      started.push_back(next->number);
      places.taken.push_back(job::turn_of(next->spec));
      ranks_.erase({job::turn_of(next->spec), next->number, next});
    }
    return started;
  }

 private:
  std::deque<job::Job> jobs_;
  std::set<JobTable::Rank> ranks_;
};

TEST(Places, AreFourAndTheBetterAndTheOlderComeFirst) {
  Queue queue;
  queue.add(plain(Class::kStaging), 6);
  queue.add(plain(Class::kRestore));
  EXPECT_EQ(queue.start({}), (std::vector<uint64_t>{7, 1, 2, 3}));
}

TEST(Places, BetterTurnsDoNotWaitForLesserOnes) {
  Queue queue;
  queue.add(plain(Class::kCheckpoint));
  EXPECT_EQ(queue.start(std::vector(4, plain(Class::kBestEffort))), std::vector<uint64_t>{1});
}

// Four of a better class that were always replaced kept the others queued for ever.
TEST(Places, OneOfEachRankRunsWhoeverElseDoes) {
  Queue queue;
  queue.add(plain(Class::kBestEffort), 3);
  queue.add(plain(Class::kStaging), 3);
  queue.add(due_in(2h), 2);
  EXPECT_EQ(queue.start(std::vector(4, plain(Class::kRestore))), (std::vector<uint64_t>{7, 4, 1}));
  Queue behind;
  behind.add(plain(Class::kBestEffort));
  behind.add(plain(Class::kStaging));
  EXPECT_EQ(behind.start(std::vector(4, plain(Class::kStaging))), std::vector<uint64_t>{1});
}

TEST(Places, DeadlinesGoByTheirTime) {
  Queue queue;
  queue.add(due_in(3h), 4);
  queue.add(due_in(1h), 4);
  EXPECT_EQ(queue.start({due_in(2h)}), (std::vector<uint64_t>{5, 6, 7, 8}));
}

// Four jobs at the head of the queue that wanted sessions of their own blocked it all.
TEST(Places, WhatFindsNoSessionOfItsOwnHoldsUpNobodyElse) {
  const std::vector<job::Spec> running(3, weighted(Class::kStaging));
  Queue queue;
  queue.add(weighted(Class::kStaging), 10);
  queue.add(plain(Class::kStaging), 2);
  queue.add(weighted(Class::kBestEffort), Places::kSkippedMax + 1);
  EXPECT_EQ(queue.start(running, kTaken), std::vector<uint64_t>{11});
  Queue due;
  due.add(due_in(1h), 3 * Places::kSkippedMax);
  due.add(plain(Class::kCheckpoint));
  EXPECT_EQ(due.start(running, kTaken), std::vector<uint64_t>{3 * Places::kSkippedMax + 1});
}

}  // namespace
}  // namespace tideway::daemon
