// SPDX-License-Identifier: Apache-2.0
#include "session/path_memory.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fstream>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;

const KnownPath::UnixTime kToday{1'800'000'000s};
const std::string kPeer = "spiffe://example.org/site/wisconsin/gw/gw1";
const Rate kRate = Rate::bytes_per_second(115'000'000);

KnownPath path(Rate rate = kRate, Duration rtt = 50ms, KnownPath::UnixTime seen = kToday) { return {rate, rtt, seen}; }

TEST(PathMemory, RecallsWhatItNotedInAnotherProcess) {
  TempRoot root;
  const std::string file = root.path().native() + "/state/paths";
  PathMemory(file).note(kPeer, path());
  EXPECT_EQ(PathMemory(file).recall(kPeer, 50ms, kToday + 1h), kRate);
  EXPECT_FALSE(PathMemory(file).recall("spiffe://example.org/site/atlanta/gw/gw1", 50ms, kToday));
}

TEST(PathMemory, LeavesWritingToWhoMayWaitForTheDisk) {
  TempRoot root;
  const std::string file = root.path().native() + "/state/paths";
  std::function<void()> write;
  PathMemory memory(file);
  memory.write_by([&](std::function<void()> one) { write = std::move(one); });
  memory.note(kPeer, path());
  EXPECT_FALSE(std::filesystem::exists(file));
  ASSERT_TRUE(write);
  write();
  EXPECT_EQ(PathMemory(file).recall(kPeer, 50ms, kToday + 1h), kRate);
}

TEST(PathMemory, ForgetsAPathWhoseRoundTripChanged) {
  PathMemory memory("");
  memory.note(kPeer, path());
  EXPECT_TRUE(memory.recall(kPeer, 90ms, kToday));
  EXPECT_FALSE(memory.recall(kPeer, 110ms, kToday));
  EXPECT_FALSE(memory.recall(kPeer, 20ms, kToday));
}

TEST(PathMemory, TrustsNothingThatIsOldOrOfTheFuture) {
  PathMemory memory("");
  memory.note(kPeer, path());
  EXPECT_FALSE(memory.recall(kPeer, 50ms, kToday + PathMemory::kValidFor + 1s));
  EXPECT_FALSE(memory.recall(kPeer, 50ms, kToday - 1s));
}

TEST(PathMemory, ASessionWithLittleToSendHalvesWhatIsKnownAtMost) {
  PathMemory memory("");
  memory.note(kPeer, path());
  memory.note(kPeer, path(Rate::bytes_per_second(1'000), 50ms, kToday + 1s));
  EXPECT_EQ(memory.recall(kPeer, 50ms, kToday + 2s), kRate * 0.5);
}

TEST(PathMemory, PassesOverLinesThatItCannotRead) {
  TempRoot root;
  const std::string file = root.path().native() + "/paths";
  std::ofstream(file) << "x\n1 2\n-1 5 5 a\n1800000000 0 5 b\n1800000000 115000000 50000000 " << kPeer << "\n1 1 1 c d\n" << std::string(100'000, 'z');
  EXPECT_EQ(PathMemory(file).recall(kPeer, 50ms, kToday), kRate);
}

TEST(PathMemory, KeepsANameThatWouldBreakItsFileOut) {
  TempRoot root;
  const std::string file = root.path().native() + "/paths";
  PathMemory(file).note("two words", path());
  EXPECT_FALSE(std::ifstream(file).is_open());
}

TEST(PathMemory, ForgetsTheOldestOfTooMany) {
  PathMemory memory("");
  for (size_t i = 0; i <= PathMemory::kPathsMax; ++i) memory.note("peer" + std::to_string(i), path(kRate, 50ms, kToday + std::chrono::seconds(i)));
  const auto later = kToday + std::chrono::seconds(PathMemory::kPathsMax);
  EXPECT_FALSE(memory.recall("peer0", 50ms, later));
  EXPECT_TRUE(memory.recall("peer1", 50ms, later));
}

TEST(PathMemory, WorksWithoutAFolderToWriteTo) {
  PathMemory memory("/proc/nowhere/paths");
  memory.note(kPeer, path());
  EXPECT_TRUE(memory.recall(kPeer, 50ms, kToday));
}

TEST(BestSecond, IsTheBestOfWholeSeconds) {
  BestSecond best;
  const Time start = Time(100s);
  best.on_total(start, 0_B);
  best.on_total(start + 500ms, 9'000'000_B);
  EXPECT_EQ(best.rate(), Rate());
  best.on_total(start + 1s, 10'000'000_B);
  best.on_total(start + 2s, 40'000'000_B);
  best.on_total(start + 3s, 45'000'000_B);
  EXPECT_EQ(best.rate(), Rate::bytes_per_second(30'000'000));
}

}  // namespace
}  // namespace tideway::session
