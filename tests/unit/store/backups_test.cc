// SPDX-License-Identifier: Apache-2.0
#include "store/backups.h"

#include "support/sim_files.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>

namespace tideway::store {
namespace {

using namespace std::chrono_literals;

constexpr job::WallTime kBackupDay{1'764'115'200'000ms};  // 2025-11-26T00:00:00Z
constexpr auto kDay = 24h;

class BackupsTest : public testing::Test {
 protected:
  static job::Job numbered(uint64_t number) {
    job::Job job;
    job.id = "job" + std::to_string(number);
    job.number = number;
    job.spec.sources = {"data:runs/llm7/step-" + std::to_string(number)};
    job.spec.destination = "wisconsin:data/runs/llm7/step-" + std::to_string(number);
    return job;
  }
  void write(uint64_t first, uint64_t jobs) {
    Batch batch;
    for (uint64_t i = first; i < first + jobs; ++i) batch.jobs.push_back(numbered(i));
    ASSERT_TRUE(store_->write(batch, kBackupDay).ok());
  }
  // All steps of one, if one is due.
  static void back_up(Backups& backups, job::WallTime now) {
    while (backups.turn(now) == Again::kSoon) continue;
  }
  void back_up(job::WallTime now) { back_up(*backups_, now); }
  void back_up_behind_a_restart(job::WallTime now) {
    Backups restarted(*store_);
    back_up(restarted, now);
  }
  // Copies of job 1, numbered up to this, in a store that is opened anew: through the store 100,000 take a minute under the sanitizers.
  void multiply(uint64_t last) {
    backups_.reset();
    store_.reset();
    sqlite3* file = nullptr;
    ASSERT_EQ(sqlite3_open((folder_ / "jobs.sqlite").c_str(), &file), SQLITE_OK);
    const std::string insert = "INSERT INTO jobs WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(last) +
                               ") SELECT hex(randomblob(16)), i, 'published', 'best-effort', 'wisconsin', '', (SELECT record FROM jobs WHERE number = 1) FROM n";
    EXPECT_EQ(sqlite3_exec(file, insert.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_close(file), SQLITE_OK);
    store_ = SqliteJobStore::open((folder_ / "jobs.sqlite").string()).value();
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "backup", none)) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }
  // What a gateway finds that is started from it.
  std::vector<job::Job> jobs_of(const std::string& name) const {
    const TempRoot restored;
    std::filesystem::copy_file(folder_ / ("backup/" + name), restored / "jobs.sqlite");
    const auto opened = SqliteJobStore::open((restored / "jobs.sqlite").string());
    EXPECT_TRUE(opened.ok()) << opened.error().what;
    return opened.ok() ? opened.value()->load(kBackupDay).value().jobs : std::vector<job::Job>();
  }
  size_t jobs_in(const std::string& name) const { return jobs_of(name).size(); }

  const TempRoot folder_;
  std::unique_ptr<SqliteJobStore> store_ = SqliteJobStore::open((folder_ / "jobs.sqlite").string()).value();
  std::optional<Backups> backups_{std::in_place, *store_};
};

TEST_F(BackupsTest, AStoreIsStartedFromOneAsItWasThen) {
  write(1, 50);
  back_up(kBackupDay + 90s);
  write(51, 7);
  ASSERT_EQ(files(), std::vector<std::string>{"jobs-2025-11-26T00-01-30Z.sqlite"});
  EXPECT_EQ(jobs_in(files().front()), 50U);
  EXPECT_EQ(folder_.stat("backup/" + files().front()).st_mode & 0777, 0600U);
  EXPECT_EQ(folder_.stat("backup").st_mode & 0777, 0700U);
  EXPECT_EQ(store_->load(kBackupDay).value().jobs.size(), 57U);
}

TEST_F(BackupsTest, OneIsMadeADayAndAtTheStartWhenTheLastIsOlder) {
  back_up(kBackupDay);
  back_up(kBackupDay + kDay - 1s);
  EXPECT_EQ(files().size(), 1U);
  back_up_behind_a_restart(kBackupDay + kDay - 1s);
  EXPECT_EQ(files().size(), 1U) << "a restart is no reason";
  back_up(kBackupDay + kDay);
  EXPECT_EQ(files().size(), 2U);
  back_up_behind_a_restart(kBackupDay + 3 * kDay);
  EXPECT_EQ(files().size(), 3U);
}

TEST_F(BackupsTest, TheNewestStayAndNothingElseIsRemoved) {
  folder_.write("backup/notes", "of somebody");
  for (size_t day = 0; day < Backups::kKept + 3; ++day) back_up(kBackupDay + day * kDay);
  std::vector<std::string> left = files();
  ASSERT_EQ(left.size(), Backups::kKept + 1);
  EXPECT_EQ(left.front(), "jobs-2025-11-29T00-00-00Z.sqlite");
  EXPECT_EQ(left.back(), "notes");
}

// A gateway whose clock stood in another year for an hour.
TEST_F(BackupsTest, OnesFromLaterHoldUpNoneAndGoFirst) {
  for (size_t day = 0; day < Backups::kKept; ++day) back_up(kBackupDay + (400 + day) * kDay);
  for (size_t day = 0; day < Backups::kKept; ++day) back_up(kBackupDay + day * kDay);
  ASSERT_EQ(files().size(), Backups::kKept);
  EXPECT_EQ(files().back(), "jobs-2025-12-02T00-00-00Z.sqlite");
}

TEST_F(BackupsTest, WhatFailsIsTriedAgainInAnHourAndLeavesNothing) {
  folder_.write("backup", "no folder");
  back_up(kBackupDay);
  std::filesystem::remove(folder_ / "backup");
  back_up(kBackupDay + 59min);
  EXPECT_FALSE(folder_.exists("backup"));
  folder_.write("backup/unfinished", "of a process that was killed");
  back_up(kBackupDay + 60min);
  EXPECT_EQ(files(), std::vector<std::string>{"jobs-2025-11-26T01-00-00Z.sqlite"});
}

TEST_F(BackupsTest, EachCallOfSqliteThatFailsLeavesTheStoreAndNoPartOfABackup) {
  constexpr uint64_t kCallsMax = 1000;
  uint64_t jobs = 20, hits = 0;
  write(1, jobs);
  for (uint64_t at = 1; at < kCallsMax; ++at) {
    const job::WallTime now = kBackupDay + at * kDay;
    bool was_hit = true;
    {
      const test::SimFiles calls({.at = at, .error = ENOSPC});
      back_up_behind_a_restart(now);
      was_hit = calls.was_hit();
    }
    for (const std::string& name : files()) {
      if (!name.starts_with("jobs-")) continue;
      EXPECT_EQ(jobs_in(name), jobs) << "behind the failure of call " << at;
    }
    write(++jobs, 1);
    ASSERT_FALSE(HasFatalFailure()) << "behind the failure of call " << at;
    if (!was_hit) break;
    ++hits;
    std::filesystem::remove_all(folder_ / "backup");
  }
  EXPECT_GT(hits, 3U) << "calls of SQLite go past us";
  EXPECT_EQ(files().size(), 1U);
  EXPECT_EQ(store_->load(kBackupDay).value().jobs.size(), jobs);
}

// A submission that came then used to wait for all of it.
TEST_F(BackupsTest, WhatIsWrittenWhileItIsCopiedIsInTheCopy) {
  constexpr uint64_t kFirst = 8'000;
  write(1, 1);
  multiply(kFirst);
  Backups backups(*store_);
  uint64_t last = kFirst;
  while (backups.turn(kBackupDay) == Again::kSoon) {
    write(++last, 1);
    Batch changed;  // which stands in front of what is copied already
    changed.jobs = {numbered(1)};
    changed.jobs.front().attempts = static_cast<uint32_t>(last);
    ASSERT_TRUE(store_->write(changed, kBackupDay).ok());
  }
  EXPECT_GE(last, kFirst + 2) << "in one step";
  ASSERT_EQ(files().size(), 1U);
  const auto jobs = jobs_of(files().front());
  EXPECT_EQ(jobs.size(), last);
  EXPECT_TRUE(std::ranges::any_of(jobs, [last](const job::Job& job) { return job.attempts == last; }));
}

TEST_F(BackupsTest, OneThatIsBrokenOffLeavesTheStoreAndIsBegunAnew) {
  write(1, 1);
  multiply(8'000);
  {
    Backups dying(*store_);
    ASSERT_EQ(dying.turn(kBackupDay), Again::kSoon);
  }
  write(8'001, 1);
  back_up_behind_a_restart(kBackupDay + 1min);
  ASSERT_EQ(files(), std::vector<std::string>{"jobs-2025-11-26T00-01-00Z.sqlite"});
  EXPECT_EQ(jobs_in(files().front()), 8'001U);
}

TEST_F(BackupsTest, AHundredThousandJobsAreCopiedInManyShortSteps) {
  write(1, 1);
  multiply(100'000);
  const auto used = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  Backups backups(*store_);
  uint64_t steps = 0;
  std::chrono::nanoseconds longest{};
  for (Again next = Again::kSoon; next == Again::kSoon; ++steps) {
    const auto before = used();
    next = backups.turn(kBackupDay);
    longest = std::max(longest, used() - before);
  }
  ASSERT_EQ(files().size(), 1U);
  const auto bytes = static_cast<uint64_t>(folder_.stat("backup/" + files().front()).st_size);
  RecordProperty("longest_us", static_cast<int>(longest / 1us));
  EXPECT_GE(steps * kCopyPages * 4096, bytes);
  EXPECT_GT(steps, 10U);
  EXPECT_LT(longest, 1s) << "of the processor; the disk has its time, too";
}

}  // namespace
}  // namespace tideway::store
