// SPDX-License-Identifier: Apache-2.0
#include "job/job.h"

#include <gtest/gtest.h>

namespace tideway::job {
namespace {

using namespace std::chrono_literals;

const WallTime kNow{std::chrono::milliseconds(1'764'000'000'000)};

Job job_in(State state) {
  Job job;
  job.id = "00000000000000aa";
  job.spec.sources = {"data:a"};
  job.spec.destination = "wisconsin:data/a";
  job.state = state;
  if (state == State::kWaiting) job.wait = Wait{"peer_lost", "it went away", ""};
  return job;
}

Job series_every(std::chrono::milliseconds every) {
  Job series = job_in(State::kWaiting);
  series.spec.every = every;
  series.spec.submission_id = "nightly";
  series.due = kNow;
  return series;
}

const Error kLost{Fault::kPeerLost, "the peer closed the connection", "check it"};
const Error kFull{Fault::kDestFull, "the root is full", "free space"};
const Error kMissing{Fault::kSourceMissing, "there is no such file", ""};

TEST(Job, EachStateGoesWhereTheTableSays) {
  struct Row {
    State from, started, paused, resumed, cancelled;
  };
  using enum State;
  constexpr Row kTable[] = {
      {kQueued, kRunning, kPaused, kQueued, kCancelled},
      {kRunning, kRunning, kPaused, kRunning, kCancelled},
      {kWaiting, kRunning, kPaused, kQueued, kCancelled},
      {kPaused, kPaused, kPaused, kQueued, kCancelled},
      {kPublished, kPublished, kPublished, kPublished, kPublished},
      {kFailed, kFailed, kFailed, kFailed, kFailed},
      {kCancelled, kCancelled, kCancelled, kCancelled, kCancelled},
  };
  for (const Row& row : kTable) {
    const auto after = [&](auto act) {
      Job job = job_in(row.from);
      const bool changed = act(job);
      EXPECT_EQ(changed, job.state != row.from) << to_string(row.from);
      EXPECT_FALSE(job.state != kWaiting && job.wait && changed) << "a reason to wait outlived the waiting";
      return job.state;
    };
    EXPECT_EQ(after([](Job& job) { return start(job, kNow); }), row.started) << to_string(row.from);
    EXPECT_EQ(after([](Job& job) { return pause(job); }), row.paused) << to_string(row.from);
    EXPECT_EQ(after([](Job& job) { return resume(job); }), row.resumed) << to_string(row.from);
    EXPECT_EQ(after([](Job& job) { return cancel(job, kNow); }), row.cancelled) << to_string(row.from);
  }
}

TEST(Job, WhatIsOverIsNeverPublishedAgain) {
  for (const State state : {State::kPublished, State::kFailed, State::kCancelled}) {
    Job job = job_in(state);
    EXPECT_FALSE(publish(job, kNow, {}));
    EXPECT_EQ(job.state, state);
  }
}

TEST(Job, PublishWinsOverACancelThatComesLater) {
  Job job = job_in(State::kRunning);
  Outcome outcome;
  outcome.entries = 3;
  EXPECT_TRUE(publish(job, kNow, outcome));
  EXPECT_FALSE(cancel(job, kNow));
  EXPECT_EQ(job.state, State::kPublished);
  EXPECT_EQ(job.outcome->entries, 3U);
}

TEST(Job, TroubleThatMayPassLeavesItWaitingWithTheReason) {
  for (const Error& why : {kLost, kFull}) {
    Job job = job_in(State::kRunning);
    EXPECT_TRUE(stumble(job, kNow, why, Progressed::kNo));
    EXPECT_EQ(job.state, State::kWaiting);
    EXPECT_EQ(job.wait->reason, why.name());
    EXPECT_EQ(job.attempts, 1U);
  }
}

TEST(Job, TroubleThatStaysFailsIt) {
  Job job = job_in(State::kRunning);
  EXPECT_TRUE(stumble(job, kNow, kMissing, Progressed::kNo));
  EXPECT_EQ(job.state, State::kFailed);
  EXPECT_EQ(job.error->fault, Fault::kSourceMissing);
  EXPECT_EQ(job.ended, kNow);
}

TEST(Job, ProgressMakesTheRetriesStartAgain) {
  Job job = job_in(State::kRunning);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(stumble(job, kNow, kLost, Progressed::kNo));
    EXPECT_TRUE(start(job, kNow));
  }
  EXPECT_TRUE(stumble(job, kNow, kLost, Progressed::kYes));
  EXPECT_EQ(job.attempts, 1U);
}

TEST(Job, WhatIsSentAgainToAPeerThatCrashesIsNoProgress) {
  Job job = job_in(State::kRunning);
  EXPECT_EQ(note_reached(job, 0_B), Progressed::kNo);
  for (uint32_t attempt = 1; attempt <= 6; ++attempt) {
    const Progressed progressed = note_reached(job, 64_MiB);
    EXPECT_EQ(progressed, attempt == 1 ? Progressed::kYes : Progressed::kNo);
    EXPECT_TRUE(stumble(job, kNow, kLost, progressed));
    EXPECT_EQ(job.attempts, attempt);  // and by it the pause grows
    EXPECT_EQ(goes_on_when_back(job, kLost.fault), attempt <= kPeersLostMax);
    EXPECT_TRUE(start(job, kNow));
  }
  EXPECT_TRUE(stumble(job, kNow, kLost, note_reached(job, 65_MiB)));
  EXPECT_EQ(job.attempts, 1U);
  EXPECT_TRUE(goes_on_when_back(job, kLost.fault));
}

TEST(Job, AfterAnHourWithoutItsPeerAJobGoesOnWhenThatIsBack) {
  Job job = job_in(State::kRunning);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(stumble(job, kNow, {Fault::kPeerUnreachable, "refused", ""}, Progressed::kNo));
    EXPECT_TRUE(start(job, kNow));
  }
  EXPECT_TRUE(goes_on_when_back(job, Fault::kPeerUnreachable));
  EXPECT_FALSE(goes_on_when_back(job, kFull.fault));
}

TEST(Job, ACommandIsToldOfAFirstContactThatFails) {
  Job job = job_in(State::kRunning);
  job.spec.patience = Patience::kCommand;
  EXPECT_TRUE(stumble(job, kNow, {Fault::kPeerUnreachable, "refused", ""}, Progressed::kNo));
  EXPECT_EQ(job.state, State::kFailed);
}

TEST(Job, ACommandOutlivesAGatewayThatRestartsButNotOneThatStaysAway) {
  Job job = job_in(State::kRunning);
  job.spec.patience = Patience::kCommand;
  EXPECT_TRUE(stumble(job, kNow, kLost, Progressed::kYes));
  EXPECT_EQ(job.state, State::kWaiting);
  int more = 0;
  for (; job.state == State::kWaiting && more < 100; ++more) {
    EXPECT_TRUE(start(job, kNow));
    EXPECT_TRUE(stumble(job, kNow, {Fault::kPeerUnreachable, "refused", ""}, Progressed::kNo));
  }
  EXPECT_EQ(job.state, State::kFailed);
  EXPECT_GT(more, 3);
}

TEST(Job, ACommandIsNotLeftWaitingForSpace) {
  Job job = job_in(State::kRunning);
  job.spec.patience = Patience::kCommand;
  EXPECT_TRUE(stumble(job, kNow, kFull, Progressed::kYes));
  EXPECT_EQ(job.state, State::kFailed);
}

TEST(Job, ACheckpointWaitsUntilItIsHeldAlsoOverARestart) {
  Job job = job_in(State::kWaiting);
  job.spec.checkpoint.emplace();
  job.hold = Hold::kWanted;
  EXPECT_FALSE(start(job, kNow));
  recover(job);
  EXPECT_EQ(job.state, State::kWaiting);
  EXPECT_TRUE(pause(job));
  EXPECT_TRUE(resume(job));
  EXPECT_EQ(job.state, State::kWaiting) << "resuming makes it no more complete";
  EXPECT_TRUE(take_hold(job, Hold::kPinned, "d-1"));
  EXPECT_EQ(job.state, State::kQueued);
  EXPECT_EQ(job.pin, "d-1");
  EXPECT_FALSE(take_hold(job, Hold::kPinned, "d-2"));
  EXPECT_TRUE(start(job, kNow));
}

TEST(Job, APausedCheckpointThatIsHeldStaysPaused) {
  Job job = job_in(State::kPaused);
  job.hold = Hold::kWanted;
  EXPECT_TRUE(take_hold(job, Hold::kInPlace, ""));
  EXPECT_EQ(job.state, State::kPaused);
  EXPECT_TRUE(resume(job));
  EXPECT_EQ(job.state, State::kQueued);
}

TEST(Job, ACheckpointThatChangedFailsAndAnyOtherJobTriesAgain) {
  const Error changed{Fault::kSourceChanged, "a shard was rewritten", ""};
  Job plain = job_in(State::kRunning), checkpoint = job_in(State::kRunning);
  checkpoint.spec.checkpoint.emplace();
  EXPECT_TRUE(stumble(plain, kNow, changed, Progressed::kNo));
  EXPECT_TRUE(stumble(checkpoint, kNow, changed, Progressed::kYes));
  EXPECT_EQ(plain.state, State::kWaiting);
  EXPECT_EQ(checkpoint.state, State::kFailed);
}

TEST(Job, ARestoreGoesRoundItsReplicasOnceBeforeItWaits) {
  Job job = job_in(State::kRunning);
  job.spec.sources = {"a:r/x"};
  job.spec.alternatives = {"b:r/x", "c:r/x"};
  EXPECT_TRUE(try_next_source(job, "b"));
  EXPECT_EQ(job.state, State::kQueued);
  EXPECT_EQ(job.peer, "b");
  EXPECT_EQ(job.spec.sources.front(), "b:r/x");
  EXPECT_EQ(job.spec.alternatives, (std::vector<std::string>{"c:r/x", "a:r/x"}));
  EXPECT_TRUE(start(job, kNow));
  EXPECT_TRUE(try_next_source(job, "c"));
  EXPECT_TRUE(start(job, kNow));
  EXPECT_FALSE(try_next_source(job, "a")) << "each had its turn";
  EXPECT_TRUE(stumble(job, kNow, kLost, Progressed::kNo));
  EXPECT_EQ(job.state, State::kWaiting);
  EXPECT_TRUE(start(job, kNow));
  EXPECT_TRUE(try_next_source(job, "a"));
}

TEST(Job, ARestoreGoesOnFromTheSourceThatBroughtMost) {
  Job job = job_in(State::kRunning);
  job.spec.sources = {"a:r/x"};
  job.spec.alternatives = {"b:r/x", "c:r/x"};
  EXPECT_TRUE(prefer_source(job, "c:r/x", "c"));
  EXPECT_EQ(job.peer, "c");
  EXPECT_EQ(job.spec.sources.front(), "c:r/x");
  EXPECT_EQ(job.spec.alternatives, (std::vector<std::string>{"b:r/x", "a:r/x"}));
  EXPECT_FALSE(prefer_source(job, "c:r/x", "c")) << "it does already";
  EXPECT_FALSE(prefer_source(job, "d:r/x", "d"));
}

TEST(Job, ARestoreThatCannotBeVerifiedNamesTheOneBefore) {
  const Error rotten{Fault::kSourceCorrupt, "1 of 4 entries failed", "repair it"};
  Job waits = job_in(State::kRunning), ends = job_in(State::kRunning), lost = job_in(State::kRunning), alone = job_in(State::kRunning);
  for (Job* job : {&waits, &ends, &lost}) job->spec.older = "b:r/step-7";
  ends.spec.patience = Patience::kCommand;
  EXPECT_TRUE(stumble(waits, kNow, rotten, Progressed::kNo));
  EXPECT_TRUE(stumble(ends, kNow, rotten, Progressed::kNo));
  EXPECT_TRUE(stumble(lost, kNow, kLost, Progressed::kNo));
  EXPECT_TRUE(stumble(alone, kNow, rotten, Progressed::kNo));
  ASSERT_TRUE(waits.wait && ends.error && lost.wait && alone.wait);
  EXPECT_EQ(waits.wait->next.substr(0, 10), "repair it;");
  EXPECT_NE(waits.wait->next.find("b:r/step-7"), std::string::npos);
  EXPECT_EQ(ends.error->exit_code(), 8);
  EXPECT_NE(ends.error->next.find("b:r/step-7"), std::string::npos);
  EXPECT_EQ(lost.wait->next.find("b:r/step-7"), std::string::npos) << "what was lost may be had again";
  EXPECT_EQ(alone.wait->next, "repair it") << "there is none before";
}

TEST(Job, WhatNeverWasCompleteFails) {
  Job job = job_in(State::kWaiting);
  job.hold = Hold::kWanted;
  EXPECT_TRUE(fail(job, kNow, kMissing));
  EXPECT_EQ(job.state, State::kFailed);
  EXPECT_EQ(job.ended, kNow);
  EXPECT_FALSE(fail(job, kNow, kMissing));
}

TEST(Job, SeriesAndStepAreForCheckpointsAndRestores) {
  Job job = job_in(State::kQueued);
  job.spec.sources = {"data:a"};
  job.spec.destination = "w:data/a";
  job.spec.series = "llm7";
  EXPECT_EQ(check(job.spec).error().fault, Fault::kUnsupported);
  job.spec.service = Class::kRestore;
  EXPECT_TRUE(check(job.spec).ok());
  job.spec.service = Class::kCheckpoint;
  job.spec.checkpoint.emplace();
  EXPECT_TRUE(check(job.spec).ok());
}

TEST(Job, ARestartQueuesWhatRanAndWhatWaited) {
  for (const State state : {State::kRunning, State::kWaiting}) {
    Job job = job_in(state);
    recover(job);
    EXPECT_EQ(job.state, State::kQueued);
  }
  for (const State state : {State::kPaused, State::kPublished, State::kFailed, State::kCancelled}) {
    Job job = job_in(state);
    recover(job);
    EXPECT_EQ(job.state, state);
  }
  Job series = series_every(1h);
  recover(series);
  EXPECT_EQ(series.state, State::kWaiting);
}

TEST(Job, ARecurringJobMakesARunWhenItIsDueAndNoneBefore) {
  Job series = series_every(30min);
  EXPECT_FALSE(next_run(series, kNow - 1ms));
  const auto run = next_run(series, kNow);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->run_of, series.id);
  EXPECT_EQ(run->spec.submission_id, "nightly/1");
  EXPECT_FALSE(run->spec.every);
  EXPECT_EQ(series.due, kNow + 30min);
  EXPECT_FALSE(next_run(series, kNow + 29min));
}

TEST(Job, MissedRunsCollapseIntoOneAndTheScheduleStays) {
  Job series = series_every(30min);
  ASSERT_TRUE(next_run(series, kNow + 100min));
  EXPECT_EQ(series.runs, 1U);
  EXPECT_EQ(series.due, kNow + 120min) << "the next is due at a multiple of the period";
}

TEST(Job, ARecurringJobNeverRunsItself) {
  Job series = series_every(1h);
  EXPECT_FALSE(start(series, kNow));
  EXPECT_TRUE(pause(series));
  EXPECT_FALSE(next_run(series, kNow + 5h));
  EXPECT_TRUE(resume(series));
  EXPECT_EQ(series.state, State::kWaiting);
  EXPECT_TRUE(cancel(series, kNow));
}

TEST(Job, AFieldThatNothingEnforcesIsRefusedByName) {
  const auto refused = [](auto set) {
    Spec spec = job_in(State::kQueued).spec;
    set(spec);
    const Status status = check(spec);
    return status.ok() ? "" : status.error().what.substr(0, status.error().what.find(' '));
  };
  EXPECT_EQ(refused([](Spec&) {}), "");
  EXPECT_EQ(refused([](Spec& spec) { spec.series = "llm7"; }), "series");
  EXPECT_EQ(refused([](Spec& spec) { spec.step = 9000; }), "step");
  EXPECT_EQ(refused([](Spec& spec) { spec.labels["a"] = "b"; }), "labels");
  EXPECT_EQ(refused([](Spec& spec) { spec.sites = {"a"}; }), "sites");
  EXPECT_EQ(refused([](Spec& spec) { spec.replicas = 2; }), "replicas");
  EXPECT_EQ(refused([](Spec& spec) { spec.relay_ok = true; }), "relay_ok");
  EXPECT_EQ(refused([](Spec& spec) { spec.energy = "green"; }), "energy");
}

TEST(Job, WhatItIsPlannedByMustNotContradictItself) {
  const auto why = [](auto set) {
    Spec spec = job_in(State::kQueued).spec;
    set(spec);
    const Status status = check(spec);
    return status.ok() ? "" : status.error().what;
  };
  EXPECT_EQ(why([](Spec& spec) { spec.deadline = kNow, spec.bytes = 1_GiB; }), "");
  EXPECT_NE(why([](Spec& spec) { spec.deadline = kNow; }).find("how much"), std::string::npos);
  EXPECT_EQ(why([](Spec& spec) { spec.deadline = kNow, spec.checkpoint.emplace(); }), "") << "how much it is shows when it is complete";
  EXPECT_NE(why([](Spec& spec) { spec.deadline = kNow, spec.bytes = 1_GiB, spec.every = 1h; }).find("recurring"), std::string::npos);
  EXPECT_NE(why([](Spec& spec) { spec.rpo = 30min; }).find("again and again"), std::string::npos);
  EXPECT_EQ(why([](Spec& spec) { spec.rpo = 45min, spec.every = 30min; }), "");
  EXPECT_NE(why([](Spec& spec) { spec.rpo = 30min, spec.every = 30min; }).find("more often"), std::string::npos);
  EXPECT_EQ(why([](Spec& spec) { spec.hurt_max = 1; }), "");
  EXPECT_EQ(why([](Spec& spec) { spec.hurt_max = 0.05; }), "");
  for (const double wrong : {-0.1, 1.5, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_NE(why([wrong](Spec& spec) { spec.hurt_max = wrong; }).find("hurt_max"), std::string::npos) << wrong;
}

TEST(Job, ARunOfASeriesWithAnObjectiveHasADeadline) {
  Job series = series_every(30min);
  series.spec.rpo = 45min;
  EXPECT_EQ(next_run(series, kNow)->spec.deadline, kNow + 15min);
  series.spec.rpo = 3h;
  EXPECT_EQ(next_run(series, kNow + 31min)->spec.deadline, kNow + 60min) << "the next run has to find the link free";
}

TEST(Job, TurnsGoToRestoresThenToTheEarliestDeadlineThenByClass) {
  const auto turn = [](Class service, std::optional<WallTime> deadline = {}) {
    Spec spec;
    spec.service = service;
    spec.deadline = deadline;
    return turn_of(spec);
  };
  EXPECT_LT(turn(Class::kRestore), turn(Class::kBestEffort, kNow));
  EXPECT_LT(turn(Class::kBestEffort, kNow), turn(Class::kStaging, kNow + 1s));
  EXPECT_LT(turn(Class::kBestEffort, kNow), turn(Class::kCheckpoint));
  EXPECT_LT(turn(Class::kCheckpoint), turn(Class::kStaging));
  EXPECT_EQ(turn(Class::kRestore), turn(Class::kRestore, kNow)) << "nothing goes before a restore";
}

TEST(Job, LimitsOfARequestAreNamed) {
  Spec spec = job_in(State::kQueued).spec;
  spec.sources.assign(kSourcesMax + 1, "data:a");
  EXPECT_EQ(check(spec).error().fault, Fault::kUsage);
  spec.sources = {"data:a"};
  spec.every = 1s;
  EXPECT_EQ(check(spec).error().fault, Fault::kUsage);
  spec.every.reset();
  spec.rate_max = Rate();
  EXPECT_EQ(check(spec).error().fault, Fault::kUsage);
}

}  // namespace
}  // namespace tideway::job
