// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoint_thread.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <latch>

#include <poll.h>
#include <unistd.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

class CheckpointThreadTest : public testing::Test {
 protected:
  static constexpr int kPatienceMs = 20'000;

  CheckpointThreadConfig config_of_root() const {
    CheckpointThreadConfig config;
    config.roots.push_back({"ckpt", root_.path().string(), std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kSource).value())});
    return config;
  }
  void start(std::chrono::milliseconds poll) {
    CheckpointThreadConfig config = config_of_root();
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
  // Why the next look at `pin` does not hold it; "held": it does.
  std::string next_look_at(const std::string& pin) {
    pollfd fd{thread_->wait_fd(), POLLIN, 0};
    while (answers_.empty() && ::poll(&fd, 1, kPatienceMs) == 1)
      for (CheckpointEvent& event : thread_->take_events())
        if (auto* answered = std::get_if<HoldAnswered>(&event); answered != nullptr && answered->pin == pin) answers_.push_back(std::move(answered->outcome));
    if (answers_.empty()) return "none";
    const HoldOutcome outcome = std::move(answers_.front());
    answers_.pop_front();
    if (!outcome.ok()) return std::string(outcome.error().name());
    const auto* why = std::get_if<checkpoint::Incomplete>(&outcome.value());
    return why == nullptr ? "held" : why->reason;
  }
  bool goes(const std::string& name) {
    for (int waited = 0; waited < kPatienceMs && root_.exists(name); waited += 10) ::poll(nullptr, 0, 10);
    return !root_.exists(name);
  }

  TempRoot root_;
  std::deque<HoldOutcome> answers_;
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

// Both are looked at behind each other, and the first is put on stable storage in between.
TEST_F(CheckpointThreadTest, WhatIsLookedAtBehindALongHoldHasNotStoodStillMeanwhile) {
  CheckpointThreadConfig config = config_of_root();
  const auto are_ordered = std::make_shared<std::latch>(1);
  config.clock = [&root = root_, are_ordered] {
    are_ordered->wait();
    return read_clock() + (root.exists(".tideway/pins/d-1") ? 60s : 0s);
  };
  thread_ = CheckpointThread::start(std::move(config)).value();
  for (const char* name : {"step-1", "step-2"}) save(name);
  const std::ofstream being_written(root_ / "runs/step-2/__0_0.distcp", std::ios::app);
  HoldOrder order;
  order.root = "ckpt";
  order.pin = "d-1";
  order.name = ObjectName::from_text("runs/step-1").value();
  order.settle = {};
  thread_->order(order);
  order.pin = "d-2";
  order.name = ObjectName::from_text("runs/step-2").value();
  order.settle = 30s;
  thread_->order(order);
  are_ordered->count_down();
  for (const char* which : {"first", "second"}) EXPECT_EQ(next_look_at("d-2"), "changing") << which;
  EXPECT_TRUE(root_.exists(".tideway/pins/d-1")) << "it was held meanwhile";
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
