// SPDX-License-Identifier: Apache-2.0
#include "daemon/retention.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

job::Job published(const std::string& id, uint64_t step, uint32_t keep) {
  job::Job job;
  job.id = id;
  job.owner = 1000;
  job.state = job::State::kPublished;
  job.spec.series = "llm7";
  job.spec.step = step;
  job.spec.destination = "oslo:ckpt/runs/llm7/step-" + std::to_string(step);
  job.spec.checkpoint.emplace().keep = keep;
  job.outcome.emplace();
  return job;
}

class SuperfluousTest : public testing::Test {
 protected:
  void add(const job::Job& job) { jobs_[job.id] = job; }
  std::vector<job::JobId> gone() {
    CheckpointSeries series;
    for (auto& [id, job] : jobs_) {
      job.number = static_cast<uint64_t>(id.back() - '0');
      series.put(job);
    }
    return superfluous(series.of("llm7"), jobs_.rbegin()->second);
  }
  std::map<job::JobId, job::Job> jobs_;
};

TEST_F(SuperfluousTest, AllButTheNewestGoTheOldestFirst) {
  for (uint64_t step = 1; step <= 5; ++step) add(published("j" + std::to_string(step), step * 100, 2));
  EXPECT_EQ(gone(), (std::vector<job::JobId>{"j1", "j2", "j3"}));
}

TEST_F(SuperfluousTest, TheOneThatSpokeLastSaysHowMany) {
  for (uint64_t step = 1; step <= 4; ++step) add(published("j" + std::to_string(step), step * 100, step == 4 ? 3 : 1));
  EXPECT_EQ(gone(), (std::vector<job::JobId>{"j1"}));
  jobs_["j4"].spec.checkpoint->keep = 0;
  EXPECT_TRUE(gone().empty()) << "all of them";
}

TEST_F(SuperfluousTest, AnOlderOneThatArrivesLateGoesAndTheNewestNever) {
  add(published("j1", 300, 1));
  add(published("j2", 100, 1));  // published behind the newer one
  EXPECT_EQ(gone(), (std::vector<job::JobId>{"j2"}));
  jobs_.erase("j2");
  EXPECT_TRUE(gone().empty());
}

TEST_F(SuperfluousTest, WhatIsNotOursOrNotThereStaysOutOfIt) {
  add(published("j9", 900, 1));
  job::Job other = published("j1", 100, 1);
  other.owner = 1001;
  add(other);
  other = published("j2", 200, 1);
  other.spec.series = "llm8";
  add(other);
  other = published("j3", 300, 1);
  other.spec.destination = "oslo:ckpt/elsewhere/step-300";
  add(other);
  other = published("j4", 400, 1);
  other.outcome->kept = 3;  // it was there before we came
  add(other);
  other = published("j5", 500, 1);
  other.state = job::State::kFailed;
  add(other);
  other = published("j6", 600, 1);
  other.spec.overwrite = "if-older";  // a pointer
  add(other);
  other = published("j7", 700, 1);
  other.removed = job::WallTime(std::chrono::milliseconds(1));
  add(other);
  EXPECT_TRUE(gone().empty());
}

}  // namespace
}  // namespace tideway::daemon
