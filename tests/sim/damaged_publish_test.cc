// SPDX-License-Identifier: Apache-2.0
//
// A copy that died while it published, or when files of it had appeared, and of which what staging says is then damaged or only taken
// back in part. Another run ends as if nothing had been: what had been made ready does not stand in its way, what is visible is as it
// should be, and directories have their modes.
#include "sim/copy_bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
using messages::PublishForm;
constexpr uint64_t kDamagedCallsMax = 2000;
constexpr uint64_t kLedgerRecord = 64;

class PublishThatDied : public testing::Test {
 protected:
  PublishThatDied() {
    bench_.put("a", 9000, 1);
    bench_.put("b", 0, 2);
    bench_.put("dir/c", 100, 3);
    bench_.put("dir/deep/d", 70'000, 4);
    bench_.put(".metadata", 10, 5);
    bench_.put("shut/e", 50, 6);
    for (const char* name : {"shut", ""}) bench_.shut(name);
    run_.copy.turn = std::chrono::milliseconds(400);
  }

  // One that dies in front of each call that changes something, and what it has in staging is then damaged so if it was publishing. Gives how often it was.
  uint64_t die_and_damage(const std::function<void(const fs::path& staging)>& damage) {
    uint64_t damaged = 0;
    for (uint64_t at = 1; at < kDamagedCallsMax; ++at) {
      bench_.clear_disk();
      CopyBench::Run dying = run_;
      dying.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kChanges};
      const CopyBench::Came died = bench_.run(dying);
      if (!died.was_hit) return damaged;
      if (!fs::exists(bench_.disk() / ".tideway")) continue;
      bool is_damaged = false;
      for (const auto& staging : fs::directory_iterator(bench_.disk() / ".tideway")) {
        if (!fs::exists(staging.path() / "ledger") || !fs::exists(staging.path() / "tree")) continue;
        damage(staging.path());
        is_damaged = true;
      }
      if (!is_damaged) continue;
      damaged += 1;
      const CopyBench::Came again = bench_.run(run_);
      EXPECT_TRUE(again.is_published()) << "behind a death at call " << at << ", " << died.hit_at << ": " << again.text();
      EXPECT_EQ(bench_.check_published(), "") << "behind a death at call " << at << ", " << died.hit_at;
      if (HasFailure()) return damaged;
    }
    ADD_FAILURE() << "no end of calls";
    return 0;
  }

  static void spoil(const fs::path& file, uint64_t at) {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(at)).write("!", 1);
  }

  CopyBench bench_;
  CopyBench::Run run_;
};

class DamagedPublish : public PublishThatDied, public testing::WithParamInterface<PublishForm> {
 protected:
  DamagedPublish() { run_.copy.options.publish = GetParam(); }
};

TEST_P(DamagedPublish, AnotherRunPublishesBehindALedgerThatIsLost) {
  const uint64_t times = die_and_damage([](const fs::path& staging) { spoil(staging / "ledger", 0); });
  EXPECT_GE(times, 10U);
}

TEST_P(DamagedPublish, AnotherRunPublishesBehindALedgerThatHasLostItsLastRecord) {
  const uint64_t times = die_and_damage([](const fs::path& staging) {
    spoil(staging / "ledger", fs::file_size(staging / "ledger") - kLedgerRecord);
  });
  EXPECT_GE(times, 10U);
}

TEST_P(DamagedPublish, AnotherRunPublishesBehindAListThatIsLost) {
  const uint64_t times = die_and_damage([](const fs::path& staging) {
    fs::resize_file(staging / "manifest", fs::file_size(staging / "manifest") - 1);
  });
  EXPECT_GE(times, 10U);
}

// The second run, on a host that was started anew, takes back what it finds at the destination, and fails before it has recorded that.
TEST_F(PublishThatDied, AnotherRunPublishesBehindOneThatTookBackWhatHadAppeared) {
  run_.copy.options.publish = PublishForm::kEach;
  for (const char* name : {"y", "z"}) bench_.put(name, 4'194'304, 7);  // while which come the others appear
  CopyBench::Run dying = run_, failing = run_;
  dying.copy.boot = run_.copy.boot = {std::byte{1}};
  failing.copy.boot = {std::byte{2}};
  dying.fault = {.kind = DiskFault::Kind::kPowerCut, .calls = DiskFault::Calls::kChanges};
  const auto has_nothing_appeared = [&](uint64_t call) {
    bench_.clear_disk();
    dying.fault.at = call;
    return bench_.run(dying).was_hit && !fs::exists(bench_.out() / "a");
  };
  dying.fault.at = first_call_without(kDamagedCallsMax, has_nothing_appeared);
  for (uint64_t at = 1; at < kDamagedCallsMax; ++at) {
    bench_.clear_disk();
    bench_.run(dying);
    failing.fault = {.kind = DiskFault::Kind::kSpace, .at = at, .calls = DiskFault::Calls::kSpace};
    const CopyBench::Came failed = bench_.run(failing);
    const CopyBench::Came again = bench_.run(run_);
    EXPECT_TRUE(again.is_published()) << "behind a failure of call " << at << ", " << failed.text() << ": " << again.text();
    EXPECT_EQ(bench_.check_published(), "") << "behind a failure of call " << at;
    if (HasFailure() || !failed.was_hit) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, DamagedPublish, testing::Values(PublishForm::kRename, PublishForm::kMarker, PublishForm::kEach));

}  // namespace
}  // namespace tideway::test
