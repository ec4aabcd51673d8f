// SPDX-License-Identifier: Apache-2.0
//
// The fence stays up for the rest of a process, so each claim is tried in a child.
#include "daemon/landlock.h"

#include "store/sqlite_job_store.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace tideway::daemon {
namespace {

class LandlockTest : public testing::Test {
 protected:
  void SetUp() override {
    if (landlock_abi() < kLandlockAbiMin) GTEST_SKIP() << "this kernel has no Landlock that can be used";
    writable_.write("a/file", "x");
    writable_.make_dir("b");
    readable_.write("file", "x");
    outside_.write("file", "secret");
  }
  // What `attempt` gives behind the fence, 0 or an errno; 100 when the fence cannot be raised.
  int behind_the_fence(const std::function<bool()>& attempt) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const Status raised = raise_fence({{writable_.path().string()}, {readable_.path().string(), "/no/such/directory"}, {"/dev"}});
      ::_exit(!raised.ok() ? 100 : attempt() ? 0 : errno);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  static bool opens(const std::filesystem::path& path, int flags) { return ::open(path.c_str(), flags | O_CLOEXEC, 0600) >= 0; }

  TempRoot writable_, readable_, outside_;
};

TEST_F(LandlockTest, NothingOutsideIsOpenedMadeOrRemoved) {
  EXPECT_EQ(behind_the_fence([&] { return opens(outside_ / "file", O_RDONLY); }), EACCES);
  EXPECT_EQ(behind_the_fence([&] { return opens(outside_ / "new", O_CREAT | O_WRONLY); }), EACCES);
  EXPECT_EQ(behind_the_fence([&] { return ::unlink((outside_ / "file").c_str()) == 0; }), EACCES);
  EXPECT_EQ(behind_the_fence([&] { return ::rename((writable_ / "a/file").c_str(), (outside_ / "stolen").c_str()) == 0; }), EACCES);
  EXPECT_EQ(outside_.read("file"), "secret");
  EXPECT_FALSE(outside_.exists("new"));
}

// SQLite sorts what is larger than its cache in a file of its own, which is not where the store is.
TEST_F(LandlockTest, ALongQueueIsReadBehindTheFence) {
  const std::string path = (writable_ / "jobs.sqlite").string();
  store::Batch batch;
  for (uint64_t number = 4'000; number > 0; --number) {
    job::Job& job = batch.jobs.emplace_back();
    job.id = "job" + std::to_string(number);
    job.number = number;
    job.spec.sources = {"data:" + std::string(1'000, 'x')};
    job.spec.destination = "wisconsin:data/a";
  }
  const job::WallTime now{std::chrono::hours(500'000)};
  ASSERT_TRUE(store::SqliteJobStore::open(path).value()->write(batch, now).ok());
  EXPECT_EQ(behind_the_fence([&] {
              auto store = store::SqliteJobStore::open(path);
              const auto contents = store.ok() ? store.value()->load(now) : Result<store::Contents>(store.error());
              errno = EIO;
              return contents.ok() && contents.value().jobs.size() == batch.jobs.size();
            }),
            0);
}

TEST_F(LandlockTest, ALinkLeadsNowhereElse) {
  writable_.link("door", outside_.path().string());
  EXPECT_EQ(behind_the_fence([&] { return opens(writable_ / "door/file", O_RDONLY); }), EACCES);
}

TEST_F(LandlockTest, WhatAPublishNeedsWorksBelowARoot) {
  EXPECT_EQ(behind_the_fence([&] { return opens(writable_ / "b/new", O_CREAT | O_RDWR); }), 0);
  EXPECT_EQ(behind_the_fence([&] { return opens(writable_ / "b/new", O_TRUNC | O_RDWR); }), 0);
  EXPECT_EQ(behind_the_fence([&] { return ::rename((writable_ / "a/file").c_str(), (writable_ / "b/file").c_str()) == 0; }), 0);
  EXPECT_EQ(behind_the_fence([&] { return ::symlink("x", (writable_ / "b/link").c_str()) == 0; }), 0);
  EXPECT_TRUE(writable_.exists("b/file"));
}

TEST_F(LandlockTest, ConfigurationIsReadAndNotWritten) {
  EXPECT_EQ(behind_the_fence([&] { return opens(readable_ / "file", O_RDONLY); }), 0);
  EXPECT_EQ(behind_the_fence([&] { return opens(readable_ / "file", O_WRONLY); }), EACCES);
  EXPECT_EQ(behind_the_fence([&] { return opens("/dev/null", O_RDWR); }), 0);
}

TEST_F(LandlockTest, DevicesAreMadeNowhere) {
  EXPECT_EQ(behind_the_fence([&] { return ::mkfifo((writable_ / "b/pipe").c_str(), 0600) == 0; }), EACCES);
}

}  // namespace
}  // namespace tideway::daemon
