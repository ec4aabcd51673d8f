// SPDX-License-Identifier: Apache-2.0
//
// Both stores keep what is written; the one of SQLite also through the end of its process, and through damage by refusing.
#include "store/memory_job_store.h"
#include "store/sqlite_job_store.h"

#include "api/job_record.h"
#include "support/sim_files.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tideway::store {
namespace {

using namespace std::chrono_literals;

const job::WallTime kNow{1'764'000'000'000ms};

job::Job job_called(const std::string& id, uint64_t number) {
  job::Job job;
  job.id = id;
  job.number = number;
  job.spec.sources = {"data:a"};
  job.spec.destination = "wisconsin:data/a";
  return job;
}

std::unique_ptr<JobStore> open_sqlite(const std::string& path) {
  auto store = SqliteJobStore::open(path);
  EXPECT_TRUE(store.ok()) << store.error().what;
  return store.ok() ? std::move(store).value() : nullptr;
}

void keeps_what_is_written(JobStore& store) {
  ASSERT_TRUE(store.load(kNow).ok());
  Batch batch;
  batch.jobs = {job_called("b", 2), job_called("a", 1)};
  batch.events = {{7, kNow - 25h, "a", 5, "state", "{}"}, {8, kNow, "a", 5, "state", "{\"v\":1}"}};
  ASSERT_TRUE(store.write(batch, kNow - 25h).ok());
  job::Job changed = job_called("a", 1);
  changed.state = job::State::kPublished;
  ASSERT_TRUE(store.write({{changed}, {"b"}, {}}, kNow).ok());
  const auto contents = store.load(kNow);
  ASSERT_TRUE(contents.ok()) << contents.error().what;
  ASSERT_EQ(contents.value().jobs.size(), 1U);
  EXPECT_EQ(api::to_record(contents.value().jobs[0]), api::to_record(changed));
  ASSERT_EQ(contents.value().events.size(), 1U) << "what is older than a day is forgotten";
  EXPECT_EQ(contents.value().events[0].number, 8U);
  EXPECT_EQ(contents.value().events[0].data, "{\"v\":1}");
  EXPECT_EQ(contents.value().events[0].owner, 5U);
}

// An upgrade with jobs in flight: jobs_v1.sql is what an earlier version left.
TEST(SqliteJobStore, TakesUpTheStoreOfAnEarlierVersionWithAllItsJobs) {
  const TempRoot root;
  const std::string path = (root / "jobs.sqlite").string();
  std::ostringstream text;
  text << std::ifstream(std::filesystem::path(TIDEWAY_CONFIG_FOLDER) / "../tests/unit/store/jobs_v1.sql").rdbuf();
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &file), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(file, std::move(text).str().c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(file);
  ASSERT_EQ(sqlite3_close(file), SQLITE_OK);
  const auto store = open_sqlite(path);
  ASSERT_TRUE(store);
  constexpr job::WallTime kThen{1'795'911'893'000ms};
  const auto contents = store->load(kThen);
  ASSERT_TRUE(contents.ok()) << contents.error().what;
  const auto& jobs = contents.value().jobs;
  ASSERT_EQ(jobs.size(), 5U);
  using enum job::State;
  const job::State states[] = {kPublished, kWaiting, kFailed, kPaused, kRunning};
  for (size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(jobs[i].number, i + 1);
    EXPECT_EQ(jobs[i].state, states[i]) << jobs[i].id;
    EXPECT_EQ(jobs[i].peer, "wisconsin");
    EXPECT_EQ(jobs[i].spec.sources, std::vector<std::string>{"data:file"});
    EXPECT_NE(jobs[i].transfer, job::Job().transfer) << "what has arrived belongs to that number";
  }
  EXPECT_EQ(jobs[0].spec.submission_id, "run-7");
  ASSERT_TRUE(jobs[0].outcome);
  EXPECT_EQ(jobs[1].spec.every, 1800s);
  EXPECT_EQ(jobs[2].run_of, jobs[1].id);
  EXPECT_EQ(jobs[3].spec.weight, 3U);
  EXPECT_EQ(jobs[4].spec.rate_max, Rate::bytes_per_second(1000));
  EXPECT_EQ(contents.value().events.size(), 1U);
}

TEST(JobStore, BothKeepWhatIsWritten) {
  MemoryJobStore memory;
  keeps_what_is_written(memory);
  const TempRoot folder;
  const auto sqlite = open_sqlite((folder / "jobs.sqlite").string());
  ASSERT_NE(sqlite, nullptr);
  keeps_what_is_written(*sqlite);
}

TEST(SqliteJobStore, JobsAreThereAgainInTheirOrder) {
  const TempRoot folder;
  const std::string path = (folder / "jobs.sqlite").string();
  ASSERT_TRUE(open_sqlite(path)->write({{job_called("b", 2), job_called("a", 1), job_called("c", 3)}, {}, {}}, kNow).ok());
  const auto contents = open_sqlite(path)->load(kNow);
  ASSERT_TRUE(contents.ok());
  std::string order;
  for (const job::Job& job : contents.value().jobs) order += job.id;
  EXPECT_EQ(order, "abc");
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(SqliteJobStore, ANewerFileIsRefusedAndStaysAsItIs) {
  const TempRoot folder;
  const std::string path = (folder / "jobs.sqlite").string();
  ASSERT_TRUE(open_sqlite(path)->write({{job_called("a", 1)}, {}, {}}, kNow).ok());
  // The version is the only '1' behind the word, so a later program's file is made by one byte.
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const size_t at = bytes.find("schema_version1");
  ASSERT_NE(at, std::string::npos);
  bytes[at + 14] = '2';
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const auto refused = SqliteJobStore::open(path);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kStateNewer);
  std::ifstream in(path, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), bytes);
}

TEST(SqliteJobStore, ADamagedFileIsRefused) {
  const TempRoot folder;
  const std::string path = (folder / "jobs.sqlite").string();
  {
    const auto store = open_sqlite(path);
    Batch batch;
    for (uint64_t i = 0; i < 200; ++i) batch.jobs.push_back(job_called("job" + std::to_string(i), i));
    ASSERT_TRUE(store->write(batch, kNow).ok());
  }
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(5 * 4096);
  file.write(std::string(4 * 4096, '\xff').data(), 4 * 4096);
  file.close();
  const std::string damaged = folder.read("jobs.sqlite");
  const auto refused = SqliteJobStore::open(path);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kStoreUnavailable);
  EXPECT_TRUE(folder.read("jobs.sqlite") == damaged) << "left as it is, for whoever can read more of it";
}

// A disk that is full, as a limit on the size of files makes it.
TEST(SqliteJobStore, D02OnAFullDiskAWriteIsRefusedAndWhatIsThereStays) {
  const TempRoot folder;
  const std::string path = (folder / "jobs.sqlite").string();
  const auto store = open_sqlite(path);
  ASSERT_TRUE(store->write({{job_called("a", 1)}, {}, {}}, kNow).ok());
  Batch many;
  for (uint64_t i = 0; i < 500; ++i) many.jobs.push_back(job_called("b" + std::to_string(i), 10 + i));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{64 << 10, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status refused = store->write(many, kNow);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kStoreUnavailable);
  EXPECT_EQ(store->load(kNow).value().jobs.size(), 1U) << "all of a batch, or nothing";
  EXPECT_TRUE(store->write(many, kNow).ok()) << "when there is room again";
  EXPECT_EQ(store->load(kNow).value().jobs.size(), 501U);
}

// Each call of SQLite to its files fails in turn, from the opening to the end of one gateway: of a batch that was said to be kept all is there for
// the next one, and of one that was refused all or nothing, and the disk that failed once takes it a second time.
TEST(SqliteJobStore, D02EachCallOfSqliteThatFailsCostsNothingThatWasSaidToBeKept) {
  constexpr uint64_t kCallsMax = 1000;
  for (const int error : {EIO, ENOSPC}) {
    bool was_hit = true;
    uint64_t at = 1;
    for (; was_hit && at < kCallsMax; ++at) {
      const TempRoot folder;
      const std::string path = (folder / "jobs.sqlite").string();
      ASSERT_TRUE(open_sqlite(path)->write({{job_called("a", 1)}, {}, {}}, kNow).ok());
      bool is_kept = false;
      {
        const test::SimFiles files({.at = at, .error = error});
        auto store = SqliteJobStore::open(path);
        if (store.ok()) {
          const auto there = store.value()->load(kNow);
          EXPECT_EQ(there.ok() ? there.value().jobs.size() : 1, 1U) << "at call " << at;
          const Batch batch{{job_called("b", 2), job_called("c", 3)}, {}, {}};
          is_kept = store.value()->write(batch, kNow).ok() || store.value()->write(batch, kNow).ok();
          EXPECT_TRUE(is_kept) << "the store does not get over the failure of call " << at;
          store.value().reset();
        } else {
          EXPECT_EQ(store.error().fault, Fault::kStoreUnavailable) << store.error().what;
          EXPECT_FALSE(store.error().next.empty());
        }
        was_hit = files.was_hit();
      }
      const auto next = open_sqlite(path);
      ASSERT_NE(next, nullptr) << "behind the failure of call " << at;
      EXPECT_EQ(next->load(kNow).value().jobs.size(), is_kept ? 3U : 1U) << "behind the failure of call " << at;
      if (HasFailure()) return;
    }
    EXPECT_GT(at, 20U) << "calls of SQLite go past us";
    EXPECT_LT(at, kCallsMax);
  }
}

TEST(SqliteJobStore, D03AFileThatIsGoneIsMadeAnew) {
  const TempRoot folder;
  const std::string path = (folder / "jobs.sqlite").string();
  ASSERT_TRUE(open_sqlite(path)->write({{job_called("a", 1)}, {}, {}}, kNow).ok());
  std::filesystem::remove_all(path);
  const auto again = open_sqlite(path);
  EXPECT_TRUE(again->load(kNow).value().jobs.empty());
  EXPECT_TRUE(again->write({{job_called("b", 1)}, {}, {}}, kNow).ok());
}

TEST(SqliteJobStore, ASecondOwnerIsRefused) {
  const TempRoot folder;
  const std::string path = (folder / "jobs.sqlite").string();
  const auto first = open_sqlite(path);
  ASSERT_TRUE(first->write({{job_called("a", 1)}, {}, {}}, kNow).ok());
  const auto second = SqliteJobStore::open(path);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().fault, Fault::kStateLocked);
}

}  // namespace
}  // namespace tideway::store
