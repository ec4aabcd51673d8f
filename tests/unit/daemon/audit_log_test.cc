// SPDX-License-Identifier: Apache-2.0
#include "daemon/audit_log.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

namespace tideway::daemon {
namespace {

class AuditLogTest : public testing::Test {
 protected:
  AuditLogTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tideway-audit-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/audit.jsonl";
  }
  ~AuditLogTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<AuditLog> open() {
    auto log = AuditLog::open(path_);
    EXPECT_TRUE(log.ok()) << log.error().what;
    return log.ok() ? std::move(log).value() : nullptr;
  }
  void record(int events) {
    const auto log = open();
    for (int i = 0; i < events; ++i) log->record(session::AuditEvent("e" + std::to_string(i)));
  }
  // One that somebody waits for. False: he waits for long.
  static bool record_and_wait(AuditLog& log, std::string_view name) {
    auto until_told = std::make_shared<const char>();
    const std::weak_ptr<const void> waits = until_told;
    log.record(std::move(session::AuditEvent(name, session::AuditEvent::Care::kSynced).keeping(std::move(until_told))));
    const auto ends_at = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!waits.expired() && std::chrono::steady_clock::now() < ends_at) std::this_thread::yield();
    return waits.expired();
  }
  std::string text(const std::string& path) const {
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
  }
  // Sequence number of the last line; everything before it is whole.
  uint64_t checked(const std::vector<std::string>& files) const {
    const auto check = check_audit_files(files);
    EXPECT_TRUE(check.ok()) << check.error().what;
    return check.ok() ? check.value().end().sequence : 0;
  }
  std::string folder_, path_;
};

TEST_F(AuditLogTest, GoesOnWithItsChainAfterARestart) {
  record(3);
  EXPECT_EQ(checked({path_}), 4U);  // and one that says it was opened
  record(2);
  EXPECT_EQ(checked({path_}), 7U);
  struct stat facts {};
  ASSERT_EQ(::stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
}

TEST_F(AuditLogTest, WhoStartsInVainBesideAnotherOneLeavesItsChainWhole) {
  const auto first = open();
  ASSERT_TRUE(record_and_wait(*first, "started"));
  record(0);
  ASSERT_TRUE(record_and_wait(*first, "published"));
  EXPECT_EQ(checked({path_}), 3U);
}

TEST_F(AuditLogTest, RotationGoesOnInANewFileWithTheSameChain) {
  auto log = open();
  log->record(session::AuditEvent("before"));
  log.reset();
  log = open();
  std::filesystem::rename(path_, path_ + ".1");
  log->record(session::AuditEvent("still_the_old_file"));
  log->reopen();
  log.reset();  // all of it is written, in one order or the other
  log = open();
  log->record(session::AuditEvent("after"));
  log.reset();
  EXPECT_GT(checked({path_ + ".1", path_}), 4U);
  EXPECT_NE(text(path_).find("after"), std::string::npos);
  EXPECT_FALSE(check_audit_files(std::vector<std::string>{path_, path_ + ".1"}).ok());
}

TEST_F(AuditLogTest, UnfinishedLineOfACrashIsCutOffAndSaid) {
  record(1);
  std::ofstream(path_, std::ios::app) << R"({"v":1,"seq":3,"ti)";
  const auto before = check_audit_files(std::vector<std::string>{path_});
  ASSERT_FALSE(before.ok());
  EXPECT_NE(before.error().what.find("behind seq 2, is cut off"), std::string::npos) << before.error().what;
  const std::string as_left = text(path_);
  record(0);
  EXPECT_EQ(text(path_), as_left) << "it may be another gateway's, which is writing it";
  record(1);
  EXPECT_EQ(checked({path_}), 4U);
  EXPECT_NE(text(path_).find("\"unfinished_bytes_removed\":18"), std::string::npos) << text(path_);
}

TEST_F(AuditLogTest, FilesThatAreNoAuditLogOrNotOursAreRefused) {
  const auto refused = [&] {
    const auto log = AuditLog::open(path_);
    EXPECT_FALSE(log.ok());
    return log.ok() ? std::string() : log.error().what;
  };
  std::ofstream(path_) << "hello\n";
  EXPECT_NE(refused().find("none of an audit log"), std::string::npos);
  std::filesystem::remove(path_);
  record(1);
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  EXPECT_NE(refused().find("may write it"), std::string::npos);
  std::filesystem::remove(path_);
  ASSERT_EQ(::symlink("/dev/null", path_.c_str()), 0);
  refused();
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_NE(refused().find("no plain file"), std::string::npos);
  path_ = folder_ + "/no-such-directory/audit.jsonl";
  EXPECT_NE(refused().find("No such file"), std::string::npos);
}

TEST_F(AuditLogTest, WhoWaitsForAnEventIsLetGoOnceItIsInTheFile) {
  const auto log = open();
  EXPECT_TRUE(record_and_wait(*log, "published"));
  EXPECT_NE(text(path_).find("\"event\":\"published\""), std::string::npos);
}

// The limit of a file's size stands for a full disk: write() then takes a part, or nothing.
TEST_F(AuditLogTest, FullDiskHoldsNobodyUpAndNothingIsTornWhenItHasRoomAgain) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  auto log = open();
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  for (size_t i = 0; i < 2 * AuditLog::kWaitingMax; ++i) log->record(session::AuditEvent("while_it_is_full"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  log.reset();  // writes what waited
  std::signal(SIGXFSZ, old_handler);
  const uint64_t last = checked({path_});
  EXPECT_GT(last, AuditLog::kWaitingMax / 2);
  EXPECT_LT(last, 2 * AuditLog::kWaitingMax);
  EXPECT_NE(text(path_).find("\"event\":\"events_lost\",\"count\":"), std::string::npos);
}

TEST_F(AuditLogTest, DiskThatNeverTakesAnythingDoesNotHoldUpTheEnd) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  auto log = open();
  const rlimit nothing{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &nothing), 0);
  EXPECT_TRUE(record_and_wait(*log, "lost")) << "who waits for it is let go";
  log.reset();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(text(path_).find("lost"), std::string::npos);
}

}  // namespace
}  // namespace tideway::daemon
