// SPDX-License-Identifier: Apache-2.0
#include "storage/device_read.h"

#include "storage/staging.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

namespace tideway::storage {
namespace {

constexpr long kTmpfsMagic = 0x01021994;

class DeviceReadTest : public testing::Test {
 protected:
  RootedDir open_root() const { return RootedDir::open_host_path(dir_.path().string(), Side::kDestination).value(); }
  bool is_in_memory() const {
    struct statfs status{};
    return ::statfs(dir_.path().c_str(), &status) == 0 && status.f_type == kTmpfsMagic;
  }
  TempRoot dir_;
};

TEST_F(DeviceReadTest, ADiskIsReadDirectly) {
  if (is_in_memory()) GTEST_SKIP() << "temporary files lie in memory here";
  const auto reads = find_device_reads(open_root());
  ASSERT_TRUE(reads.ok()) << reads.error().what;
  EXPECT_EQ(reads.value(), DeviceReads::kDirect);
}

TEST_F(DeviceReadTest, PagesThatAreSyncedCanBeDroppedAndThoseThatStayAreSeen) {
  if (is_in_memory()) GTEST_SKIP() << "temporary files lie in memory here";
  const RootedDir root = open_root();
  const auto file = root.create_file(single_name("f"), 0600);
  ASSERT_TRUE(file.ok());
  const int fd = file.value().get();
  const std::vector<std::byte> bytes(3 * 4096 + 5, std::byte{1});
  ASSERT_EQ(write_all(fd, 0, bytes), 0);
  ASSERT_EQ(::fdatasync(fd), 0);
  EXPECT_TRUE(drop_cached(fd, 0, bytes.size())) << "the last page, in part, too";
  // A page that somebody has mapped stays; one that is only written may be on the device, and gone, a moment later.
  void* const mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 4096);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_FALSE(drop_cached(fd, 0, bytes.size())) << "one page is somebody's";
  EXPECT_EQ(::munmap(mapped, 4096), 0);
  EXPECT_TRUE(drop_cached(fd, 0, bytes.size()));
}

TEST_F(DeviceReadTest, AFileIsReadPastTheCacheToItsUnalignedEnd) {
  if (is_in_memory()) GTEST_SKIP() << "temporary files lie in memory here";
  const RootedDir root = open_root();
  const auto file = root.create_file(single_name("f"), 0600);
  ASSERT_TRUE(file.ok());
  const int fd = file.value().get();
  const std::vector<std::byte> bytes(2 * 4096 + 5, std::byte{7});
  ASSERT_EQ(write_all(fd, 0, bytes), 0);
  struct alignas(4096) Room { std::array<std::byte, 3 * 4096> bytes; };
  const auto room = std::make_unique<Room>();
  const auto into = std::span(room->bytes).first(bytes.size());
  DeviceReader reader;
  EXPECT_EQ(reader.read(fd, 0, into), DeviceReader::Outcome::kFromCache) << "it is not on the device yet";
  ASSERT_EQ(::fdatasync(fd), 0);
  for (int pass = 0; pass < 2; ++pass) {
    room->bytes.fill(std::byte{});
    ASSERT_EQ(reader.read(fd, 0, into), DeviceReader::Outcome::kRead);
    EXPECT_TRUE(std::ranges::equal(into, bytes));
  }
  EXPECT_EQ(reader.read(fd, 4096, into), DeviceReader::Outcome::kFailed) << "the file ends before";
}

TEST_F(DeviceReadTest, AFileSystemInMemoryIsRefused) {
  auto root = RootedDir::open_host_path("/dev/shm", Side::kDestination);
  struct statfs status{};
  if (!root.ok() || ::statfs("/dev/shm", &status) != 0 || status.f_type != kTmpfsMagic) GTEST_SKIP() << "none here";
  const auto reads = find_device_reads(root.value());
  ASSERT_FALSE(reads.ok());
  EXPECT_EQ(reads.error().fault, Fault::kVerifyUnavailable);
}

}  // namespace
}  // namespace tideway::storage
