// SPDX-License-Identifier: Apache-2.0
//
// A copy in which one call to the disk fails, each in turn, at either end; and one in which the process dies or the power goes
// there. What is visible is right and whole at any time, and another run ends as if nothing had been.
#include "sim/copy_bench.h"

#include <gtest/gtest.h>

#include <sys/xattr.h>

#include <cerrno>
#include <fstream>
#include <set>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kCallsMax = 2000;

class CopyFaults : public testing::Test {
 protected:
  explicit CopyFaults(TempRoot::In where = TempRoot::In::kMemory) : bench_(where) {}
  static void put_large(const CopyBench& bench) {
    bench.put("a", 4'194'304 + 5000, 1);
    bench.put("b", 10, 2);
    bench.put("dir/c", 100, 3);
    for (const char* name : {"m", "z"}) bench.put(name, 4'194'304, 5);  // a block each, so that syncs come between them
  }

  // With the fault in call 1, 2, 3..., or in each `stride`th, until a run has fewer. Gives how many there were.
  uint64_t fail_everywhere(const CopyBench::Run& planned, uint64_t stride = 1) {
    bench_.put_small();
    for (uint64_t at = 1; at < kCallsMax; at += stride) {
      bench_.clear_disk();
      CopyBench::Run run = planned;
      run.fault.at = at;
      const CopyBench::Came came = bench_.run(run);
      if (!came.was_hit) {
        EXPECT_TRUE(came.is_published()) << came.text();
        return at - 1;
      }
      EXPECT_EQ(bench_.check_visible(), "") << "after the failure of call " << at;
      EXPECT_EQ(came.is_published() ? bench_.check_published() : "", "") << "published in spite of call " << at;
      const bool has_said = came.outcome && (came.is_published() || !came.outcome->error().what.empty());
      EXPECT_TRUE(has_said) << "call " << at << " left the copy without an end";
      const CopyBench::Came again = bench_.run({.fault = {}, .copy = planned.copy});
      EXPECT_TRUE(again.is_published()) << "after the failure of call " << at << ": " << came.text() << "; then: " << again.text();
      EXPECT_EQ(bench_.check_published(), "") << "after the failure of call " << at;
      if (HasFailure()) return at;
    }
    ADD_FAILURE() << "no end of calls";
    return 0;
  }
  // With the power cut in front of call 1, 2, 3... Gives how many there were, and the most that a run after it found.
  struct Tried {
    uint64_t points = 0;
    std::set<std::string> names;  // of them
    Bytes held_max;
  };
  Tried die_everywhere(const CopyBench::Run& planned) {
    put_large(bench_);
    Tried tried;
    for (uint64_t at = 1; at < kCallsMax; ++at) {
      bench_.clear_disk();
      CopyBench::Run run = planned;
      run.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kDurability};
      run.copy.turn = std::chrono::milliseconds(400);
      run.copy.late_max = 8;
      const CopyBench::Came died = bench_.run(run);
      if (!died.was_hit) return tried;
      tried.points = at;
      tried.names.insert(died.hit_at.substr(0, 3));
      const std::string where = "at call " + std::to_string(at) + ", " + died.hit_at;
      const bool is_there = fs::exists(bench_.out());
      EXPECT_EQ(is_there ? bench_.check_whole() : "", "") << "visible, and not whole, " << where;
      const CopyBench::Came again = bench_.run({.fault = {}, .copy = planned.copy});
      EXPECT_TRUE(again.is_published()) << where << ": " << again.text();
      EXPECT_EQ(bench_.check_published(), "") << where;
      tried.held_max = std::max(tried.held_max, again.held);
      if (HasFailure()) return tried;
    }
    ADD_FAILURE() << "no end of calls";
    return tried;
  }
  // Of those at which something is synced, moved, removed or cut, those at which nobody died.
  static std::string missing_names(const Tried& tried) {
    std::string missing;
    for (const char* name : {"K01", "K06", "K07", "K08", "K14", "K15", "K16", "K17", "K18", "K19", "K22"})
      if (!tried.names.contains(name)) missing += std::string(name) + ' ';
    return missing;
  }
  bool is_publishing() const {
    constexpr size_t kRecord = 64, kKind = 7;
    if (fs::exists(bench_.out())) return true;
    for (const auto& file : fs::recursive_directory_iterator(bench_.disk() / ".tideway", fs::directory_options::skip_permission_denied)) {
      if (file.path().filename() != "ledger") continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(in), {}};
      for (size_t at = 0; at + kRecord <= bytes.size(); at += kRecord)
        if (bytes[at + kKind] == 4) return true;
    }
    return false;
  }
  // In about half of the objects that lie in staging; false: in none. Not when they are being published.
  bool lose_data_of_staging(uint32_t seed) const {
    bool was_damaged = false;
    for (const auto& file : fs::recursive_directory_iterator(bench_.disk() / ".tideway")) {
      const bool is_object = file.is_regular_file() && file.path().parent_path().parent_path().filename() == "data";
      if (!is_object || seed++ % 2 == 0 || file.file_size() < 8192) continue;
      const auto time = fs::last_write_time(file);
      if (seed % 4 < 2) fs::resize_file(file, file.file_size() - 4096);
      else std::fstream(file.path(), std::ios::in | std::ios::out | std::ios::binary).seekp(4096).write(std::string(4096, '\0').data(), 4096);
      fs::last_write_time(file, time);
      was_damaged = true;
    }
    return was_damaged;
  }
  CopyBench bench_;
};

struct ReadBackFaults : CopyFaults { ReadBackFaults() : CopyFaults(TempRoot::In::kTemporary) {} };

// The process that made a directory on the way may have died before it synced that, and the next one finds it there.
TEST_F(CopyFaults, WhatIsPublishedBehindAKillOutlivesALossOfPower) {
  using messages::PublishForm;
  for (const PublishForm form : {PublishForm::kRename, PublishForm::kMarker, PublishForm::kEach}) {
    bench_.clear();
    bench_.put("a", 9000, 1);
    bench_.put("dir/c", 100, 3);
    bench_.put(".metadata", 10, 5);
    CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kPowerCut, .calls = DiskFault::Calls::kDurability}};
    run.copy.destination = "out/deep/way";
    run.copy.options.publish = form;
    run.copy.turn = std::chrono::milliseconds(400);
    bool was_hit = true;
    for (run.fault.at = 1; was_hit && run.fault.at < kCallsMax; ++run.fault.at) {
      bench_.clear_disk();
      const CopyBench::Came came = bench_.run_twice_and_lose_power(run);
      was_hit = came.was_hit;
      ASSERT_TRUE(came.is_published()) << "behind a kill at call " << run.fault.at << ", " << came.hit_at << ": " << came.text();
      for (const char* name : {"a", "dir/c", ".metadata"}) {
        std::error_code gone;
        ASSERT_EQ(fs::file_size(bench_.out() / "deep/way" / name, gone), fs::file_size(bench_.source() / name))
            << name << ", behind a kill at call " << run.fault.at << ", form " << static_cast<int>(form);
      }
    }
    EXPECT_GE(run.fault.at, 20U);
  }
}

TEST_F(CopyFaults, EachCallThatFailsIsMendedByAnotherRun) {
  EXPECT_GE(fail_everywhere({.fault = {.kind = DiskFault::Kind::kError}}), 200U);
}

TEST_F(CopyFaults, ADiskThatIsFullFromAnyCallOnIsMendedByAnotherRun) {
  EXPECT_GE(fail_everywhere({.fault = {.kind = DiskFault::Kind::kSpace, .calls = DiskFault::Calls::kSpace}}), 20U);
}

TEST_F(CopyFaults, EachCallThatFailsInAPublishPartByPartIsMendedByAnotherRun) {
  CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kError, .calls = DiskFault::Calls::kChanges}};
  run.copy.options.publish = messages::PublishForm::kMarker;
  EXPECT_GE(fail_everywhere(run), 60U);
}

TEST_F(CopyFaults, EachCallThatFailsInAPublishFileByFileIsMendedByAnotherRun) {
  CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kError, .calls = DiskFault::Calls::kChanges}};
  run.copy.options.publish = messages::PublishForm::kEach;
  run.copy.turn = std::chrono::milliseconds(400);
  EXPECT_GE(fail_everywhere(run), 60U);
}

TEST_F(ReadBackFaults, EachCallThatFailsInACopyThatIsReadBackIsMendedByAnotherRun) {
  CopyBench::Run run;
  run.copy.options.verify = messages::VerifyLevel::kReadback;
  bench_.put_small();
  if (const CopyBench::Came came = bench_.run(run); came.outcome && !came.outcome->ok() && came.outcome->error().fault == Fault::kVerifyUnavailable)
    GTEST_SKIP() << came.text();
  bench_.clear();
  run.fault.kind = DiskFault::Kind::kError;
  EXPECT_GE(fail_everywhere(run, 6), 150U);
}

TEST_F(CopyFaults, FileByFileEachAppearsWhenItIsWholeAndMarkersLast) {
  put_large(bench_);
  bench_.put("marker", 20, 6);
  for (const char* name : {"n", "o", "p", "q", "r", "s"}) bench_.put(name, 4'194'304, 7);  // time for the first to appear
  uint64_t early = 0;
  std::string wrong;
  CopyBench::Run run;
  run.copy.options.publish = messages::PublishForm::kEach;
  run.copy.options.last = {"marker"};
  run.copy.turn = std::chrono::milliseconds(400);
  run.copy.late_max = 8;
  run.look = [&] {
    const bool is_marked = fs::exists(bench_.out() / "marker");
    early += fs::exists(bench_.out() / "a") && !is_marked ? 1 : 0;
    if (wrong.empty()) wrong = is_marked ? bench_.check_whole() : bench_.check_visible();
  };
  bool is_cut = false;
  for (uint64_t vanishes_at = 8; !is_cut && vanishes_at < 100; ++vanishes_at) {  // until a run leaves some of it visible
    bench_.clear_disk();
    run.vanishes_at = vanishes_at;
    ASSERT_FALSE(bench_.run(run).is_published()) << "it came to the end in " << vanishes_at << " turns";
    is_cut = fs::exists(bench_.out() / "a");
  }
  run.vanishes_at = 0;
  const CopyBench::Came again = bench_.run(run);
  ASSERT_TRUE(again.is_published()) << again.text();
  EXPECT_GE(again.held, 4_MiB + 5000_B) << "what appeared is not sent again, and its hashes are known";
  EXPECT_EQ(wrong, "");
  EXPECT_GT(early, 0U);
  EXPECT_EQ(bench_.check_whole(), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(bench_.disk() / ".tideway/manifests"), fs::directory_iterator()), 1);
}

// The first file to appear makes the directory; and without a marker there is nothing before which all is synced.
TEST_F(CopyFaults, WhatAppearedFileByFileAndWasPublishedOutlastsALossOfPower) {
  put_large(bench_);
  for (const char* name : {"n", "o", "p", "q"}) bench_.put(name, 4'194'304, 7);  // time for the first to appear
  bool was_early = false;
  CopyBench::Run run{.fault = {}, .loss = Loss::kUnsynced};
  run.loses_power_after = true;
  run.copy.options.publish = messages::PublishForm::kEach;
  run.copy.turn = std::chrono::milliseconds(400);
  run.copy.late_max = 8;
  run.look = [&] { was_early |= fs::exists(bench_.out() / "a") && !fs::exists(bench_.disk() / ".tideway/manifests"); };
  const CopyBench::Came came = bench_.run(run);
  EXPECT_TRUE(came.outcome && came.outcome->ok()) << came.text();
  EXPECT_TRUE(was_early);
  EXPECT_EQ(bench_.check_whole(), "");
}

// Between the publish and the record of it the power goes; then somebody takes away what was published.
TEST_F(CopyFaults, APublishOfWhichNothingIsLeftIsCountedAndAllIsSentAnew) {
  bench_.put_small();
  uint64_t lost = 0;
  for (uint64_t at = 1; at < kCallsMax; ++at) {
    bench_.clear_disk();
    if (!bench_.run({.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kDurability}}).was_hit) break;
    if (!fs::exists(bench_.out())) continue;
    fs::rename(bench_.out(), bench_.disk() / "taken-away");
    const CopyBench::Came again = bench_.run({});
    ASSERT_TRUE(again.is_published()) << "after a cut at call " << at << ": " << again.text();
    ASSERT_EQ(bench_.check_published(), "") << at;
    lost += again.publishes_lost;
  }
  EXPECT_GE(lost, 1U);
}

TEST_F(CopyFaults, ShortReadsAndWritesGoOn) {
  bench_.put_small();
  for (uint64_t at = 1; at < kCallsMax; at += 7) {  // from there on, the next one that moves anything
    bench_.clear_disk();
    const CopyBench::Came came = bench_.run({.fault = {.kind = DiskFault::Kind::kShort, .at = at}});
    ASSERT_TRUE(came.is_published()) << "at call " << at << ": " << came.text();
    ASSERT_EQ(bench_.check_published(), "") << "at call " << at;
    if (!came.was_hit) return;
  }
  FAIL() << "no end of calls";
}

TEST_F(CopyFaults, InterruptedReadsAndWritesGoOn) {
  bench_.put_small();
  for (uint64_t at = 1; at < kCallsMax; ++at) {
    bench_.clear_disk();
    const CopyBench::Came came = bench_.run({.fault = {.kind = DiskFault::Kind::kError, .at = at, .error = EINTR, .calls = DiskFault::Calls::kMoves}});
    ASSERT_TRUE(came.is_published()) << "at call " << at << ": " << came.text();
    ASSERT_EQ(bench_.check_published(), "") << "at call " << at;
    if (!came.was_hit) return;
  }
  FAIL() << "no end of calls";
}

// A kernel reports what it could not write once, and has forgotten it then: a sync that is asked again says that all is well.
TEST_F(CopyFaults, ASyncThatFailsLosesNothingThatWasSaidToBeSafe) {
  put_large(bench_);
  for (uint64_t at = 1; at < kCallsMax; ++at) {
    bench_.clear_disk();
    CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kError, .at = at, .calls = DiskFault::Calls::kSyncs}, .loss = Loss::kUnsynced};
    run.copy.turn = std::chrono::milliseconds(400);
    run.copy.late_max = 8;
    run.loses_power_after = true;
    const CopyBench::Came came = bench_.run(run);
    ASSERT_EQ(fs::exists(bench_.out()) || came.is_published() ? bench_.check_whole() : "", "") << "after the failure of sync " << at;
    const CopyBench::Came again = bench_.run({});
    ASSERT_TRUE(again.is_published()) << "after the failure of sync " << at << ": " << came.text() << "; then: " << again.text();
    ASSERT_EQ(bench_.check_published(), "") << "after the failure of sync " << at;
    if (!came.was_hit) return;
  }
  FAIL() << "no end of calls";
}

// The hashes of an object that changed are written over those of the one before it.
TEST_F(CopyFaults, ASyncOfHashesThatFailsDoesNotMakeOlderOnesCount) {
  put_large(bench_);
  CopyBench::Run run{.fault = {}, .loss = Loss::kUnsynced};
  run.copy.turn = std::chrono::milliseconds(400);
  run.copy.late_max = 8;
  run.vanishes_at = 8;
  ASSERT_FALSE(bench_.run(run).is_published());
  const fs::path staged = fs::directory_iterator(bench_.disk() / ".tideway")->path();
  ASSERT_GE(fs::file_size(staged / "ledger"), 2 * 64U) << "the first leaf is recorded";
  const fs::path before = bench_.disk().parent_path() / "before";
  fs::copy(bench_.disk(), before, fs::copy_options::recursive);
  bench_.put("a", 4'194'304 + 5000, 99);
  run.vanishes_at = 0;
  run.loses_power_after = true;
  for (uint64_t at = 1; at < kCallsMax; ++at) {
    fs::remove_all(bench_.disk());
    fs::copy(before, bench_.disk(), fs::copy_options::recursive);
    run.fault = {.kind = DiskFault::Kind::kError, .at = at, .error = EIO, .calls = DiskFault::Calls::kSyncs};
    const CopyBench::Came came = bench_.run(run);
    ASSERT_TRUE(!came.outcome || came.outcome->ok() || came.outcome->error().fault == Fault::kDestIo) << came.text();
    const CopyBench::Came again = bench_.run({});
    ASSERT_TRUE(again.is_published()) << "after the failure of sync " << at << ": " << came.text() << "; then: " << again.text();
    ASSERT_EQ(bench_.check_published(), "") << "after the failure of sync " << at;
    if (!came.was_hit) return;
  }
  FAIL() << "no end of calls";
}

TEST_F(CopyFaults, F21ExtendedAttributesAreNotKeptAndNotInTheWay) {
  bench_.put_small();
  const std::string file = (bench_.source() / "a").string();
  const std::string value(200, 'x');
  if (::setxattr(file.c_str(), "user.origin", value.data(), value.size(), 0) != 0) GTEST_SKIP() << "temporary files have none here";
  const CopyBench::Came came = bench_.run({});
  ASSERT_TRUE(came.is_published()) << came.text();
  EXPECT_EQ(bench_.check_published(), "");
  EXPECT_EQ(::listxattr((bench_.out() / "a").c_str(), nullptr, 0), 0);
}

// The source was published here, and its manifest lies in it.
TEST_F(CopyFaults, S13BytesThatRottedAtASourceAreNeverSentAsGood) {
  put_large(bench_);
  ASSERT_TRUE(bench_.run({}).is_published());
  const fs::path rotten = bench_.out() / "m", second = bench_.disk() / "second";
  fs::create_directory(second);
  const auto copy_on = [&](std::vector<Error>* reported = nullptr) {
    SimCopyConfig config;
    config.source = bench_.out();
    config.root = second;
    SimCopy copy(config);
    auto outcome = copy.run([] { return true; });
    copy.end();
    if (reported != nullptr) *reported = copy.reported();
    return std::pair(outcome, copy.bytes_held());
  };
  CopyBench::flip_a_bit(rotten);
  std::vector<Error> reported;
  const auto [refused, nothing] = copy_on(&reported);
  ASSERT_TRUE(refused && !refused->ok());
  EXPECT_EQ(refused->error().name(), "source_corrupt");
  EXPECT_EQ(refused->error().exit_code(), 8);
  ASSERT_FALSE(reported.empty());
  EXPECT_EQ(reported[0].fault, Fault::kSourceCorrupt);
  EXPECT_NE(reported[0].what.find("bytes 0 to 4194303 of \"m\""), std::string::npos) << reported[0].what;
  EXPECT_FALSE(fs::exists(second / "out")) << "visible in spite of it";
  CopyBench::flip_a_bit(rotten);
  const auto [mended, held] = copy_on();
  ASSERT_TRUE(mended && mended->ok());
  EXPECT_GE(held, 4_MiB) << "the others were good, and are not sent again";
  fs::remove_all(second / "out");
  CopyBench::flip_a_bit(rotten);
  fs::last_write_time(rotten, fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_TRUE(copy_on().first->ok()) << "a file that says that it was changed is another file";
}

// Behind the seal of the packets no tag tells: in the receiving gateway's memory, say.
TEST_F(CopyFaults, DamageBehindTheSealIsFoundByMemoryAndOnlyLaterWithWire) {
  put_large(bench_);
  CopyBench::Run run;
  run.copy.options.compress = messages::CompressMode::kOff;
  run.copy.damaged = 0.5;
  const CopyBench::Came hashed = bench_.run(run);
  ASSERT_TRUE(hashed.is_published()) << hashed.text();
  EXPECT_GE(hashed.rejected, 1U);
  EXPECT_EQ(bench_.check_published(), "");
  bench_.clear_disk();
  run.copy.options.verify = messages::VerifyLevel::kWire;
  const CopyBench::Came trusted = bench_.run(run);
  ASSERT_TRUE(trusted.is_published()) << trusted.text();
  EXPECT_EQ(trusted.rejected, 0U);
  EXPECT_NE(bench_.check_visible().find("has other bytes"), std::string::npos) << bench_.check_visible();
  const fs::path second = bench_.disk() / "second";
  fs::create_directory(second);
  SimCopyConfig config;
  config.source = bench_.out();
  config.root = second;
  SimCopy copy(config);
  const auto refused = copy.run([] { return true; });
  ASSERT_TRUE(refused && !refused->ok());
  EXPECT_EQ(refused->error().fault, Fault::kSourceCorrupt) << "what was kept of it is what the source declared";
}

TEST_F(CopyFaults, ACopyThatTakesTheSourcesWordIsPublishedWholeAndGoesOnAfterAReboot) {
  put_large(bench_);
  CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kPowerCut, .calls = DiskFault::Calls::kDurability}};
  run.copy.options.verify = messages::VerifyLevel::kWire;
  run.copy.turn = std::chrono::milliseconds(400);
  run.copy.late_max = 8;
  Bytes held_max;
  bool was_hit = true;
  for (run.fault.at = 1; was_hit && run.fault.at < kCallsMax; run.fault.at += 9) {
    bench_.clear_disk();
    was_hit = bench_.run(run).was_hit;
    const bool is_staged = fs::exists(bench_.disk() / ".tideway") && !is_publishing();
    const bool was_damaged = is_staged && lose_data_of_staging(static_cast<uint32_t>(run.fault.at));
    CopyBench::Run again{.fault = {}, .copy = run.copy};
    again.copy.boot = {std::byte{2}};
    const CopyBench::Came came = bench_.run(again);
    ASSERT_TRUE(came.is_published()) << "at call " << run.fault.at << ": " << came.text();
    ASSERT_EQ(bench_.check_published(), "") << "at call " << run.fault.at;
    if (was_damaged) held_max = std::max(held_max, came.held);
  }
  EXPECT_GT(held_max, 0_B) << "what is as declared counts";
}

// A process that was paused, or whose lease store lost what it wrote, may not go on where another one has been since.
TEST_F(CopyFaults, ALowerLeaseThanWasSeenIsRefusedAndChangesNothing) {
  put_large(bench_);
  CopyBench::Run run;
  run.copy.turn = std::chrono::milliseconds(400);
  run.copy.late_max = 8;
  run.copy.lease_epoch = 5;
  run.vanishes_at = 8;
  ASSERT_FALSE(bench_.run(run).is_published());
  run.vanishes_at = 0;
  run.copy.lease_epoch = 4;
  const CopyBench::Came fenced = bench_.run(run);
  ASSERT_TRUE(fenced.outcome && !fenced.outcome->ok()) << fenced.text();
  EXPECT_EQ(fenced.outcome->error().fault, Fault::kLeaseLost) << fenced.text();
  EXPECT_FALSE(fs::exists(bench_.out()));
  run.copy.lease_epoch = 6;
  const CopyBench::Came holder = bench_.run(run);
  ASSERT_TRUE(holder.is_published()) << holder.text();
  EXPECT_GT(holder.held, 0_B) << "the one that was refused took away what was safe";
  EXPECT_EQ(bench_.check_whole(), "");
}

// Whatever a reader looks at, it looks between two calls.
TEST_F(CopyFaults, AReaderBetweenAnyTwoCallsSeesAllOrNothing) {
  bench_.put_small();
  bench_.put("marker", 20, 6);
  uint64_t looks = 0, seen = 0, publishes = 0;
  std::string wrong;
  CopyBench::Run run;
  const auto look = [&] {
    looks += 1;
    const bool is_there = run.copy.options.publish == messages::PublishForm::kMarker ? fs::exists(bench_.out() / "marker") : fs::exists(bench_.out());
    if (!is_there || !wrong.empty()) return;
    seen += 1;
    wrong = bench_.check_whole();
  };
  run.look = look;
  run.copy.options.last = {"marker"};
  for (const auto form : {messages::PublishForm::kRename, messages::PublishForm::kMarker}) {
    run.copy.options.publish = form;
    bool was_hit = true;
    for (uint64_t at = 1; was_hit && at < kCallsMax; ++at) {  // killed at each call in turn, and ended by another run
      bench_.clear_disk();
      run.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kDurability};
      was_hit = bench_.run(run).was_hit;
      run.fault = {};
      ASSERT_TRUE(bench_.run(run).is_published()) << "at call " << at;
      ASSERT_EQ(wrong, "") << "at call " << at;
      publishes += 1;
    }
  }
  EXPECT_GE(publishes, 60U);
  EXPECT_GT(looks, 20 * publishes);
  EXPECT_GT(seen, publishes);
}

// What was said to be synced is not there when the host is back: zeros in every other page, or the end of a file is missing.
TEST_F(CopyFaults, WhatADeviceOnlySaidToHaveIsSentAgainAfterAReboot) {
  put_large(bench_);
  Bytes held_max;
  for (uint64_t at = 1; at < kCallsMax; at += 3) {
    bench_.clear_disk();
    CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kDurability}};
    run.copy.turn = std::chrono::milliseconds(400);
    run.copy.late_max = 8;
    if (!bench_.run(run).was_hit) break;
    if (!fs::exists(bench_.disk() / ".tideway")) continue;
    if (is_publishing()) break;  // all of it was whole and synced then
    const bool was_damaged = lose_data_of_staging(static_cast<uint32_t>(at));
    CopyBench::Run again;
    again.copy.boot = {std::byte{2}};
    const CopyBench::Came came = bench_.run(again);
    ASSERT_TRUE(came.is_published()) << "at call " << at << ": " << came.text();
    ASSERT_EQ(bench_.check_published(), "") << "at call " << at;
    if (was_damaged) held_max = std::max(held_max, came.held);
  }
  EXPECT_GT(held_max, 0_B) << "what is sound in spite of it counts";
}

TEST_F(CopyFaults, AKillAtAnyCallIsMendedByAnotherRun) {
  const Tried tried = die_everywhere({});
  EXPECT_GE(tried.points, 30U);
  EXPECT_EQ(missing_names(tried), "");
  EXPECT_GE(tried.held_max, 4_MiB);
}

TEST_F(CopyFaults, ALossOfPowerAtAnyCallIsMendedByAnotherRun) {
  const Tried tried = die_everywhere({.fault = {}, .loss = Loss::kUnsynced});
  EXPECT_GE(tried.points, 30U);
  EXPECT_EQ(missing_names(tried), "");
  EXPECT_GE(tried.held_max, 4_MiB);
}

TEST_F(CopyFaults, WritesTornAtAnyCallAreMendedByAnotherRun) {
  const Tried tried = die_everywhere({.fault = {}, .loss = Loss::kTorn});
  EXPECT_GE(tried.points, 30U);
  EXPECT_EQ(missing_names(tried), "");
  EXPECT_GE(tried.held_max, 4_MiB);
}

// One run dies when most of it is there; then the list changes, and the next one dies at any call, also while it gives numbers anew.
TEST_F(CopyFaults, AKillWhileObjectsGetOtherNumbersCostsNothingThatIsThere) {
  const auto dying_at = [](uint64_t at, Loss loss) {
    CopyBench::Run run{.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kDurability}, .loss = loss};
    run.copy.turn = std::chrono::milliseconds(400);
    run.copy.late_max = 8;
    return run;
  };
  bench_.put("a", 4'194'304 + 5000, 1);
  for (const char* name : {"b", "z"}) bench_.put(name, 4'194'304, 2);
  const auto begin = [&](uint64_t last) {
    bench_.clear_disk();
    fs::remove(bench_.source() / "A");
    const bool was_hit = bench_.run(dying_at(last, Loss::kNothing)).was_hit;
    return was_hit && !is_publishing();
  };
  uint64_t most = 8;
  while (most < kCallsMax && begin(most + 1)) most += 1;
  ASSERT_TRUE(begin(most));
  bench_.put("A", 100, 9);
  const Bytes there = bench_.run({}).held;
  EXPECT_GE(there, 8_MiB);
  uint64_t at = 1;
  for (; at < kCallsMax && !HasFailure(); at += 5) {
    ASSERT_TRUE(begin(most));
    bench_.put("A", 100, 9);
    const bool was_hit = bench_.run(dying_at(at, at % 2 == 0 ? Loss::kNothing : Loss::kUnsynced)).was_hit;
    if (!was_hit || is_publishing()) break;
    const CopyBench::Came again = bench_.run({});
    EXPECT_TRUE(again.is_published()) << "at call " << at << ": " << again.text();
    EXPECT_EQ(bench_.check_published(), "") << "at call " << at;
    EXPECT_GE(again.held, there) << "at call " << at;
  }
  EXPECT_GE(at, 15U);
}

}  // namespace
}  // namespace tideway::test
