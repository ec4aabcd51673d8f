// SPDX-License-Identifier: Apache-2.0
//
// What is done on a disk besides a plain copy, with one call failing, each in turn: pins, copies that are read back or take leaves from
// an earlier checkpoint, the removal of what was published, and of what was left. Nothing half done is visible, and doing it
// again ends as if nothing had been.
#include "engine/durable_log.h"
#include "sim/copy_bench.h"
#include "storage/pin.h"
#include "storage/published.h"
#include "storage/staging.h"
#include "storage/stored_manifest.h"
#include "storage/sweep.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <memory>
#include <span>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kDiskCallsMax = 1000;
const ObjectName kStep = storage::single_name("step-1");

storage::RootedDir opened(const fs::path& path) {
  return storage::RootedDir::open_host_path(path.string(), storage::Side::kSource, storage::Lookup::kWalk).value();
}

class DiskCalls : public testing::Test {
 protected:
  struct Tried {
    Status status = success();
    bool was_hit = false;
  };
  // `act` with the call of that number failing.
  Tried with_failure(uint64_t at, const std::function<Status()>& act) const {
    SimDisk disk(bench_.disk());
    disk.plan({.kind = DiskFault::Kind::kError, .at = at});
    Tried tried{act(), false};
    tried.was_hit = disk.was_hit();
    return tried;
  }
  void set_disk_to(const fs::path& before) const {
    fs::remove_all(bench_.disk());
    fs::copy(before, bench_.disk(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }
  fs::path keep_disk() const {
    fs::path kept = bench_.disk().parent_path() / "before";
    fs::copy(bench_.disk(), kept, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    return kept;
  }
  static std::string text_of(const fs::path& path) {
    if (!fs::is_regular_file(path)) return {};
    std::string text(fs::file_size(path), '\0');
    std::ifstream(path, std::ios::binary).read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
  }
  CopyBench bench_;
};

// Whichever call of the sink meets it, on the way to disk or when the tree becomes visible.
TEST_F(DiskCalls, EachTroubleOfADiskEndsTheCopyWithItsOwnCodeAndTheNextRunGoesOn) {
  struct Trouble {
    int error;
    std::string_view code, text;
  };
  constexpr Trouble kTroubles[] = {
      {ENOSPC, "dest_full", "No space left"},      {EDQUOT, "dest_quota", "quota exceeded"}, {EROFS, "dest_readonly", "Read-only"},
      {ESTALE, "dest_stalled", "Stale"},           {EPERM, "dest_denied", "not permitted"},  {EIO, "dest_io", "Input/output error"},
      {EFBIG, "dest_too_big", "File too large"},
  };
  bench_.put("a", 9000, 1);
  bench_.put("dir/b", 100, 2);
  for (const Trouble& trouble : kTroubles) {
    size_t ended = 0;
    bool was_hit = true;
    for (uint64_t at = 1; was_hit && at < kDiskCallsMax; at += 4) {
      fs::remove_all(bench_.disk());
      fs::create_directory(bench_.disk());
      CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kError, .at = at, .error = trouble.error, .calls = DiskFault::Calls::kDurability}};
      run.copy.turn = std::chrono::milliseconds(400);
      const CopyBench::Came came = bench_.run(run);
      was_hit = came.was_hit;
      if (came.is_published()) continue;  // what is only tidied up may fail
      ASSERT_TRUE(came.outcome && !came.outcome->ok()) << trouble.code << " at call " << at;
      const Error& why = came.outcome->error();
      EXPECT_EQ(why.name(), trouble.code) << "at call " << at << ": " << why.what;
      EXPECT_EQ(why.exit_code(), trouble.error == EFBIG ? 1 : 7);
      EXPECT_NE(why.what.find(trouble.text), std::string::npos) << why.what;
      EXPECT_FALSE(why.next.empty()) << why.what;
      EXPECT_TRUE(bench_.run({}).is_published()) << trouble.code << " at call " << at;
      EXPECT_EQ(bench_.check_whole(), "") << trouble.code << " at call " << at;
      ended += 1;
    }
    EXPECT_GE(ended, 5U) << trouble.code << " was hardly met";
  }
}

// As on a disk of another system: what is two names at the source is one there.
TEST_F(DiskCalls, F16NamesThatAreOneAtTheDestinationEndTheCopyAndNothingIsOverwritten) {
  struct Row { const char *one, *other; };
  constexpr Row kRows[] = {{"dir/Data", "dir/data"}, {"Dir/data", "dir/data"}, {"empty", "EMPTY"}};
  for (const Row& row : kRows) {
    bench_.clear();
    const size_t size = std::string_view(row.one) == "empty" ? 0 : 9000;
    bench_.put(row.one, size, 1);
    bench_.put(row.other, size == 0 ? 0 : 5000, 2);
    if (size == 0) fs::last_write_time(bench_.source() / row.other, fs::last_write_time(bench_.source() / row.one) + std::chrono::hours(1));
    for (int i = 0; i < 2; ++i) {  // another run changes nothing
      const CopyBench::Came came = bench_.run({.fault = {.kind = DiskFault::Kind::kFoldsCase}});
      EXPECT_TRUE(came.was_hit);
      ASSERT_TRUE(came.outcome && !came.outcome->ok()) << row.one;
      EXPECT_EQ(came.outcome->error().fault, Fault::kNameCollision) << row.one << ": " << came.outcome->error().what;
      EXPECT_EQ(came.outcome->error().exit_code(), 1);
      EXPECT_FALSE(fs::exists(bench_.out())) << row.one;
    }
  }
}

// A directory of staging that a process made and had no time to sync is no safer because the next one finds it there.
TEST_F(DiskCalls, WhatIsRecordedBehindAKillOutlivesALossOfPower) {
  const TransferId id{std::byte{9}};
  const std::string object = ".tideway/" + storage::to_hex(id) + "/data/00000/001";
  {
    SimDisk disk(bench_.disk());
    const auto root = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(bench_.disk().string(), storage::Side::kDestination, storage::Lookup::kWalk).value());
    {
      auto dying = storage::Staging::open(root, id);
      ASSERT_TRUE(dying.ok());
      ASSERT_TRUE(dying.value().create_object(ObjectId(0)).ok());
    }
    auto staging = storage::Staging::open(root, id);
    ASSERT_TRUE(staging.ok());
    ASSERT_TRUE(staging.value().begin_manifest().ok());
    const auto file = staging.value().create_object(ObjectId(1));
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(storage::write_all(file.value().get(), 0, std::as_bytes(std::span("content", 7))), 0);
    ASSERT_EQ(::fdatasync(file.value().get()), 0);
    ASSERT_TRUE(staging.value().sync_new_dirs().ok());
    ASSERT_TRUE(staging.value().record(std::vector<std::byte>(64)).ok());
    ASSERT_TRUE(fs::exists(bench_.disk() / object));
    disk.cut_power();
    disk.lay_out(bench_.disk().parent_path() / "after", Loss::kUnsynced);
  }
  EXPECT_EQ(text_of(bench_.disk().parent_path() / "after" / object), "content");
}

// One that seems empty would be written over from its begin, and what stands behind that would count again.
TEST_F(DiskCalls, ALedgerThatCannotBeLookedAtIsNotTakenForAnEmptyOne) {
  const TransferId id{std::byte{9}};
  const auto root = std::make_shared<storage::RootedDir>(opened(bench_.disk()));
  {
    auto dead = storage::Staging::open(root, id);
    ASSERT_TRUE(dead.ok() && dead.value().record(std::vector<std::byte>(64)).ok());
  }
  bool was_hit = true;
  for (uint64_t at = 1; was_hit && at < kDiskCallsMax; ++at) {
    SimDisk disk(bench_.disk());
    disk.plan({.kind = DiskFault::Kind::kError, .at = at});
    auto found = storage::Staging::open(root, id);
    was_hit = disk.was_hit();
    ASSERT_TRUE(!found.ok() || found.value().ledger().size() == 64) << "at call " << at;
  }
  EXPECT_FALSE(was_hit);
}

TEST_F(DiskCalls, APinIsThereWholeOrNotAtAll) {
  const std::string large(storage::kCopiedMax.count() + 1, 'x');  // which is linked where it cannot be cloned
  uint64_t at = 1;
  for (; at < kDiskCallsMax; ++at) {
    bench_.clear();
    const fs::path step = bench_.disk() / "step-1", pin = bench_.disk() / ".tideway/pins/a";
    fs::create_directories(step / "sub");
    std::ofstream(step / "shard") << large;
    std::ofstream(step / "sub/.metadata") << "marker";
    fs::create_symlink("shard", step / "link");
    const auto dir = opened(bench_.disk());
    ASSERT_TRUE(storage::make_request_dirs(dir, std::nullopt).ok());
    const auto make = [&] {
      const auto made = storage::make_pin(dir, kStep, "a");
      return made.ok() ? success() : Status(made.error());
    };
    const Tried tried = with_failure(at, make);
    EXPECT_TRUE(tried.status.ok() || !tried.status.error().what.empty()) << "at call " << at;
    EXPECT_EQ(fs::exists(pin), tried.status.ok()) << "at call " << at;
    EXPECT_TRUE(tried.status.ok() || make().ok()) << "after the failure of call " << at;
    EXPECT_EQ(text_of(pin / "shard"), large) << "at call " << at;
    EXPECT_EQ(text_of(pin / "sub/.metadata"), "marker") << "at call " << at;
    EXPECT_EQ(text_of(step / "shard"), large) << "at call " << at;
    ASSERT_FALSE(HasFailure());
    if (!tried.was_hit) break;
  }
  EXPECT_GT(at, 40U);
  EXPECT_LT(at, kDiskCallsMax);
}

TEST_F(DiskCalls, APinThatWasSyncedOutlivesALossOfPowerWhateverItsSourceDoes) {
  const std::string large(storage::kCopiedMax.count() + 1, 'x');
  for (const int small_files : {1, 100}) {  // each synced by itself, and with all else
    bench_.clear();
    fs::remove_all(bench_.disk().parent_path() / "after");
    const fs::path step = bench_.disk() / "step-1", pin = bench_.disk().parent_path() / "after/.tideway/pins/a";
    fs::create_directories(step / "sub");
    for (int i = 0; i < small_files; ++i) std::ofstream(step / "sub" / std::to_string(i)) << "marker";
    const auto dir = opened(bench_.disk());
    ASSERT_TRUE(storage::make_request_dirs(dir, std::nullopt).ok());
    SimDisk disk(bench_.disk());
    {
      const auto shard = dir.create_file(kStep.child("shard").value(), 0600);  // and its trainer syncs nothing
      ASSERT_TRUE(shard.ok() && storage::write_all(shard.value().get(), 0, std::as_bytes(std::span(large))) == 0);
    }
    ASSERT_TRUE(storage::make_pin(dir, kStep, "a").ok());
    ASSERT_TRUE(storage::sync_tree(dir, storage::pins_dir().child("a").value()).ok());
    disk.cut_power();
    disk.lay_out(bench_.disk().parent_path() / "after", Loss::kUnsynced);
    EXPECT_EQ(text_of(pin / "shard"), large) << small_files;
    for (int i = 0; i < small_files; ++i) EXPECT_EQ(text_of(pin / "sub" / std::to_string(i)), "marker") << i << " of " << small_files;
  }
}

TEST_F(DiskCalls, WhatWasPublishedIsRemovedAtOnceOrIsThereWhole) {
  bench_.put("a", 9000, 1);
  bench_.put("dir/b", 100, 2);
  ASSERT_TRUE(bench_.run({}).is_published());
  const fs::path before = keep_disk();
  const ObjectName out = storage::single_name("out");
  Hash256 root{};
  {
    const auto dir = opened(bench_.disk());
    root = storage::StoredManifest::open(dir, storage::manifest_of(dir, out).value()).value().header().root;
  }
  uint64_t at = 1;
  for (; at < kDiskCallsMax; ++at) {
    set_disk_to(before);
    const auto remove = [&] { return storage::remove_published(opened(bench_.disk()), {out, root, TransferId{std::byte{9}}, engine::read_page}); };
    const Tried tried = with_failure(at, remove);
    const bool is_there = fs::exists(bench_.out());
    for (const char* name : {"a", "dir/b", ".tideway-manifest"}) EXPECT_EQ(fs::exists(bench_.out() / name), is_there) << name << ", at call " << at;
    const Status again = tried.status.ok() ? success() : remove();
    EXPECT_TRUE(again.ok() || again.error().fault == Fault::kSourceMissing) << again.error().what << ", at call " << at;
    EXPECT_FALSE(fs::exists(bench_.out())) << "at call " << at;
    EXPECT_TRUE(storage::sweep_staging(opened(bench_.disk()), Duration{}, INT64_MAX).ok());
    EXPECT_FALSE(fs::exists(bench_.disk() / ".tideway")) << "what it left is not swept, at call " << at;
    ASSERT_FALSE(HasFailure());
    if (!tried.was_hit) break;
  }
  EXPECT_GT(at, 20U);
  EXPECT_LT(at, kDiskCallsMax);
}

TEST_F(DiskCalls, ATreeThatTakesThePlaceOfOneThatIsBeingRemovedStays) {
  bench_.put("a", 9000, 1);
  ASSERT_TRUE(bench_.run({}).is_published());
  const auto dir = opened(bench_.disk());
  const ObjectName out = storage::single_name("out");
  const Hash256 root = storage::StoredManifest::open(dir, storage::manifest_of(dir, out).value()).value().header().root;
  fs::create_directory(bench_.disk() / "other");
  std::ofstream(bench_.disk() / "other/b") << "content";
  SimDisk disk(bench_.disk());
  bool is_replaced = false;
  disk.watch([&] {  // behind the first change: the manifest was read by then, and its tree not moved yet
    if (std::exchange(is_replaced, true)) return;
    fs::rename(bench_.out(), bench_.disk() / "former");
    fs::rename(bench_.disk() / "other", bench_.out());
  });
  const Status removed = storage::remove_published(dir, {out, root, TransferId{std::byte{9}}, engine::read_page});
  ASSERT_TRUE(is_replaced);
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().fault, Fault::kManifestMismatch) << removed.error().what;
  EXPECT_EQ(text_of(bench_.out() / "b"), "content");
  EXPECT_TRUE(fs::exists(bench_.disk() / "former/a"));
}

TEST_F(DiskCalls, ASweepThatFailsLeavesWhatACopyGoesOnFromOrNothing) {
  bench_.put("a", 4'194'304 + 5000, 1);
  bench_.put("m", 4'194'304, 2);
  CopyBench::Run run;
  run.copy.turn = std::chrono::milliseconds(400);
  run.copy.late_max = 8;
  run.vanishes_at = 8;
  ASSERT_FALSE(bench_.run(run).is_published());
  ASSERT_TRUE(fs::exists(bench_.disk() / ".tideway")) << "there is nothing to sweep";
  run.vanishes_at = 0;
  const fs::path before = keep_disk();
  uint64_t at = 1;
  for (; at < kDiskCallsMax; at += 5) {
    set_disk_to(before);
    const Tried tried = with_failure(at, [&] {
      const auto swept = storage::sweep_staging(opened(bench_.disk()), Duration{}, INT64_MAX);
      return swept.ok() ? success() : Status(swept.error());
    });
    const CopyBench::Came came = bench_.run(run);
    ASSERT_TRUE(came.is_published()) << "after the failure of call " << at << ": " << came.text();
    ASSERT_EQ(bench_.check_whole(), "") << "after the failure of call " << at;
    if (!tried.was_hit) break;
  }
  EXPECT_GT(at, 10U);
  EXPECT_LT(at, kDiskCallsMax);
}

TEST_F(DiskCalls, ACopyThatTakesLeavesFromAnEarlierCheckpointIsMendedByAnotherRun) {
  bench_.put("a", 9000, 1);
  bench_.put("b", 5000, 2);
  CopyBench::Run run;
  run.copy.destination = "step-1";
  ASSERT_TRUE(bench_.run(run).is_published());
  const fs::path before = keep_disk();
  run.copy.destination = "out";
  run.copy.base = engine::StartSink::Base::kSibling;
  uint64_t at = 1;
  Bytes held_most;
  for (; at < kDiskCallsMax; at += 4) {
    set_disk_to(before);
    run.fault = {.kind = DiskFault::Kind::kError, .at = at};
    const CopyBench::Came came = bench_.run(run);
    ASSERT_EQ(came.is_published() ? bench_.check_whole() : bench_.check_visible(), "") << "at call " << at;
    held_most = std::max(held_most, came.held);
    run.fault = {};
    const CopyBench::Came again = bench_.run(run);
    ASSERT_TRUE(again.is_published()) << "after the failure of call " << at << ": " << came.text() << "; then: " << again.text();
    ASSERT_EQ(bench_.check_whole(), "") << "after the failure of call " << at;
    if (!came.was_hit) break;
  }
  EXPECT_GT(at, 90U);
  EXPECT_LT(at, kDiskCallsMax);
  EXPECT_GE(held_most, 14'000_B) << "nothing came from the checkpoint before";
}

// As where a file system was mounted and is no more. The io worker looks, which may wait for a disk that hangs.
TEST_F(DiskCalls, S15NothingIsWrittenWhereTheRootIsNoMore) {
  bench_.put("a", 9000, 1);
  SimCopyConfig config;
  config.source = bench_.source();
  config.root = bench_.disk();
  SimCopy copy(config);
  const fs::path away = bench_.disk().parent_path() / "away";
  fs::rename(bench_.disk(), away);
  fs::create_directory(bench_.disk());
  const auto outcome = copy.run([] { return true; });
  ASSERT_TRUE(outcome && !outcome->ok());
  EXPECT_EQ(outcome->error().fault, Fault::kDestUnmounted) << outcome->error().what;
  EXPECT_TRUE(fs::is_empty(bench_.disk()));
  EXPECT_TRUE(fs::is_empty(away));
}

}  // namespace
}  // namespace tideway::test
