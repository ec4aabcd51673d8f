// SPDX-License-Identifier: Apache-2.0
//
// What a sink keeps of a copy that broke off, and has to take back: because another list came, or because what its source had sent of a
// rotten file was never called so.
#include "sim/copy_bench.h"

#include <gtest/gtest.h>

#include <fstream>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kKeptCallsMax = 2000;
constexpr size_t kLeaf = 4'194'304;
constexpr size_t kRecordSize = 64;

// ---- another list --------------------------------------------------------------------------------------------------

class KeptList : public testing::Test {
 protected:
  static CopyBench::Run slow() {
    CopyBench::Run run;
    run.copy.turn = std::chrono::milliseconds(400);
    run.copy.late_max = 8;
    return run;
  }
  // A copy that broke off with some of "a" on stable storage, and not all; "before" keeps the disk as it is then.
  void keep_some() {
    bench_.put("a", 2 * kLeaf + 5000, 1);
    bench_.put("z", 10, 2);
    CopyBench::Run run = slow();
    bool has_some = false;
    for (run.vanishes_at = 2; !has_some && run.vanishes_at < 100; ++run.vanishes_at) {
      fs::remove_all(bench_.disk());
      fs::create_directory(bench_.disk());
      ASSERT_FALSE(bench_.run(run).is_published()) << "it came to the end in " << run.vanishes_at << " turns";
      if (!fs::exists(bench_.disk() / ".tideway")) continue;
      has_some = fs::file_size(fs::directory_iterator(bench_.disk() / ".tideway")->path() / "ledger") >= 2 * kRecordSize;
    }
    ASSERT_TRUE(has_some);
    fs::copy(bench_.disk(), before(), fs::copy_options::recursive);
  }
  fs::path before() const { return bench_.disk().parent_path() / "before"; }
  // The file changes, and the run that brings it dies at each call in turn, or at each `stride`th; the next one has to end as if nothing
  // had been.
  uint64_t die_everywhere(DiskFault::Calls calls, Loss loss, uint64_t stride = 1) {
    for (uint64_t at = 1; at < kKeptCallsMax; at += stride) {
      fs::remove_all(bench_.disk());
      fs::copy(before(), bench_.disk(), fs::copy_options::recursive);
      CopyBench::Run dying = slow();
      dying.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = calls};
      dying.loss = loss;
      if (!bench_.run(dying).was_hit) return at - 1;
      CopyBench::Run next;
      if (loss != Loss::kNothing) next.copy.boot = {std::byte{2}};
      const CopyBench::Came again = bench_.run(next);
      EXPECT_TRUE(again.is_published()) << "after a cut at call " << at << ": " << again.text();
      EXPECT_EQ(bench_.check_whole(), "") << "after a cut at call " << at;
      if (HasFailure()) return at;
    }
    ADD_FAILURE() << "no end of calls";
    return 0;
  }
  static bool ends_with_void(const fs::path& ledger) {
    constexpr std::streamoff kKindAt = 7;  // its lowest byte
    std::ifstream file(ledger, std::ios::binary);
    file.seekg(kKindAt - static_cast<std::streamoff>(kRecordSize), std::ios::end);
    return file.get() == 3;
  }
  CopyBench bench_;
};

// The ledger says so before the list that makes it necessary is there to be compared with: a file of the former content that comes back
// with the power would be taken for one of the new list.
TEST_F(KeptList, WhatItsSuccessorTakesBackIsVoidOnDiskBeforeThatListIs) {
  keep_some();
  bench_.put("a", 2 * kLeaf + 5000, 99);
  EXPECT_GE(die_everywhere(DiskFault::Calls::kDurability, Loss::kUnsynced), 20U);
}

TEST_F(KeptList, AKillBeforeItsSuccessorSyncsAnythingLeavesNothingOfTheFormerContent) {
  keep_some();
  bench_.put("a", 2 * kLeaf + 5000, 99);
  EXPECT_GE(die_everywhere(DiskFault::Calls::kChanges, Loss::kNothing, 2), 30U);
}

// The file changed, and the process that took the former content back died before any of the other was durable, so its bytes may be
// anything: here they are zeros.
TEST_F(KeptList, S25ADamagedRecordThatTookLeavesBackDoesNotMakeThemCountAgain) {
  keep_some();
  bench_.put("a", 2 * kLeaf + 5000, 99);
  uint64_t damaged = 0;
  for (uint64_t at = 1; at < 200 && damaged < 2; ++at) {
    fs::remove_all(bench_.disk());
    fs::copy(before(), bench_.disk(), fs::copy_options::recursive);
    CopyBench::Run dying = slow();
    dying.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kChanges};
    if (!bench_.run(dying).was_hit) break;
    const fs::path staged = fs::directory_iterator(bench_.disk() / ".tideway")->path(), a = staged / "data/00000/001";
    if (!ends_with_void(staged / "ledger") || fs::file_size(staged / "manifest") == 0) continue;  // before the list that is to be compared with
    std::ofstream(a, std::ios::binary | std::ios::trunc).close();
    fs::resize_file(a, 2 * kLeaf + 5000);
    std::fstream(staged / "ledger", std::ios::in | std::ios::out | std::ios::binary).seekp(-1, std::ios::end).put('!');
    damaged += 1;
    const CopyBench::Came again = bench_.run({});
    EXPECT_TRUE(again.is_published()) << "dead at call " << at << ": " << again.text();
    EXPECT_EQ(bench_.check_whole(), "") << "dead at call " << at;
  }
  EXPECT_GE(damaged, 1U);
}

// ---- what had rotted -----------------------------------------------------------------------------------------------

// A tree that was published here, with a bit that rotted since, is the source of another copy.
class KeptRot : public testing::Test {
 protected:
  void SetUp() override {
    bench_.put("a", 10, 2);
    bench_.put("m", 2 * kLeaf, 5);
    for (const char* name : {"y", "z"}) bench_.put(name, kLeaf, 6);
    ASSERT_TRUE(bench_.run({}).is_published());
  }
  fs::path target() const { return bench_.disk() / "second"; }
  void flip_a_bit() const { CopyBench::flip_a_bit(bench_.out() / "m"); }
  // With a control channel that carries nothing more after so many turns, and breaks when the lanes have brought what was under way.
  static constexpr uint64_t kSound = 100'000, kUntilItBreaks = 40;
  SimCopy::Outcome copy_on(uint64_t silent_from = kSound) const {
    SimCopyConfig config;
    config.source = bench_.out();
    config.root = target();
    config.turn = std::chrono::milliseconds(400);
    config.silent_from = silent_from;
    SimCopy copy(config);
    const auto outcome = copy.run([&] { return copy.turns() < silent_from + kUntilItBreaks; });
    copy.end();
    return outcome;
  }
  bool has_recorded() const {
    if (!fs::exists(target() / ".tideway")) return false;
    return fs::file_size(fs::directory_iterator(target() / ".tideway")->path() / "ledger") >= 2 * kRecordSize;
  }
  // Whatever was kept when the channel died is never published as good, and once the source is mended the same copy comes to its end in two
  // runs: one that throws away what had rotted, and one that brings it.
  uint64_t break_everywhere() {
    constexpr uint64_t kTurnsMax = 200;
    uint64_t kept = 0;
    for (uint64_t turns = 1; turns < kTurnsMax; ++turns) {
      fs::remove_all(target());
      fs::create_directory(target());
      flip_a_bit();
      const bool came_to_its_end = copy_on(turns).has_value();
      EXPECT_FALSE(fs::exists(target() / "out")) << "published after " << turns << " turns";
      kept += has_recorded() ? 1 : 0;
      const auto rotten_still = copy_on();
      EXPECT_FALSE(fs::exists(target() / "out")) << "published after " << turns << " turns and another run";
      EXPECT_EQ(rotten_still && !rotten_still->ok() ? rotten_still->error().exit_code() : 0, 8) << turns;
      flip_a_bit();
      auto mended = copy_on();
      if (mended && !mended->ok()) mended = copy_on();
      EXPECT_TRUE(mended && mended->ok()) << turns << ": " << (mended ? mended->error().what : "no end");
      EXPECT_TRUE(bytes_of("m") == source_bytes_of("m")) << turns;
      if (came_to_its_end || HasFailure()) return kept;
    }
    ADD_FAILURE() << "no end";
    return 0;
  }
  std::string bytes_of(const std::string& name) const { return read_file(target() / "out" / name); }
  std::string source_bytes_of(const std::string& name) const { return read_file(bench_.source() / name); }
  CopyBench bench_;
};

TEST_F(KeptRot, S13ALeafThatCameBeforeItsSourceCalledItRottenIsNeverPublished) { EXPECT_GE(break_everywhere(), 2U); }

// Then the root of the tree is another one, and says nothing of what had rotted.
TEST_F(KeptRot, S13NorWhereAnotherFileWasChangedSinceItWasPublished) {
  fs::last_write_time(bench_.out() / "z", fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_GE(break_everywhere(), 2U);
}

}  // namespace
}  // namespace tideway::test
