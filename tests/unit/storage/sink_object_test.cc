// SPDX-License-Identifier: Apache-2.0
#include "storage/sink_object.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

namespace tideway::storage {
namespace {

using Bytes4MiB = std::vector<std::byte>;

TEST(FindRuns, ZerosAreNoRunAndDataIsOne) {
  EXPECT_EQ(find_runs(Bytes4MiB(4 << 20)).count, 0U);
  const Runs runs = find_runs(Bytes4MiB(4 << 20, std::byte{1}));
  ASSERT_EQ(runs.count, 1U);
  EXPECT_EQ(runs.list[0].begin, 0U);
  EXPECT_EQ(runs.list[0].end, 4U << 20);
}

TEST(FindRuns, ZerosInTheMiddleAreLeftOut) {
  Bytes4MiB bytes(4 << 20);
  bytes[0] = std::byte{1};
  bytes[(1 << 20) + 5] = std::byte{1};
  const Runs runs = find_runs(bytes);
  ASSERT_EQ(runs.count, 2U);
  EXPECT_EQ(runs.list[0].end, kRunGrain);
  EXPECT_EQ(runs.list[1].begin, 1U << 20);
  EXPECT_EQ(runs.list[1].end, (1U << 20) + kRunGrain);
}

TEST(FindRuns, ManyShortRunsEndInOneLongOne) {
  Bytes4MiB bytes(4 << 20);
  for (size_t i = 0; i < bytes.size(); i += 2 * kRunGrain) bytes[i] = std::byte{1};
  const Runs runs = find_runs(bytes);
  ASSERT_EQ(runs.count, kRunsMax);
  EXPECT_EQ(runs.list[kRunsMax - 1].end, bytes.size() - kRunGrain);
}

TEST(FindRuns, ZerosBelowABlockAreWritten) { EXPECT_EQ(find_runs(Bytes4MiB(kHoleMin - 1)).count, 1U); }

class SinkObjectTest : public testing::Test {
 protected:
  void SetUp() override { fd_ = ::open((root_ / "f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); }
  void TearDown() override { ::close(fd_); }
  uint64_t size() const { return static_cast<uint64_t>(root_.stat("f").st_size); }
  uint64_t allocated() const { return static_cast<uint64_t>(root_.stat("f").st_blocks) * 512; }
  TempRoot root_;
  int fd_ = -1;
};

TEST_F(SinkObjectTest, ASmallFileGetsItsSizeAtTheEnd) {
  SinkObject object(10'000_B);
  ASSERT_EQ(::pwrite(fd_, "x", 1, 0), 1);
  object.on_write(0, 1);
  EXPECT_EQ(object.finish(fd_), 0);
  EXPECT_EQ(size(), 10'000U);
}

TEST_F(SinkObjectTest, ALargeFileReservesOnlyThePiecesItTouches) {
  SinkObject object(1_GiB);
  EXPECT_EQ(object.reserve(fd_, 100 << 20, (100 << 20) + 1), 0);
  EXPECT_EQ(size(), 1U << 30);
  EXPECT_LE(allocated(), (64U << 20) + 65536);
}

TEST_F(SinkObjectTest, ZerosInReservedSpaceAreGivenBack) {
  SinkObject object(128_MiB);
  ASSERT_TRUE(object.make_hole(fd_, 0, 60 << 20));
  ASSERT_EQ(object.reserve(fd_, 60 << 20, 64 << 20), 0);
  ASSERT_EQ(::pwrite(fd_, "x", 1, 60 << 20), 1);
  object.on_write(60 << 20, 64 << 20);
  EXPECT_EQ(object.finish(fd_), 0);
  EXPECT_LE(allocated(), (4U << 20) + 65536);
}

TEST_F(SinkObjectTest, ZerosThatOverlapAreGivenBackOnceAndNeverWhatIsWritten) {
  SinkObject object(128_MiB);
  ASSERT_EQ(object.reserve(fd_, 0, 64 << 20), 0);
  ASSERT_TRUE(object.make_hole(fd_, 8 << 20, 16 << 20));
  ASSERT_TRUE(object.make_hole(fd_, 4 << 20, 12 << 20));
  ASSERT_TRUE(object.make_hole(fd_, 16 << 20, 60 << 20));
  ASSERT_EQ(::pwrite(fd_, "x", 1, 60 << 20), 1);
  object.on_write(60 << 20, 64 << 20);
  EXPECT_EQ(object.finish(fd_), 0);
  EXPECT_LE(allocated(), (8U << 20) + 65536);
  char byte = '?';
  ASSERT_EQ(::pread(fd_, &byte, 1, 60 << 20), 1);
  EXPECT_EQ(byte, 'x');
}

// Each write looked at each of the zeros before it: a sparse file of some 100 GB kept a core busy for minutes.
TEST_F(SinkObjectTest, ManyHolesBetweenWritesCostNoMoreEach) {
  constexpr uint64_t kHoles = 300'000;
  SinkObject object(Bytes(2 * kHoles * kRunGrain));
  for (uint64_t i = 0; i < kHoles; ++i) {
    ASSERT_TRUE(object.make_hole(fd_, 2 * i * kRunGrain, (2 * i + 1) * kRunGrain));
    object.on_write((2 * i + 1) * kRunGrain, (2 * i + 2) * kRunGrain);
  }
}

TEST_F(SinkObjectTest, ZerosOverOlderBytesReplaceThem) {
  SinkObject object(8192_B);
  ASSERT_EQ(::pwrite(fd_, "old", 3, 4096), 3);
  object.on_write(4096, 8192);
  if (!object.make_hole(fd_, 4096, 8192)) GTEST_SKIP() << "this file system cannot punch holes";
  ASSERT_EQ(object.finish(fd_), 0);
  char byte = '?';
  ASSERT_EQ(::pread(fd_, &byte, 1, 4096), 1);
  EXPECT_EQ(byte, '\0');
}

}  // namespace
}  // namespace tideway::storage
