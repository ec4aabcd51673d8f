// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_table.h"

#include "store/memory_job_store.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

const job::WallTime kNow{1'764'000'000'000ms};

JobTable::Submission submission(const std::string& id, job::Class service = job::Class::kBestEffort) {
  JobTable::Submission submission;
  submission.spec.sources = {"data:a"};
  submission.spec.destination = "wisconsin:data/a";
  submission.spec.submission_id = id;
  submission.spec.service = service;
  submission.request = "{}";
  submission.peer = "wisconsin";
  submission.owner = 1000;
  return submission;
}

job::JobId taken(JobTable& table, const JobTable::Submission& submission) {
  const auto result = table.submit(submission, kNow);
  EXPECT_TRUE(result.ok());
  return result.ok() ? result.value().id : "";
}

// As the daemon does: what the store has is what the next process starts with.
void save(JobTable& table, store::MemoryJobStore& store) { EXPECT_TRUE(store.write(table.take_changes(), kNow).ok()); }

TEST(JobTable, TheSameSubmissionIsTheSameJobAndAnotherBodyIsAConflict) {
  JobTable table({}, kNow);
  const job::JobId first = taken(table, submission("run-7"));
  const auto again = table.submit(submission("run-7"), kNow);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value().id, first);
  EXPECT_FALSE(again.value().is_new);
  auto other = submission("run-7");
  other.request = "{\"other\":1}";
  EXPECT_EQ(table.submit(other, kNow).error().fault, Fault::kSubmissionConflict);
  auto of_another_user = submission("run-7");
  of_another_user.owner = 1001;
  EXPECT_NE(taken(table, of_another_user), first);
  EXPECT_NE(taken(table, submission("")), taken(table, submission("")));
}

TEST(JobTable, BetterClassesComeFirstThenTheOlder) {
  JobTable table({}, kNow);
  const job::JobId old = taken(table, submission("1")), young = taken(table, submission("2"));
  const job::JobId restore = taken(table, submission("3", job::Class::kRestore));
  const job::JobId held = taken(table, submission("4", job::Class::kRestore));
  table.hold(held);
  std::vector<job::JobId> order;
  for (const JobTable::Rank& rank : table.queued().at("wisconsin")) order.push_back(std::get<const job::Job*>(rank)->id);
  EXPECT_EQ(order, (std::vector<job::JobId>{restore, old, young})) << "one that the store does not have yet is not started";
  table.release(held);
  EXPECT_EQ(table.queued().at("wisconsin").size(), 4U);
}

TEST(JobTable, AnEarlierDeadlineComesFirstAlsoWhenItIsChanged) {
  JobTable table({}, kNow);
  const job::JobId plain = taken(table, submission("1", job::Class::kCheckpoint));
  auto due = submission("2");
  due.spec.deadline = kNow + 2h;
  const job::JobId later = taken(table, due);
  due.spec.submission_id = "3";
  due.spec.deadline = kNow + 1h;
  const job::JobId sooner = taken(table, due);
  const auto order = [&](const JobTable::Ranks& ranks) {
    std::vector<job::JobId> ids;
    for (const JobTable::Rank& rank : ranks.at("wisconsin")) ids.push_back(std::get<const job::Job*>(rank)->id);
    return ids;
  };
  EXPECT_EQ(order(table.queued()), (std::vector<job::JobId>{sooner, later, plain}));
  table.change(later, kNow, [](job::Job& job) {
    job.spec.deadline = kNow + 30min;
    return job::start(job, kNow);
  });
  EXPECT_EQ(order(table.queued()), (std::vector<job::JobId>{sooner, plain}));
  const auto to_send = [&] {
    std::vector<job::JobId> ids;
    for (const auto& [key, item] : table.to_send().at("wisconsin").items()) ids.push_back(item.job->id);
    return ids;
  };
  EXPECT_EQ(to_send(), (std::vector<job::JobId>{later, sooner, plain}));
  table.change(later, kNow, [](job::Job& job) { return job::publish(job, kNow, {}); });
  EXPECT_EQ(to_send(), (std::vector<job::JobId>{sooner, plain}));
  EXPECT_TRUE(table.is_known(1000, "2"));
  EXPECT_FALSE(table.is_known(1001, "2"));
  EXPECT_EQ(table.by_number().begin()->second->id, plain);
  const JobTable::ByNumber& published = table.in_state(job::State::kPublished);
  EXPECT_TRUE(published.size() == 1 && published.begin()->second->id == later);
  EXPECT_EQ(table.in_state(job::State::kQueued).size(), 2U);
}

TEST(JobTable, CountsWhatJobsWaitForWhileThatChanges) {
  JobTable table({}, kNow);
  const job::JobId first = taken(table, submission("1")), second = taken(table, submission("2"));
  const auto wait_for = [&](const job::JobId& id, Fault fault) {
    table.change(id, kNow, [](job::Job& job) { return job::start(job, kNow); });
    table.change(id, kNow, [&](job::Job& job) { return job::stumble(job, kNow, {fault, "", ""}, job::Progressed::kNo); });
  };
  wait_for(first, Fault::kPeerLost);
  wait_for(second, Fault::kPeerLost);
  EXPECT_EQ(table.waiting(), (std::map<JobTable::Waits, size_t>{{{"wisconsin", "peer_lost"}, 2}}));
  wait_for(first, Fault::kDestFull);
  EXPECT_EQ(table.waiting(), (std::map<JobTable::Waits, size_t>{{{"wisconsin", "dest_full"}, 1}, {{"wisconsin", "peer_lost"}, 1}}));
  table.change(second, kNow, [](job::Job& job) { return job::cancel(job, kNow); });
  table.forget(first);
  EXPECT_TRUE(table.waiting().empty());
}

TEST(JobTable, GoesOnAfterARestartWithWhatRan) {
  store::MemoryJobStore store;
  job::JobId running, published;
  {
    JobTable table({}, kNow);
    running = taken(table, submission("1"));
    published = taken(table, submission("2"));
    table.change(running, kNow, [](job::Job& job) { return job::start(job, kNow); });
    table.change(published, kNow, [](job::Job& job) { return job::start(job, kNow); });
    table.change(published, kNow, [](job::Job& job) { return job::publish(job, kNow, {}); });
    save(table, store);
  }
  JobTable table(store.load(kNow).value(), kNow);
  EXPECT_EQ(table.find(running)->state, job::State::kQueued);
  EXPECT_EQ(table.find(published)->state, job::State::kPublished);
  EXPECT_EQ(table.queued().at("wisconsin").size(), 1U);
  EXPECT_EQ(table.count(job::State::kPublished), 1U);
  EXPECT_FALSE(table.submit(submission("1"), kNow).value().is_new);
}

TEST(JobTable, EventNumbersRiseThroughRestartsAlsoWhenAllAreForgotten) {
  store::MemoryJobStore store;
  JobTable first({}, kNow);
  taken(first, submission("1"));
  const uint64_t before = first.events().back().number;
  save(first, store);
  JobTable second(store.load(kNow + 48h).value(), kNow + 48h);
  EXPECT_TRUE(second.events().empty());
  taken(second, submission("2"));
  EXPECT_GT(second.events().back().number, before);
}

TEST(JobTable, ARunWaitsForTheOneBeforeToEnd) {
  JobTable table({}, kNow);
  auto recurring = submission("nightly");
  recurring.spec.every = 60s;
  const job::JobId series = taken(table, recurring);
  table.make_due_runs(kNow);
  ASSERT_EQ(table.queued().at("wisconsin").size(), 1U);
  const job::JobId run = std::get<const job::Job*>(*table.queued().at("wisconsin").begin())->id;
  EXPECT_EQ(table.find(run)->run_of, series);
  table.make_due_runs(kNow + 10min);
  EXPECT_EQ(table.queued().at("wisconsin").size(), 1U);
  table.change(run, kNow + 10min, [](job::Job& job) { return job::cancel(job, kNow + 10min); });
  table.make_due_runs(kNow + 10min);
  EXPECT_EQ(table.queued().at("wisconsin").size(), 1U) << "cancelling a run ends only that run";
  EXPECT_EQ(table.find(series)->runs, 2U);
  EXPECT_EQ(table.find(series)->due, kNow + 11min);
  table.change(series, kNow, [](job::Job& job) { return job::cancel(job, kNow); });
  EXPECT_EQ(table.next_due(), job::WallTime::max());
}

// It used to pause for as long as the clock was set back, and nobody said so.
TEST(JobTable, AClockThatGoesBackHoldsARecurringJobUpForItsIntervalAtMost) {
  store::MemoryJobStore store;
  JobTable table({}, kNow);
  auto recurring = submission("nightly");
  recurring.spec.every = 30min;
  const job::JobId series = taken(table, recurring);
  table.make_due_runs(kNow);
  const job::JobId run = std::get<const job::Job*>(*table.queued().at("wisconsin").begin())->id;
  table.change(run, kNow, [](job::Job& job) { return job::cancel(job, kNow); });
  const job::WallTime back = kNow - 48h;
  table.make_due_runs(back);
  EXPECT_EQ(table.next_due(), back + 30min);
  save(table, store);
  EXPECT_EQ(JobTable(store.load(back).value(), back).next_due(), back + 30min) << "a restart forgets it";
  table.make_due_runs(back + 30min);
  EXPECT_EQ(table.find(series)->runs, 2U);
  EXPECT_EQ(table.queued().at("wisconsin").size(), 1U);
}

TEST(JobTable, CountsWhatChangesAboutRecurringJobsAndNothingElse) {
  JobTable table({}, kNow);
  auto recurring = submission("nightly");
  recurring.spec.every = 60s;
  uint64_t seen = table.recurring_changes();
  const auto has_changed = [&] { return std::exchange(seen, table.recurring_changes()) != table.recurring_changes(); };
  const job::JobId series = taken(table, recurring);
  EXPECT_TRUE(has_changed());
  const job::JobId once = taken(table, submission("once"));
  table.change(once, kNow, [](job::Job& job) { return job::pause(job); });
  EXPECT_FALSE(has_changed());
  table.change(series, kNow, [](job::Job& job) { return job::pause(job); });
  EXPECT_TRUE(has_changed());
  table.change(series, kNow, [](job::Job& job) { return job::cancel(job, kNow); });
  EXPECT_TRUE(has_changed());
}

TEST(JobTable, AnIdIsFoundByItsBeginningUnlessItIsShortOrShared) {
  store::Contents contents;
  for (const char* id : {"abcd000000000001", "abcd000000000002", "beef000000000003"}) {
    job::Job job;
    job.id = id;
    contents.jobs.push_back(job);
  }
  const JobTable table(contents, kNow);
  EXPECT_EQ(table.find("beef")->id, "beef000000000003");
  EXPECT_EQ(table.find("abcd000000000002")->id, "abcd000000000002");
  EXPECT_EQ(table.find("abcd"), nullptr);
  EXPECT_EQ(table.find("bee"), nullptr);
  EXPECT_EQ(table.find("ffff"), nullptr);
}

TEST(JobTable, WhatIsReadyToTryAgainStartsInItsTurnBesideWhatIsQueued) {
  JobTable table({}, kNow);
  const job::JobId old = taken(table, submission("1")), young = taken(table, submission("2"));
  const auto first = [&] { return std::get<const job::Job*>(*table.queued().at("wisconsin").begin())->id; };
  const auto fail = [&] {
    table.change(old, kNow, [](job::Job& job) { return job::start(job, kNow); });
    table.change(old, kNow, [](job::Job& job) { return job::stumble(job, kNow, {Fault::kPeerLost, "", ""}, job::Progressed::kNo); });
  };
  fail();
  EXPECT_EQ(first(), young);
  table.make_ready(old);
  EXPECT_EQ(first(), old);
  EXPECT_EQ(table.find(old)->state, job::State::kWaiting) << "nothing has changed for it yet";
  fail();
  EXPECT_EQ(first(), young) << "it was ready for one attempt";
  table.make_ready(old);
  table.change(old, kNow, [](job::Job& job) { return job::pause(job); });
  EXPECT_EQ(table.queued().at("wisconsin").size(), 1U);
}

TEST(JobTable, TellsOnceWhatEnded) {
  JobTable table({}, kNow);
  const job::JobId first = taken(table, submission("1")), second = taken(table, submission("2"));
  EXPECT_TRUE(table.take_ended().empty());
  table.change(second, kNow, [](job::Job& job) { return job::cancel(job, kNow); });
  table.change(first, kNow, [](job::Job& job) { return job::cancel(job, kNow); });
  table.change(first, kNow, [](job::Job& job) {
    job.removed = kNow;
    return true;
  });
  EXPECT_EQ(table.take_ended(), (std::vector<job::JobId>{second, first}));
  EXPECT_TRUE(table.take_ended().empty());
}

TEST(JobTable, ForgetsTheOldestOfThoseThatAreOver) {
  store::Contents contents;
  for (size_t i = 0; i < JobTable::kOverKept; ++i) {
    job::Job job;
    job.id = std::to_string(1'000'000 + (i * 7919) % JobTable::kOverKept);  // in no order
    job.state = job::State::kCancelled;
    job.ended = kNow + std::chrono::milliseconds(i);
    contents.jobs.push_back(std::move(job));
  }
  const job::JobId oldest = contents.jobs.front().id;
  JobTable table(std::move(contents), kNow);
  ASSERT_NE(table.find(oldest), nullptr);
  const job::JobId next = taken(table, submission(""));
  table.change(next, kNow, [](job::Job& job) { return job::cancel(job, kNow); });
  EXPECT_EQ(table.find(oldest), nullptr);
  EXPECT_EQ(table.all().size(), JobTable::kOverKept);
  EXPECT_EQ(table.take_changes().forgotten, (std::vector<job::JobId>{oldest}));
}

}  // namespace
}  // namespace tideway::daemon
