// SPDX-License-Identifier: Apache-2.0
#include "daemon/store_thread.h"

#include "store/memory_job_store.h"

#include <gtest/gtest.h>

#include <future>
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

}  // namespace
}  // namespace tideway::daemon
