// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoint_thread.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <poll.h>
#include <unistd.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

class CheckpointThreadTest : public testing::Test {
 protected:
  static constexpr int kPatienceMs = 20'000;

  void start(std::chrono::milliseconds poll) {
    CheckpointThreadConfig config;
    config.roots.push_back({"ckpt", root_.path().string(), std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kSource).value())});
    WatchConfig watch;
    watch.root = "ckpt";
    watch.dir = ObjectName::from_text("runs").value();
    watch.format.kind = checkpoint::Kind::kDcp;
    watch.poll = poll;
    watch.settle = {};
    watch.existing = WatchConfig::Existing::kAll;
    config.watches.push_back({std::move(watch), {}});
    thread_ = CheckpointThread::start(std::move(config)).value();
  }
  void save(const std::string& name) {
    root_.write("runs/" + name + "/__0_0.distcp", "shard");
    root_.write("runs/" + name + "/.metadata", "marker");
  }
  // The name of the next checkpoint that is found.
  std::string next_found() {
    pollfd fd{thread_->wait_fd(), POLLIN, 0};
    while (::poll(&fd, 1, kPatienceMs) == 1)
      for (const CheckpointEvent& event : thread_->take_events())
        if (const auto* found = std::get_if<Found>(&event)) return found->checkpoint.name;
    return "none";
  }
  bool goes(const std::string& name) {
    for (int waited = 0; waited < kPatienceMs && root_.exists(name); waited += 10) ::poll(nullptr, 0, 10);
    return !root_.exists(name);
  }

  TempRoot root_;
  std::unique_ptr<CheckpointThread> thread_;
};

TEST_F(CheckpointThreadTest, ADirectoryThatTheTrainerMakesWithItsFirstSaveIsWatchedAtOnce) {
  start(1h);
  for (const std::string pin : {"a", "b"}) {  // behind the second it has looked, and found no directory
    root_.write(".tideway/pins/" + pin + "/.metadata", "marker");
    thread_->order(DropPin{"ckpt", pin});
    ASSERT_TRUE(goes(".tideway/pins/" + pin));
  }
  save("step-1");
  ASSERT_EQ(next_found(), "step-1") << "an hour before anybody would look";
  save("step-2");
  EXPECT_EQ(next_found(), "step-2");
  std::filesystem::remove_all(root_ / "runs");
  save("step-3");
  EXPECT_EQ(next_found(), "step-3");
  save("step-4");
  EXPECT_EQ(next_found(), "step-4") << "it is another directory of the same name";
}

TEST_F(CheckpointThreadTest, APinGoesForWhoeverMadeItAndForThoseWhoMayDropAny) {
  start(1h);
  for (const char* name : {"a", "b"}) root_.write(std::string(".tideway/pins/") + name + "/.metadata", "marker");
  thread_->order(DropPin{"ckpt", "a", ::geteuid() + 1});
  thread_->order(DropPin{"ckpt", "b", ::geteuid()});
  EXPECT_TRUE(goes(".tideway/pins/b"));
  EXPECT_TRUE(root_.exists(".tideway/pins/a")) << "orders are taken one behind the other";
  thread_->order(DropPin{"ckpt", "a"});
  EXPECT_TRUE(goes(".tideway/pins/a"));
}

// A user has 128 of them by default, and others of the user want some.
TEST_F(CheckpointThreadTest, ManyThatGrowTakeABoundedNumberOfInotifyInstances) {
  const auto instances = [] {
    return std::ranges::count_if(std::filesystem::directory_iterator("/proc/self/fd"), [](const auto& fd) {
      std::error_code gone;
      return std::filesystem::read_symlink(fd.path(), gone) == "anon_inode:inotify";
    });
  };
  start(1h);
  const auto before = instances();
  for (size_t i = 0; i < CheckpointThread::kGrowingByInotify + 10; ++i)
    thread_->order(WatchGrowth{"d-" + std::to_string(i), "ckpt", ObjectName::from_text("step-" + std::to_string(i)).value()});
  root_.write(".tideway/pins/a/.metadata", "marker");
  thread_->order(DropPin{"ckpt", "a"});
  ASSERT_TRUE(goes(".tideway/pins/a")) << "orders are taken one behind the other";
  EXPECT_EQ(instances() - before, static_cast<std::ptrdiff_t>(CheckpointThread::kGrowingByInotify));
}

}  // namespace
}  // namespace tideway::daemon
