// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoint_series.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

job::Job checkpoint(uint64_t number, uint64_t step, job::State state) {
  job::Job job;
  job.number = number;
  job.id = std::to_string(number);
  job.state = state;
  job.created = job::WallTime(std::chrono::hours(number));
  job.spec.series = "llm7";
  job.spec.step = step;
  job.spec.checkpoint.emplace();
  return job;
}

job::WallTime hour(int number) { return job::WallTime(std::chrono::hours(number)); }

TEST(CheckpointSeries, IsAsOldAsItsNewestStepThatIsPublishedElseAsItsFirst) {
  CheckpointSeries all;
  const job::Job waits = checkpoint(1, 100, job::State::kQueued), newest = checkpoint(2, 300, job::State::kPublished), late = checkpoint(3, 200, job::State::kPublished);
  all.put(waits);
  EXPECT_EQ(all.all().at("llm7").saved_at(), hour(1));
  all.put(newest);
  all.put(late);
  EXPECT_EQ(all.all().at("llm7").saved_at(), hour(2)) << "an older step that arrives later is no news";
  all.take(newest);
  EXPECT_EQ(all.all().at("llm7").saved_at(), hour(3));
  all.take(late);
  EXPECT_EQ(all.all().at("llm7").saved_at(), hour(1));
  all.take(waits);
  EXPECT_TRUE(all.all().empty());
  EXPECT_TRUE(all.of("llm7").empty());
}

TEST(CheckpointSeries, HasNeitherPointersNorOtherJobs) {
  CheckpointSeries all;
  job::Job pointer = checkpoint(1, 1, job::State::kPublished), plain = checkpoint(2, 1, job::State::kPublished);
  pointer.spec.overwrite = "if-older";
  plain.spec.checkpoint.reset();
  for (const job::Job* job : {&pointer, &plain}) all.put(*job);
  EXPECT_TRUE(all.all().empty());
  for (const job::Job* job : {&pointer, &plain}) all.take(*job);
  const job::Job other = checkpoint(3, 1, job::State::kQueued);
  all.put(other);
  EXPECT_EQ(all.of("llm7"), (CheckpointSeries::Jobs{{3, &other}}));
  EXPECT_TRUE(all.of("llm8").empty());
}

}  // namespace
}  // namespace tideway::daemon
