// SPDX-License-Identifier: Apache-2.0
//
// A ledger that is compacted while its process dies, the power goes or a call fails, at each of its calls in turn.
#include "engine/durable_log.h"
#include "support/sim_disk.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
constexpr TransferId kCompacted{std::byte{9}};
constexpr transfer::LedgerOpened kOpened{1, {std::byte{7}}};
constexpr uint64_t kRanges = transfer::kLedgerGrowthMin + 100, kLeaves = 2 * kRanges;

class LedgerCompaction : public testing::Test {
 protected:
  fs::path disk() const { return dir_ / "disk"; }
  fs::path ledger() const { return disk() / ".tideway" / storage::to_hex(kCompacted) / "ledger"; }
  std::shared_ptr<storage::RootedDir> root() const {
    return std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(disk().string(), storage::Side::kDestination).value());
  }
  void make_new() const {
    fs::remove_all(disk());
    fs::create_directory(disk());
  }
  // Says in one batch that every second leaf from `first` on is durable, each in a record of its own.
  static bool record(engine::DurableLog& log, uint64_t first) {
    for (uint64_t leaf = first; leaf < kLeaves; leaf += 2) log.on_counts({leaf, 1});
    log.begin_batch({});
    return log.end_batch().ok();
  }
  // A process that says so of the even ones, behind `before`. Gives how many of them are to be there.
  uint64_t fill(const std::function<void()>& before) const {
    auto staging = storage::Staging::open(root(), kCompacted);
    EXPECT_TRUE(staging.ok());
    auto log = engine::DurableLog::open(staging.value(), kCompacted, kOpened);
    EXPECT_TRUE(log.ok() && log.value().begin({}).ok());
    log.value().on_counts({0, 1});
    log.value().begin_batch({});
    EXPECT_TRUE(log.value().end_batch().ok());
    before();
    return record(log.value(), 0) ? kRanges : 1;
  }
  // What the next process finds; and that it can go on.
  uint64_t found() const {
    auto staging = storage::Staging::open(root(), kCompacted);
    if (!staging.ok()) return 0;
    auto log = engine::DurableLog::open(staging.value(), kCompacted, kOpened);
    if (!log.ok()) return 0;
    EXPECT_TRUE(log.value().begin({}).ok());
    log.value().on_counts({kLeaves, 1});
    log.value().begin_batch({});
    EXPECT_TRUE(log.value().end_batch().ok());
    transfer::Ledger ledger_now(kCompacted);
    std::vector<std::byte> bytes(staging.value().ledger().size());
    EXPECT_EQ(ledger_now.replay(std::span(bytes).first(staging.value().ledger().read(0, bytes))), bytes.size());
    EXPECT_TRUE(ledger_now.durable().contains(kLeaves));
    return ledger_now.durable().count() - 1;
  }
  static bool inode_of(const fs::path& file, ino_t& inode) {
    struct stat status{};
    const bool is_there = ::stat(file.c_str(), &status) == 0;
    inode = status.st_ino;
    return is_there;
  }
  static flow::IntervalSet found_in(storage::Staging& staging) {
    transfer::Ledger ledger(kCompacted);
    std::vector<std::byte> bytes(staging.ledger().size());
    EXPECT_EQ(ledger.replay(std::span(bytes).first(staging.ledger().read(0, bytes))), bytes.size());
    return ledger.durable();
  }
  TempRoot dir_;
};

TEST_F(LedgerCompaction, KeepsALedgerAsShortAsItsRangesAre) {
  make_new();
  auto staging = storage::Staging::open(root(), kCompacted);
  ASSERT_TRUE(staging.ok());
  auto log = engine::DurableLog::open(staging.value(), kCompacted, kOpened);
  ASSERT_TRUE(log.ok() && log.value().begin({}).ok());
  EXPECT_TRUE(record(log.value(), 0));
  EXPECT_EQ(fs::file_size(ledger()), (kRanges + 2) * transfer::kLedgerRecordSize);
  EXPECT_TRUE(record(log.value(), 1));
  for (int i = 0; i < 2; ++i) log.value().on_counts({0, 1});  // it has doubled
  log.value().begin_batch({});
  EXPECT_TRUE(log.value().end_batch().ok());
  EXPECT_EQ(fs::file_size(ledger()), 3 * transfer::kLedgerRecordSize) << "one range, and who opened it";
}

TEST_F(LedgerCompaction, HappensWhenTheLedgerHasDoubledAndNotWithEachBatch) {
  constexpr uint64_t kBatches = 16, kBatch = transfer::kLedgerGrowthMin;
  make_new();
  auto staging = storage::Staging::open(root(), kCompacted);
  ASSERT_TRUE(staging.ok());
  auto log = engine::DurableLog::open(staging.value(), kCompacted, kOpened);
  ASSERT_TRUE(log.ok() && log.value().begin({}).ok());
  uint64_t written = 0, before = 0;  // bytes of ledgers
  for (uint64_t batch = 0; batch < kBatches; ++batch) {
    for (uint64_t leaf = batch * kBatch; leaf < (batch + 1) * kBatch; ++leaf) log.value().on_counts({2 * leaf, 1});
    log.value().begin_batch({});
    ino_t former = 0, now = 0;
    ASSERT_TRUE(inode_of(ledger(), former));
    ASSERT_TRUE(log.value().end_batch().ok());
    ASSERT_TRUE(inode_of(ledger(), now));
    written += now == former ? fs::file_size(ledger()) - before : fs::file_size(ledger());
    before = fs::file_size(ledger());
  }
  EXPECT_LE(written, 3 * fs::file_size(ledger())) << "each record costs the same, however many there are";
}

TEST_F(LedgerCompaction, OfMoreRangesThanMayBeKeptTheShortestAreForgotten) {
  constexpr uint64_t kMost = 100, kLong = 1000;
  make_new();
  auto staging = storage::Staging::open(root(), kCompacted);
  ASSERT_TRUE(staging.ok());
  auto log = engine::DurableLog::open(staging.value(), kCompacted, kOpened, kMost);
  ASSERT_TRUE(log.ok() && log.value().begin({}).ok());
  const auto record = [&](uint64_t first, uint64_t end) {
    for (uint64_t leaf = first; leaf < end; ++leaf) log.value().on_counts({2 * leaf, 1});
    log.value().begin_batch({});
    return log.value().end_batch();
  };
  for (uint64_t leaf = kLong; leaf < kLong + 3; ++leaf) log.value().on_counts({leaf, 1});
  EXPECT_TRUE(record(0, kMost - 1).ok());
  EXPECT_EQ(found_in(staging.value()).intervals().size(), kMost);
  EXPECT_TRUE(record(kMost - 1, kMost).ok());
  const flow::IntervalSet kept = found_in(staging.value());
  EXPECT_EQ(kept.intervals().size(), kMost / 2);
  EXPECT_TRUE(kept.contains_all({kLong, kLong + 3})) << "a long one stays";
  EXPECT_TRUE(record(kMost, kMost + kMost / 2).ok());
  EXPECT_EQ(found_in(staging.value()).intervals().size(), kMost) << "there is room again";
}

TEST_F(LedgerCompaction, WhoeverDiesLosesPowerOrMeetsAnErrorInItLosesNothingThatWasSaidToBeDurable) {
  using Kind = DiskFault::Kind;
  struct Case { Kind kind; Loss loss; };
  for (const Case& one : {Case{Kind::kPowerCut, Loss::kNothing}, Case{Kind::kPowerCut, Loss::kUnsynced}, Case{Kind::kPowerCut, Loss::kTorn},
                Case{Kind::kError, Loss::kNothing}}) {
    uint64_t points = 0;
    for (uint64_t at = 1;; ++at) {
      make_new();
      uint64_t durable = 0;
      bool was_hit = false;
      {
        SimDisk sim(disk());
        durable = fill([&] { sim.plan({.kind = one.kind, .at = at, .calls = DiskFault::Calls::kDurability}); });
        was_hit = sim.was_hit();
        if (one.kind == Kind::kPowerCut && was_hit) sim.lay_out(dir_ / "after", one.loss);
      }
      if (fs::exists(dir_ / "after")) {
        fs::remove_all(disk());
        fs::rename(dir_ / "after", disk());
      }
      EXPECT_GE(found(), durable) << "at call " << at << " of kind " << static_cast<int>(one.kind) << ", loss " << static_cast<int>(one.loss);
      if (HasFailure() || !was_hit) break;
      points = at;
    }
    EXPECT_GE(points, 6U) << "three syncs to record; then sync the new ledger, move it, sync its name";
  }
}

}  // namespace
}  // namespace tideway::test
