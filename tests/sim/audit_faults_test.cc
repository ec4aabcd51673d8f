// SPDX-License-Identifier: Apache-2.0
//
// The audit log on a disk that fails: with each of its calls in turn, by syncs whose failure costs what was written before, and
// with the power gone behind it all.
#include "daemon/audit_log.h"
#include "support/sim_disk.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
using daemon::AuditFile;
using daemon::AuditLog;
using session::AuditEvent;
constexpr uint64_t kAuditCallsMax = 200;
constexpr int kTriesMax = 3;  // one failure is planned

class AuditFaults : public testing::Test {
 protected:
  fs::path path() const { return disk() / "audit.jsonl"; }
  fs::path disk() const { return root_.path() / "disk"; }
  fs::path after() const { return root_.path() / "after"; }
  void set_up() const {
    fs::remove_all(disk());
    fs::remove_all(after());
    fs::create_directory(disk());
  }
  // Until it is done.
  template <typename Act>
  static auto retried(const Act& act) {
    auto done = act();
    for (int i = 1; i < kTriesMax && !done.ok(); ++i) done = act();
    return done;
  }
  static void add(AuditFile& file, const std::string& event) {
    daemon::ChainEnd end = file.end();
    const std::string line = daemon::next_line(end, "2026-11-27T00:00:00.000Z", "\"event\":\"" + event + '"') + '\n';
    EXPECT_TRUE(retried([&] { return file.append(line, end); }).ok());
  }
  static void sync(AuditFile& file) {
    EXPECT_TRUE(retried([&] { return file.sync(); }).ok());
  }
  // Of the last line, behind a loss of power.
  uint64_t kept(const std::vector<std::string>& names) const {
    std::vector<std::string> files;
    for (const std::string& name : names) files.push_back((after() / name).string());
    const auto check = daemon::check_audit_files(files);
    EXPECT_TRUE(check.ok()) << check.error().what;
    return check.ok() ? check.value().end().sequence : 0;
  }
  static std::string content(const fs::path& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  TempRoot root_;
};

TEST_F(AuditFaults, EachCallThatFailsCostsNoLineAndBreaksNoChain) {
  uint64_t at = 1;
  for (; at < kAuditCallsMax; ++at) {
    set_up();
    SimDisk disk_calls(disk());
    disk_calls.plan({.kind = DiskFault::Kind::kError, .at = at});
    auto opened = retried([&] { return AuditFile::open(path().string()); });
    ASSERT_TRUE(opened.ok()) << opened.error().what << ", at call " << at;
    AuditFile file = std::move(opened).value();
    for (int i = 0; i < 2; ++i) {
      add(file, "one");
      add(file, "two");
      sync(file);
    }
    fs::rename(path(), path().string() + ".1");
    EXPECT_TRUE(retried([&] { return file.reopen(); }).ok()) << "at call " << at;
    add(file, "after the rotation");
    sync(file);
    disk_calls.cut_power();
    disk_calls.lay_out(after(), Loss::kUnsynced);
    EXPECT_EQ(kept({"audit.jsonl.1", "audit.jsonl"}), 5U) << "at call " << at;
    ASSERT_FALSE(HasFailure()) << "at call " << at;
    if (!disk_calls.was_hit()) break;
  }
  EXPECT_GT(at, 12U);
  EXPECT_LT(at, kAuditCallsMax);
}

// The limit of a file's size stands for a disk that is full in the middle of a line, and says no to the cut as well.
TEST_F(AuditFaults, APartOfALineThatCouldNotBeCutOffIsGoneBeforeTheNextOne) {
  set_up();
  SimDisk disk_calls(disk());
  AuditFile file = AuditFile::open(path().string()).value();
  add(file, "one");
  daemon::ChainEnd end = file.end();
  const std::string line = daemon::next_line(end, "2026-11-27T00:00:00.000Z", "\"event\":\"two\"") + '\n';
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{fs::file_size(path()) + 10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  disk_calls.plan({.kind = DiskFault::Kind::kError, .at = 1, .calls = DiskFault::Calls::kDurability});
  const bool got_in = file.append(line, end).ok();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(got_in);
  EXPECT_TRUE(disk_calls.was_hit()) << "nothing was cut off";
  EXPECT_TRUE(content(path()).ends_with("{\"v\":1,\"se")) << content(path());
  EXPECT_TRUE(file.append(line, end).ok());
  sync(file);
  disk_calls.cut_power();
  disk_calls.lay_out(after(), Loss::kUnsynced);
  EXPECT_EQ(kept({"audit.jsonl"}), 2U);
}

TEST_F(AuditFaults, WhatFailsWhileItIsWrittenAgainCostsNothingEither) {
  uint64_t at = 1;
  for (; at < kAuditCallsMax; ++at) {
    set_up();
    SimDisk disk_calls(disk());
    AuditFile file = AuditFile::open(path().string()).value();
    add(file, "one");
    disk_calls.plan({.kind = DiskFault::Kind::kError, .at = 1, .calls = DiskFault::Calls::kSyncs});
    EXPECT_FALSE(file.sync().ok());
    disk_calls.plan({.kind = DiskFault::Kind::kError, .at = at});
    sync(file);
    add(file, "two");
    sync(file);
    disk_calls.cut_power();
    disk_calls.lay_out(after(), Loss::kUnsynced);
    EXPECT_EQ(kept({"audit.jsonl"}), 2U) << "at call " << at;
    ASSERT_FALSE(HasFailure()) << "at call " << at;
    if (!disk_calls.was_hit()) break;
  }
  EXPECT_GE(at, 5U);
  EXPECT_LT(at, kAuditCallsMax);
}

TEST_F(AuditFaults, WhatAFailedSyncForgotIsWrittenAgainAndTheLogSaysSo) {
  set_up();
  SimDisk disk_calls(disk());
  disk_calls.plan({.kind = DiskFault::Kind::kError, .at = 2, .error = EIO, .calls = DiskFault::Calls::kSyncs});  // 1: of the new name
  auto log = AuditLog::open(path().string()).value();
  log->record(AuditEvent("before"));
  log->record(AuditEvent("published", AuditEvent::Care::kSynced));
  const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (log->end().sequence < 3 && std::chrono::steady_clock::now() < late) std::this_thread::yield();  // until the sync has failed
  log.reset();
  EXPECT_TRUE(disk_calls.was_hit());
  disk_calls.cut_power();
  disk_calls.lay_out(after(), Loss::kUnsynced);
  EXPECT_EQ(kept({"audit.jsonl"}), 4U);
  const std::string text = content(after() / "audit.jsonl");
  EXPECT_NE(text.find("\"event\":\"published\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"event\":\"sync_failed\",\"code\":\"dest_io\""), std::string::npos) << text;
}

}  // namespace
}  // namespace tideway::test
