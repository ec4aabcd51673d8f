// SPDX-License-Identifier: Apache-2.0
#include "daemon/holding.h"

#include "storage/pin.h"
#include "support/refused_call.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;
using checkpoint::Incomplete;

class HoldingTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(storage::make_request_dirs(*dir_, std::nullopt).ok()); }
  void shard(const std::string& name, int64_t mtime_s) {
    root_.write(name, std::string(storage::kCopiedMax.count() + 1, 's'));
    age(name, mtime_s);
  }
  void marker(const std::string& name, int64_t mtime_s) {
    root_.write(name, "marker");
    age(name, mtime_s);
  }
  void age(const std::string& name, int64_t mtime_s) {
    const auto file = dir_->open_file(ObjectName::from_text(name).value(), storage::Access::kWrite);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(storage::set_times(file.value().get(), mtime_s * 1'000'000'000), 0);
  }
  Holding holding(const std::string& name, HoldOrder order = {}) {
    order.pin = "d-1";
    order.root = "ckpt";
    order.name = ObjectName::from_text(name).value();
    return Holding(std::move(order), dir_, Time{});
  }
  static std::string reason(const HoldOutcome& outcome) {
    if (!outcome.ok()) return std::string(outcome.error().name());
    const auto* why = std::get_if<Incomplete>(&outcome.value());
    return why == nullptr ? "held" : why->reason;
  }

  static Clock at(Time now) { return [now] { return now; }; }  // a look that takes no time

  TempRoot root_;
  session::RootPtr dir_ = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kSource).value());
  QuietTimes quiet_;
};

TEST_F(HoldingTest, ACheckpointIsHeldWhenItsRuleHoldsAndNothingHasChangedForAWhile) {
  Holding one = holding("runs/step-9");
  EXPECT_EQ(reason(one.look(quiet_, at(Time{}))), "source_missing");
  shard("runs/step-9/__0_0.distcp", 100);
  EXPECT_EQ(reason(one.look(quiet_, at(Time{}))), "no_marker");
  marker("runs/step-9/.metadata", 101);
  EXPECT_EQ(reason(one.look(quiet_, at(Time{1s}))), "changing");
  EXPECT_EQ(reason(one.look(quiet_, at(Time{2s}))), "changing") << "it changed at 1 s";
  EXPECT_GT(one.next_look(), Time{2s});
  const HoldOutcome outcome = one.look(quiet_, at(Time{3s}));
  ASSERT_EQ(reason(outcome), "held");
  EXPECT_EQ(std::get<Held>(outcome.value()).hold, job::Hold::kPinned);
  EXPECT_EQ(root_.read(".tideway/pins/d-1/.metadata"), "marker");
}

TEST_F(HoldingTest, AListingThatTookLongSaysNothingOfTheTimeThatItTook) {
  shard("runs/step-9/__0_0.distcp", 100);
  marker("runs/step-9/.metadata", 101);
  Holding one = holding("runs/step-9");
  Time now{};
  EXPECT_EQ(reason(one.look(quiet_, [&now] { return now += 10s; })), "changing");
  EXPECT_EQ(reason(one.look(quiet_, at(now))), "changing");
  EXPECT_EQ(reason(one.look(quiet_, at(now + 2s))), "held");
}

TEST_F(HoldingTest, TheOldMarkerBesideANewShardHoldsNothing) {
  shard("runs/step-9/__0_0.distcp", 100);
  marker("runs/step-9/.metadata", 101);
  Holding one = holding("runs/step-9");
  static_cast<void>(one.look(quiet_, at(Time{})));
  shard("runs/step-9/__0_0.distcp", 200);
  EXPECT_EQ(reason(one.look(quiet_, at(Time{10s}))), "old_marker");
  EXPECT_EQ(reason(one.look(quiet_, at(Time{20s}))), "old_marker");
  EXPECT_FALSE(root_.exists(".tideway/pins/d-1"));
}

// By the clock of its host it is ten seconds older than what it closes.
TEST_F(HoldingTest, AMarkerThatWasSeenToComeHoldsWhateverItsTimeSays) {
  std::ifstream file(TIDEWAY_TEST_VECTORS "/../../tests/fixtures/dcp_metadata/one_file.pickle", std::ios::binary);
  Holding one = holding("runs/step-9");
  root_.write("runs/step-9/__0_0.distcp", std::string(2612, 's'));
  age("runs/step-9/__0_0.distcp", 110);
  EXPECT_EQ(reason(one.look(quiet_, at(Time{}))), "no_marker");
  root_.write("runs/step-9/.metadata", std::string{std::istreambuf_iterator<char>(file), {}});
  age("runs/step-9/.metadata", 100);
  EXPECT_EQ(reason(one.look(quiet_, at(Time{1s}))), "changing");
  EXPECT_EQ(reason(one.look(quiet_, at(Time{4s}))), "held");
  EXPECT_TRUE(root_.exists(".tideway/pins/d-1/.metadata"));
}

TEST_F(HoldingTest, APinLeftByAnotherVersionIsMadeAnew) {
  shard("runs/step-9/__0_0.distcp", 100);
  marker("runs/step-9/.metadata", 101);
  root_.write(".tideway/pins/d-1/.metadata", "of before the crash");
  Holding one = holding("runs/step-9");
  static_cast<void>(one.look(quiet_, at(Time{})));
  EXPECT_EQ(reason(one.look(quiet_, at(Time{2s}))), "held");
  EXPECT_EQ(root_.read(".tideway/pins/d-1/.metadata"), "marker");
}

TEST_F(HoldingTest, WhatIsHeldIsPutOnStableStorageBeforeItCounts) {
  enum class How : uint8_t { kPinned, kInPlace, kByTrainer };
  for (const How how : {How::kPinned, How::kInPlace, How::kByTrainer}) {
    const std::string place = how == How::kByTrainer ? ".tideway/pins/d-1/" : "runs/step-9/";
    shard(place + "__0_0.distcp", 100);
    marker(place + ".metadata", 101);
    const auto held_without_syncs = [&] {
      test::refuse_call(SYS_fsync, EIO);
      if (how == How::kInPlace) test::refuse_call(SYS_linkat, EPERM);
      HoldOrder order;
      if (how == How::kByTrainer) order.by = HoldOrder::Pin::kByTrainer;
      Holding one = holding("runs/step-9", order);
      static_cast<void>(one.look(quiet_, at(Time{})));
      ::_exit(reason(one.look(quiet_, at(Time{3s}))) == "held" ? 0 : 1);
    };
    EXPECT_EXIT(held_without_syncs(), testing::ExitedWithCode(0), "pin_not_synced place=\"ckpt:" + (how == How::kInPlace ? std::string("runs/step-9") : ".tideway/pins/d-1") + '"');
  }
}

TEST_F(HoldingTest, ATrainersPinNeedsNoWaitAndMustBeItsOwn) {
  shard(".tideway/pins/d-1/__0_0.distcp", 100);
  marker(".tideway/pins/d-1/.metadata", 101);
  HoldOrder order;
  order.by = HoldOrder::Pin::kByTrainer;
  Holding one = holding("runs/step-9", order);
  EXPECT_EQ(reason(one.look(quiet_, at(Time{}))), "held");
  order.owner = ::getuid() + 1;
  Holding stranger = holding("runs/step-9", order);
  EXPECT_EQ(reason(stranger.look(quiet_, at(Time{}))), "denied");
}

TEST_F(HoldingTest, WhatIsNeverCompleteIsGivenUp) {
  shard("runs/step-9/__0_0.distcp", 100);
  Holding one = holding("runs/step-9");
  EXPECT_EQ(reason(one.look(quiet_, at(Time{}))), "no_marker");
  EXPECT_EQ(reason(one.look(quiet_, at(Time{kIncompleteMax}))), "no_marker");
  EXPECT_EQ(reason(one.look(quiet_, at(Time{kIncompleteMax + 1s}))), "not_complete");
}

}  // namespace
}  // namespace tideway::daemon
