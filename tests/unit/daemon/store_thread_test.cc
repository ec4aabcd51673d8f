// SPDX-License-Identifier: Apache-2.0
#include "daemon/store_thread.h"

#include "store/memory_job_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <utility>
#include <vector>

namespace tideway::daemon {
namespace {

using Chore = StoreThread::Chore;

std::unique_ptr<StoreThread> started() { return StoreThread::start(std::make_unique<store::MemoryJobStore>()).value(); }

// A disk that takes a second for a file held up the thread that tells of trainings.
TEST(StoreThread, WhoHandsOverAChoreDoesNotWaitForIt) {
  std::promise<void> disk, begun;
  const auto thread = started();
  thread->later(Chore::kPaths, [&, waits = disk.get_future().share()] {
    begun.set_value();
    waits.wait();
  });
  begun.get_future().wait();  // it hangs, and we are here
  EXPECT_EQ(thread->stats().writes, 0U);
  disk.set_value();
}

TEST(StoreThread, WhileTheDiskHangsTheLastChoreOfEachKindIsKeptAndAtTheEndItIsDone) {
  std::vector<int> done;
  std::promise<void> disk, begun;
  {
    const auto thread = started();
    thread->later(Chore::kPaths, [&, waits = disk.get_future().share()] {
      begun.set_value();
      waits.wait();
    });
    begun.get_future().wait();
    thread->later(Chore::kLeftover, [&done] { done.push_back(-1); });  // the paths' used to push it out
    for (int i = 0; i < 10; ++i) thread->later(Chore::kPaths, [&done, i] { done.push_back(i); });
    disk.set_value();
  }
  EXPECT_EQ(done, (std::vector{9, -1}));
}

// Half a minute after the last order its disk was said to hang.
TEST(StoreThread, WhoHasNothingToDoWakesNowAndThenAsOneThatHangsDoesNot) {
  constexpr int kWakes = 100;  // more than a thread counts on its way into a sleep that does not end
  const auto thread = StoreThread::start(std::make_unique<store::MemoryJobStore>(), {.idle_max = std::chrono::milliseconds(1)}).value();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::set<uint64_t> counts;
  while (counts.size() <= kWakes && std::chrono::steady_clock::now() < until) counts.insert(WorkerPulse::read()["tw-jobs"]);
  EXPECT_GT(counts.size(), size_t{kWakes});
}

// A disk that takes nothing for a while.
class RefusingStore final : public store::JobStore {
 public:
  explicit RefusingStore(std::atomic<int>& refuses) : refuses_(refuses) {}
  Result<store::Contents> load(job::WallTime) override { return store::Contents(); }
  Status write(const store::Batch&, job::WallTime) override {
    if (refuses_.load() > 0 && refuses_.fetch_sub(1) > 0) return Error{Fault::kStoreUnavailable, "a test", ""};
    return success();
  }

 private:
  std::atomic<int>& refuses_;
};

// A backup takes a while, and what was promised comes first.
TEST(StoreThread, WhatIsDueByTheCalendarWaitsForWhatIsToBeWritten) {
  std::atomic<int> refuses = 1;
  std::promise<std::pair<job::WallTime, int>> looked;
  StoreThread::Config config{.look = [&, is_first = true](job::WallTime now) mutable {
    if (std::exchange(is_first, false)) looked.set_value({now, refuses.load()});
    return store::Again::kLater;
  }};
  const auto thread = StoreThread::start(std::make_unique<RefusingStore>(refuses), std::move(config)).value();
  store::Batch batch;
  batch.forgotten = {"a"};
  thread->write(std::move(batch));
  auto first = looked.get_future();
  ASSERT_EQ(first.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  const auto [now, refused] = first.get();
  EXPECT_GT(now, job::WallTime{});
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(thread->stats().writes, 2U) << "once in vain";
}

TEST(StoreThread, WhatGoesOnIsLookedAtAgainAtOnce) {
  constexpr int kSteps = 5;
  std::promise<void> over;
  StoreThread::Config config{.idle_max = std::chrono::hours(1), .look = [&, steps = 0](job::WallTime) mutable {
    if (++steps == kSteps) over.set_value();
    return steps < kSteps ? store::Again::kSoon : store::Again::kLater;
  }};
  const auto thread = StoreThread::start(std::make_unique<store::MemoryJobStore>(), std::move(config)).value();
  store::Batch batch;
  batch.forgotten = {"a"};
  thread->write(std::move(batch));
  EXPECT_EQ(over.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

static_assert(WorkerPulse::kIdleMax < WorkerPulse::kStillMax);

}  // namespace
}  // namespace tideway::daemon
