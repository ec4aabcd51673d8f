// SPDX-License-Identifier: Apache-2.0
#include "daemon/directory_watch.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

class DirectoryWatchTest : public testing::Test {
 protected:
  DirectoryWatch watch(WatchConfig::Existing existing, std::set<std::string> known = {}, checkpoint::Format format = {}) {
    WatchConfig config;
    config.format = format;
    config.root = "ckpt";
    config.dir = ObjectName::from_text("runs").value();
    config.series = "llm7";
    config.existing = existing;
    return DirectoryWatch(std::move(config), dir_, std::move(known));
  }
  void save(const std::string& name) {
    root_.write("runs/" + name + "/__0_0.distcp", "shard");
    root_.write("runs/" + name + "/.metadata", "marker");
  }
  static std::string names(const std::vector<FoundCheckpoint>& found) {
    std::string text;
    for (const FoundCheckpoint& one : found) text += one.name + '@' + std::to_string(one.step) + ' ';
    return text;
  }

  TempRoot root_;
  session::RootPtr dir_ = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kSource).value());
  QuietTimes quiet_;
};

TEST_F(DirectoryWatchTest, EachCheckpointIsFoundOnceWhenItIsQuiet) {
  DirectoryWatch runs = watch(WatchConfig::Existing::kNewest);
  EXPECT_EQ(names(runs.look(quiet_, Time{})), "") << "the directory is not there yet";
  save("step-10");
  root_.write("runs/step-20/__0_0.distcp", "shard");
  root_.write("runs/logs/events", "no step in its name");
  EXPECT_EQ(names(runs.look(quiet_, Time{1s})), "");
  EXPECT_EQ(runs.incomplete().at("step-20").reason, "no_marker");
  EXPECT_LT(runs.next_look(), Time{1s + runs.config().poll}) << "something is on its way";
  EXPECT_EQ(names(runs.look(quiet_, Time{4s})), "step-10@10 ");
  EXPECT_EQ(names(runs.look(quiet_, Time{8s})), "");
  save("step-20");
  EXPECT_EQ(names(runs.look(quiet_, Time{9s})), "");
  EXPECT_EQ(names(runs.look(quiet_, Time{12s})), "step-20@20 ");
  runs.forget("step-10");
  EXPECT_EQ(names(runs.look(quiet_, Time{13s})), "step-10@10 ") << "its job failed";
}

TEST_F(DirectoryWatchTest, OfWhatIsThereAtTheStartAsManyGoAsAreWanted) {
  for (const char* name : {"step-10", "step-20", "step-9"}) save(name);
  struct Row { WatchConfig::Existing existing; std::string found; };
  for (const Row& row : {Row{WatchConfig::Existing::kNewest, "step-20@20 "}, Row{WatchConfig::Existing::kAll, "step-9@9 step-10@10 step-20@20 "}, Row{WatchConfig::Existing::kNone, ""}}) {
    DirectoryWatch runs = watch(row.existing);
    QuietTimes quiet;
    static_cast<void>(runs.look(quiet, Time{}));
    EXPECT_EQ(names(runs.look(quiet, Time{2s})), row.found);
  }
}

TEST_F(DirectoryWatchTest, WhatTheStoreKnowsIsNotFoundAgain) {
  save("step-10");
  save("step-20");
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll, {"step-10"});
  static_cast<void>(runs.look(quiet_, Time{}));
  EXPECT_EQ(names(runs.look(quiet_, Time{2s})), "step-20@20 ");
}

TEST_F(DirectoryWatchTest, WhatItsMarkerEndsGoesAtOnceWhenNobodyWritesToItAnyMore) {
  save("step-10");
  const int shard = ::open((root_ / "runs/step-10/__0_0.distcp").c_str(), O_WRONLY | O_CLOEXEC);
  const int other = ::open((root_ / "runs/step-10/.metadata").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(shard, 0);
  const bool has_leases = ::fcntl(other, F_SETLEASE, F_RDLCK) == 0;
  ::close(other);
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll, {}, {checkpoint::Kind::kDcp});
  EXPECT_EQ(names(runs.look(quiet_, Time{1s})), "") << "it is open to write";
  EXPECT_EQ(runs.incomplete().at("step-10").reason, kChanging);
  ::close(shard);
  if (!has_leases) GTEST_SKIP() << "this file system grants no leases";
  DirectoryWatch unnamed = watch(WatchConfig::Existing::kAll);
  EXPECT_EQ(names(unnamed.look(quiet_, Time{1100ms})), "") << "it may be another format, without its last file yet";
  EXPECT_EQ(names(runs.look(quiet_, Time{1100ms})), "step-10@10 ");
}

TEST_F(DirectoryWatchTest, IsLookedAtWhenTheWaitIsOverAndNotTooOften) {
  save("step-10");
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll);
  static_cast<void>(runs.look(quiet_, Time{1s}));
  static_cast<void>(runs.look(quiet_, Time{2850ms}));
  EXPECT_EQ(runs.next_look(), Time{3s}) << "two seconds without a change, and not a moment later";
  runs.hurry(Time{2860ms});
  EXPECT_EQ(runs.next_look(), Time{2850ms} + kLookMin);
}

}  // namespace
}  // namespace tideway::daemon
