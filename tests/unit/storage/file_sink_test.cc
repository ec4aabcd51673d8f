// SPDX-License-Identifier: Apache-2.0
#include "storage/file_sink.h"

#include "storage/registry.h"
#include "support/as_nobody.h"
#include "support/faulty_queue.h"
#include "support/manifest_entries.h"
#include "support/page_codec.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace tideway::storage {
namespace {

class FileSinkTest : public testing::TestWithParam<IoQueueMode> {
 protected:
  void TearDown() override {
    sink_.reset();
    if (is_mounted_) ::umount2(root_.path().c_str(), MNT_DETACH);
  }
  std::shared_ptr<const RootedDir> open() const {
    return std::make_shared<RootedDir>(RootedDir::open_host_path(root_.path().string(), Side::kDestination).value());
  }
  void start() {
    sink_ = FileSink::create({open(), {}, destination_, decode_page}, *queue_).value();
    add(0, 0, "", EntryType::kDirectory, 0);
  }
  void add(uint32_t number, uint32_t parent, std::string name, EntryType type, uint64_t size) {
    ManifestEntry entry = test::entry_of(number, parent, std::move(name), type);
    entry.size = Bytes(size);
    if (type != EntryType::kDirectory) entry.mode = file_mode_;
    entry.mtime_ns = 1'600'000'000'000'000'007;
    entry.first_leaf = leaves_;
    leaves_ += leaf_count(entry.size);
    sink_->bind(entry.number, entry);
    entries_.push_back(std::move(entry));
  }
  Status run(StoreRequest request) {
    request.token = 5;
    while (sink_->submit({&request, 1}) == 0) static_cast<void>(sink_->poll({}));
    StoreDone done{0, success()};
    while (sink_->poll({&done, 1}) == 0) {}
    return done.status;
  }
  Status write(uint32_t id, uint64_t offset, std::span<std::byte> bytes) {
    return run({StoreOp::kWrite, 0, ObjectId(id), Bytes(offset), bytes});
  }
  Status close(uint32_t id) { return run({StoreOp::kClose, 0, ObjectId(id), {}, {}}); }
  Status sync() { return run({StoreOp::kSync, 0, {}, {}, {}}); }
  Status publish() {
    if (auto status = sink_->staging().append_manifest(encode_page(entries_)); !status.ok()) return status;
    return sink_->publish({destination_, entries_.size(), {}});
  }
  bool mount_small(const char* options) {
    is_mounted_ = ::mount("tideway-test", root_.path().c_str(), "tmpfs", 0, options) == 0;
    return is_mounted_;
  }
  uint64_t allocated(std::string_view name) const { return static_cast<uint64_t>(root_.stat(name).st_blocks) * 512; }

  TempRoot root_;
  bool is_mounted_ = false;
  ObjectName destination_ = single_name("copy");
  std::unique_ptr<FaultyQueue> queue_ = std::make_unique<FaultyQueue>(make_io_queue(GetParam()).value());
  std::unique_ptr<FileSink> sink_;
  std::vector<ManifestEntry> entries_;
  uint64_t leaves_ = 0;
  uint32_t file_mode_ = 0604;
};

INSTANTIATE_TEST_SUITE_P(Queues, FileSinkTest, testing::Values(IoQueueMode::kAuto, IoQueueMode::kThreads));

TEST_P(FileSinkTest, HolesStayHolesAndReadAsZeros) {
  start();
  add(1, 0, "sparse", EntryType::kFile, 40 << 20);
  std::vector<std::byte> zeros(4 << 20), data(4 << 20, std::byte{1});
  for (uint64_t leaf = 0; leaf < 10; ++leaf) ASSERT_TRUE(write(1, leaf << 22, leaf == 3 ? data : zeros).ok());
  ASSERT_TRUE(close(1).ok());
  ASSERT_TRUE(publish().ok());
  EXPECT_EQ(root_.stat("copy/sparse").st_size, 40 << 20);
  EXPECT_LE(allocated("copy/sparse"), (4U << 20) + 65536);
  const std::string content = root_.read("copy/sparse");
  EXPECT_EQ(content.find('\1'), 12U << 20);
  EXPECT_EQ(content.find_last_of('\1'), (16U << 20) - 1);
}

TEST_P(FileSinkTest, AFileOfZerosOnlyIsAllHole) {
  start();
  add(1, 0, "zeros", EntryType::kFile, 1 << 20);
  std::vector<std::byte> zeros(1 << 20);
  ASSERT_TRUE(write(1, 0, zeros).ok());
  ASSERT_TRUE(close(1).ok());
  ASSERT_TRUE(publish().ok());
  EXPECT_EQ(root_.stat("copy/zeros").st_size, 1 << 20);
  EXPECT_LE(allocated("copy/zeros"), 4096U);
}

TEST_P(FileSinkTest, LargeFilesArriveWholeWhateverTheAlignment) {
  start();
  const uint64_t size = (64U << 20) + 4101;
  add(1, 0, "large", EntryType::kFile, size);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, 8 << 20));
  const std::span<std::byte> room(memory, 8 << 20);
  std::fill(room.begin(), room.end(), std::byte{'a'});
  ASSERT_TRUE(write(1, 64 << 20, room.first(4101)).ok()) << "the odd tail";
  ASSERT_TRUE(write(1, 4 << 20, room.first(4 << 20)).ok()) << "aligned in all";
  ASSERT_TRUE(write(1, 0, room.subspan(13, 4 << 20)).ok()) << "aligned nowhere in memory";
  ASSERT_TRUE(close(1).ok());
  ASSERT_TRUE(sync().ok());
  ASSERT_TRUE(publish().ok());
  std::free(memory);
  const std::string content = root_.read("copy/large");
  ASSERT_EQ(content.size(), size);
  EXPECT_EQ(content.find_first_not_of('a'), 8U << 20);
  EXPECT_EQ(content.find('a', 8 << 20), 64U << 20);
  EXPECT_LE(allocated("copy/large"), 80U << 20) << "reserved pieces only";
}

// A device that opens for direct writes and then wants another alignment than ours.
TEST_P(FileSinkTest, S22WhereDirectWritesAreRefusedBufferedOnesTakeTheirPlace) {
  size_t refused = 0;
  queue_->error = EINVAL;
  queue_->fails = [&](const IoRequest& request) {
    const bool refuses = request.op == IoOp::kWrite && is_direct(request);
    refused += refuses ? 1 : 0;
    return refuses;
  };
  start();
  add(1, 0, "large", EntryType::kFile, 64 << 20);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, 4 << 20));
  const std::span<std::byte> room(memory, 4 << 20);
  std::fill(room.begin(), room.end(), std::byte{'a'});
  ASSERT_TRUE(write(1, 4 << 20, room).ok());
  const size_t first = refused;
  ASSERT_TRUE(write(1, 60 << 20, room).ok());
  if (first == 0) GTEST_SKIP() << "temporary files lie where there is no direct I/O";
  EXPECT_EQ(refused, first) << "it asked again";
  ASSERT_TRUE(close(1).ok());
  ASSERT_TRUE(sync().ok());
  ASSERT_TRUE(publish().ok());
  std::free(memory);
  const std::string content = root_.read("copy/large");
  ASSERT_EQ(content.size(), 64U << 20);
  EXPECT_EQ(content.find('a'), 4U << 20);
  EXPECT_EQ(content.find_first_not_of('a', 4 << 20), 8U << 20);
  EXPECT_EQ(content.find('a', 8 << 20), 60U << 20);
  EXPECT_EQ(content.find_first_not_of('a', 60 << 20), content.npos);
}

TEST_P(FileSinkTest, TurnedOffNoWriteGoesPastThePageCache) {
  size_t direct = 0;
  queue_->fails = [&](const IoRequest& request) {
    direct += is_direct(request) ? 1 : 0;
    return false;
  };
  queue_->set_direct(DirectIo::kOff);
  start();
  add(1, 0, "large", EntryType::kFile, 64 << 20);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, 4 << 20));
  const std::span<std::byte> room(memory, 4 << 20);
  std::fill(room.begin(), room.end(), std::byte{'a'});
  ASSERT_TRUE(write(1, 4 << 20, room).ok());
  EXPECT_EQ(direct, 0U);
  std::free(memory);
}

TEST_P(FileSinkTest, CloseSetsModeAndTimes) {
  start();
  add(1, 0, "f", EntryType::kFile, 2);
  std::vector<std::byte> data(2, std::byte{1});
  ASSERT_TRUE(write(1, 0, data).ok());
  ASSERT_TRUE(close(1).ok());
  ASSERT_TRUE(publish().ok());
  EXPECT_EQ(root_.stat("copy/f").st_mode & 07777U, 0604U);
  EXPECT_EQ(root_.stat("copy/f").st_mtim.tv_nsec, 7);
}

TEST_P(FileSinkTest, AReservedDestinationIsRefusedBeforeAnythingArrives) {
  const auto sink = FileSink::create({open(), {}, single_name(".tideway-manifest"), decode_page}, *queue_);
  ASSERT_FALSE(sink.ok());
  EXPECT_EQ(sink.error().fault, Fault::kNameReserved);
  EXPECT_FALSE(root_.exists(".tideway"));
}

TEST_P(FileSinkTest, ModesOfFilesStayWithinWhatIsGranted) {
  FileSinkConfig config{open(), {}, single_name("copy"), decode_page};
  config.modes = 0740;
  sink_ = FileSink::create(std::move(config), *queue_).value();
  file_mode_ = 0666;
  add(0, 0, "", EntryType::kDirectory, 0);
  add(1, 0, "f", EntryType::kFile, 2);
  std::vector<std::byte> data(2, std::byte{1});
  ASSERT_TRUE(write(1, 0, data).ok());
  ASSERT_TRUE(close(1).ok());
  ASSERT_TRUE(publish().ok());
  EXPECT_EQ(root_.stat("copy/f").st_mode & 07777U, 0640U);
}

TEST_P(FileSinkTest, AFewAndManyTouchedFilesAreBothSynced) {
  start();
  std::vector<std::byte> data(10, std::byte{1});
  for (uint32_t count : {3U, 300U}) {
    const auto first = static_cast<uint32_t>(entries_.size());
    for (uint32_t i = first; i < first + count; ++i) {
      std::string name = std::to_string(10'000 + i);
      add(i, 0, std::move(name), EntryType::kFile, data.size());
      ASSERT_TRUE(write(i, 0, data).ok());
      if (i % 2 == 0) {
        ASSERT_TRUE(close(i).ok());
      }
    }
    ASSERT_TRUE(sync().ok());
  }
  for (uint32_t i = 1; i < entries_.size(); i += 2) ASSERT_TRUE(close(i).ok());
  ASSERT_TRUE(sync().ok());
  ASSERT_TRUE(publish().ok());
  EXPECT_EQ(root_.read("copy/10303"), std::string(10, '\1'));
  EXPECT_FALSE(root_.exists(".tideway")) << "nothing else is staged here";
}

TEST_P(FileSinkTest, PublishesBelowADirectoryThatItMayPassAndNotRead) {
  root_.make_dir("alice/in");
  for (const auto& [name, mode] : {std::pair("", 0777), {"alice", 0711}, {"alice/in", 0777}}) ASSERT_EQ(::chmod((root_ / name).c_str(), static_cast<mode_t>(mode)), 0);
  const AsNobody nobody;
  destination_ = ObjectName::from_text("alice/in/copy").value();
  start();
  std::vector<std::byte> data(10, std::byte{1});
  add(1, 0, "f", EntryType::kFile, data.size());
  ASSERT_TRUE(write(1, 0, data).ok());
  ASSERT_TRUE(close(1).ok());
  ASSERT_TRUE(sync().ok());
  const auto published = publish();
  ASSERT_TRUE(published.ok()) << published.error().what;
  EXPECT_TRUE(root_.exists("alice/in/copy/f"));
}

TEST_P(FileSinkTest, AFileThatItsOwnerMayNotWriteIsSyncedAfterItsCloseToo) {
  ASSERT_EQ(::chmod(root_.path().c_str(), 0777), 0);
  const AsNobody nobody;
  start();
  std::vector<std::byte> data(10, std::byte{1});
  for (uint32_t i = 1; i <= 3; ++i) {
    file_mode_ = i == 1 ? 0444 : 0;
    add(i, 0, std::to_string(i), EntryType::kFile, data.size());
    ASSERT_TRUE(write(i, 0, data).ok());
    ASSERT_TRUE(close(i).ok());
  }
  const auto synced = sync();
  ASSERT_TRUE(synced.ok()) << synced.error().what;
  ASSERT_TRUE(publish().ok());
  EXPECT_EQ(root_.stat("copy/1").st_mode & 07777U, 0444U);
}

TEST_P(FileSinkTest, EveryFileIsSyncedAfterItsLastWriteAndItsClose) {
  start();
  std::vector<std::byte> data(256 << 10, std::byte{1});
  for (uint32_t i = 1; i <= 3; ++i) {
    add(i, 0, std::to_string(i), EntryType::kFile, data.size());
    ASSERT_TRUE(write(i, 0, data).ok());
    if (i < 3) {
      ASSERT_TRUE(close(i).ok());
    }
  }
  ASSERT_TRUE(sync().ok());
  std::sort(queue_->asked.begin() + 3, queue_->asked.end());
  using enum IoOp;
  EXPECT_EQ(queue_->asked, (std::vector{kWrite, kWrite, kWrite, kDataSync, kSync, kSync})) << "modes and times too, once closed";
  ASSERT_TRUE(close(3).ok());
  ASSERT_TRUE(publish().ok());
}

TEST_P(FileSinkTest, AFailedSyncIsFinalAndNothingIsPublished) {
  start();
  std::vector<std::byte> data(10, std::byte{1});
  add(1, 0, "f", EntryType::kFile, data.size());
  ASSERT_TRUE(write(1, 0, data).ok());
  ASSERT_TRUE(close(1).ok());
  queue_->fails = [](const IoRequest& request) { return request.op == IoOp::kSync; };
  EXPECT_EQ(sync().error().fault, Fault::kDestIo);
  queue_->fails = [](const IoRequest&) { return false; };
  EXPECT_FALSE(sync().ok()) << "the kernel forgets which pages it lost";
  EXPECT_FALSE(publish().ok());
  EXPECT_FALSE(root_.exists("copy"));
}

TEST_P(FileSinkTest, S05AFailedWriteNamesItsFile) {
  start();
  std::vector<std::byte> data(1 << 20, std::byte{1});
  add(1, 0, "f", EntryType::kFile, data.size());
  queue_->fails = [](const IoRequest& request) { return request.op == IoOp::kWrite; };
  const Status status = write(1, 0, data);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestIo);
  EXPECT_NE(status.error().what.find("copy/f"), std::string::npos) << status.error().what;
  queue_->fails = [](const IoRequest&) { return false; };
  EXPECT_TRUE(write(1, 0, data).ok()) << "tried again";
}

TEST_P(FileSinkTest, AFileOpenedAgainAfterManyOthersGoesOnWhereItWas) {
  start();
  std::vector<std::byte> data(8, std::byte{2});
  const uint32_t count = DescriptorCache::kOpenMax + 20;
  for (uint32_t i = 1; i <= count; ++i) add(i, 0, std::to_string(10'000 + i), EntryType::kFile, 16);
  for (uint32_t half = 0; half < 2; ++half)
    for (uint32_t i = 1; i <= count; ++i) ASSERT_TRUE(write(i, half * 8, data).ok());
  for (uint32_t i = 1; i <= count; ++i) ASSERT_TRUE(close(i).ok());
  ASSERT_TRUE(publish().ok());
  EXPECT_EQ(root_.read("copy/10001"), std::string(16, '\2'));
}

TEST_P(FileSinkTest, AFullFileSystemSaysSoByNameAndShowsNothing) {
  if (!mount_small("size=1m")) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  start();
  add(1, 0, "model.pt", EntryType::kFile, 4 << 20);
  std::vector<std::byte> data(4 << 20, std::byte{1});
  const auto status = write(1, 0, data);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestFull);
  EXPECT_NE(status.error().what.find("copy/model.pt"), std::string::npos) << status.error().what;
  EXPECT_FALSE(root_.exists("copy"));
  EXPECT_TRUE(sink_->abandon().ok());
  EXPECT_FALSE(root_.exists(".tideway"));
}

TEST_P(FileSinkTest, AFileSystemWithoutInodesIsNotCalledFull) {
  if (!mount_small("size=4m,nr_inodes=9")) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  start();
  std::vector<std::byte> data(8, std::byte{2});
  Status status = success();
  for (uint32_t i = 1; i <= 9 && status.ok(); ++i) {
    add(i, 0, std::to_string(i), EntryType::kFile, 8);
    status = write(i, 0, data);
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kDestInodes);
}

TEST_P(FileSinkTest, WhatStandsAtTheDestinationIsRecognised) {
  root_.write("copy/same", "12");
  root_.write("copy/other", "123");
  root_.make_dir("copy/dir");
  root_.link("copy/link", "same");
  const timespec times[2] = {{1'700'000'000, 123'456'789}, {1'700'000'000, 123'456'789}};
  ASSERT_EQ(::utimensat(-1, (root_ / "copy/same").c_str(), times, 0), 0);
  start();
  const auto probe = [&](std::string name, EntryType type, std::string target) {
    ManifestEntry entry = test::entry_of(1, 0, std::move(name), type);
    entry.size = type == EntryType::kFile ? 2_B : Bytes();
    entry.link_target = std::move(target);
    return sink_->probe_existing(entry).value();
  };
  EXPECT_EQ(probe("none", EntryType::kFile, ""), Existing::kAbsent);
  EXPECT_EQ(probe("same", EntryType::kFile, ""), Existing::kSame);
  EXPECT_EQ(probe("other", EntryType::kFile, ""), Existing::kDifferent);
  EXPECT_EQ(probe("dir", EntryType::kFile, ""), Existing::kTypeConflict);
  EXPECT_EQ(probe("dir", EntryType::kDirectory, ""), Existing::kSame);
  EXPECT_EQ(probe("link", EntryType::kSymlink, "same"), Existing::kSame);
  EXPECT_EQ(probe("link", EntryType::kSymlink, "else"), Existing::kDifferent);
  EXPECT_EQ(probe("link", EntryType::kFile, ""), Existing::kTypeConflict) << "a link is never looked through";
}

}  // namespace
}  // namespace tideway::storage
