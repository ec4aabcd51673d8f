// SPDX-License-Identifier: Apache-2.0
#include "daemon/store_thread.h"

#include "store/memory_job_store.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace tideway::daemon {
namespace {

std::unique_ptr<StoreThread> started() { return StoreThread::start(std::make_unique<store::MemoryJobStore>()).value(); }

// A disk that takes a second for a file held up the thread that tells of trainings.
TEST(StoreThread, WhoHandsOverAChoreDoesNotWaitForIt) {
  std::promise<void> disk, begun;
  const auto thread = started();
  thread->later([&, waits = disk.get_future().share()] {
    begun.set_value();
    waits.wait();
  });
  begun.get_future().wait();  // it hangs, and we are here
  EXPECT_EQ(thread->stats().writes, 0U);
  disk.set_value();
}

TEST(StoreThread, WhileTheDiskHangsTheLastChoresAreKeptAndAtTheEndTheyAreDone) {
  std::vector<size_t> done;
  std::promise<void> disk, begun;
  {
    const auto thread = started();
    thread->later([&, waits = disk.get_future().share()] {
      begun.set_value();
      waits.wait();
    });
    begun.get_future().wait();
    for (size_t i = 0; i < StoreThread::kChoresMax + 3; ++i) thread->later([&done, i] { done.push_back(i); });
    disk.set_value();
  }
  ASSERT_EQ(done.size(), StoreThread::kChoresMax);
  EXPECT_EQ(done.front(), 3U);
  EXPECT_EQ(done.back(), StoreThread::kChoresMax + 2);
}

}  // namespace
}  // namespace tideway::daemon
