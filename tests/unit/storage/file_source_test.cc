// SPDX-License-Identifier: Apache-2.0
#include "storage/file_source.h"

#include "storage/registry.h"
#include "support/faulty_queue.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace tideway::storage {
namespace {

struct FreeAligned {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using Aligned = std::unique_ptr<std::byte, FreeAligned>;
Aligned aligned(size_t size) { return Aligned(static_cast<std::byte*>(std::aligned_alloc(4096, size))); }

class FileSourceTest : public testing::TestWithParam<IoQueueMode> {
 protected:
  void start(std::string_view under = "") {
    const auto root = std::make_shared<RootedDir>(RootedDir::open_host_path(root_.path().string(), Side::kSource).value());
    source_ = std::make_unique<FileSource>(
        ScanSpec{{{root, ObjectName::from_text(under).value(), {}}}, ScanForm::kSingle, {}, {}}, *queue_);
    bind_all();
  }
  void bind_all() {
    const auto lister = source_->list({});
    entries_.resize(2000);
    entries_.resize(lister->next(entries_).value());
    for (const auto& entry : entries_) source_->bind(entry.number, entry);
  }
  Status run(StoreRequest request) {
    while (source_->submit({&request, 1}) == 0) {}
    StoreDone done{0, success()};
    while (source_->poll({&done, 1}) == 0) {}
    return done.status;
  }
  Status read(ObjectId id, uint64_t offset, std::span<std::byte> bytes) {
    return run({StoreOp::kRead, 0, id, Bytes(offset), bytes});
  }
  Status close(ObjectId id) { return run({StoreOp::kClose, 0, id, {}, {}}); }
  ManifestEntry entry_named(std::string_view name) const {
    return *std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.name == name; });
  }

  TempRoot root_;
  std::unique_ptr<FaultyQueue> queue_ = std::make_unique<FaultyQueue>(make_io_queue(GetParam()).value());
  std::unique_ptr<FileSource> source_;
  std::vector<ManifestEntry> entries_;
};

INSTANTIATE_TEST_SUITE_P(Queues, FileSourceTest, testing::Values(IoQueueMode::kAuto, IoQueueMode::kThreads));

TEST_P(FileSourceTest, APinOutlivesTheNameThatTheTrainerRemovesAndStillTellsARewrite) {
  root_.write("checkpoint/shard", "bytes of it");
  root_.make_dir("pin");
  std::filesystem::create_hard_link(root_ / "checkpoint/shard", root_ / "pin/shard");
  const auto root = std::make_shared<RootedDir>(RootedDir::open_host_path(root_.path().string(), Side::kSource).value());
  const auto start_on_pin = [&](ScanSource::Held held) {
    source_ = std::make_unique<FileSource>(ScanSpec{{{root, single_name("pin"), {}, held}}, ScanForm::kSingle, {}, {}}, *queue_);
    bind_all();
  };
  std::string bytes(11, '?');
  start_on_pin(ScanSource::Held::kPinned);
  const uint64_t version = entries_.at(1).version;
  ASSERT_TRUE(read(ObjectId(1), 0, std::as_writable_bytes(std::span(bytes))).ok());
  std::filesystem::remove(root_ / "checkpoint/shard");  // the ctime moves
  EXPECT_TRUE(close(ObjectId(1)).ok());
  start_on_pin(ScanSource::Held::kPinned);
  EXPECT_EQ(entries_.at(1).version, version) << "a transfer that goes on would send it again";
  ASSERT_TRUE(read(ObjectId(1), 0, std::as_writable_bytes(std::span(bytes))).ok());
  root_.write("pin/shard", "other bytes");
  EXPECT_EQ(close(ObjectId(1)).error().fault, Fault::kSourceChanged);
}

TEST_P(FileSourceTest, APartOfAFileThatGrowsIsReadWhereItLies) {
  const std::string leaf(kLeafSize.count(), 'a');
  root_.write("step/deep/shard", leaf + std::string(kLeafSize.count(), 'b') + "more");
  start("step");
  ManifestEntry part;
  part.number = ObjectId(70);
  part.name = "part";
  part.size = kLeafSize;
  source_->bind(part.number, part);
  source_->bind_part(part.number, {ObjectName::from_text("deep/shard").value(), kLeafSize});
  std::string bytes(kLeafSize.count(), '?');
  ASSERT_TRUE(read(part.number, 0, std::as_writable_bytes(std::span(bytes))).ok());
  EXPECT_EQ(bytes, std::string(kLeafSize.count(), 'b'));
  root_.write("step/deep/shard", leaf + leaf + "and more");
  EXPECT_TRUE(close(part.number).ok()) << "its size and times may change";
  root_.write("step/deep/other", leaf + leaf);
  std::filesystem::rename(root_ / "step/deep/other", root_ / "step/deep/shard");
  EXPECT_EQ(close(part.number).error().fault, Fault::kSourceChanged) << "it is another file";
}

TEST_P(FileSourceTest, S22WhereDirectReadsAreRefusedBufferedOnesTakeTheirPlace) {
  {
    std::ofstream large(root_ / "large", std::ios::binary);
    large << std::string(kLeafSize.count(), 'a');
    large.seekp(std::streamoff{(64 << 20) - 1});
    large << 'z';
  }
  size_t refused = 0;
  queue_->error = EINVAL;
  queue_->fails = [&](const IoRequest& request) {
    const bool refuses = request.op == IoOp::kRead && is_direct(request);
    refused += refuses ? 1 : 0;
    return refuses;
  };
  start();
  const Aligned memory = aligned(kLeafSize.count());
  const std::span<std::byte> room(memory.get(), kLeafSize.count());
  const ObjectId id = entry_named("large").number;
  ASSERT_TRUE(read(id, 0, room).ok());
  EXPECT_TRUE(std::ranges::all_of(room, [](std::byte byte) { return byte == std::byte{'a'}; }));
  const size_t first = refused;
  ASSERT_TRUE(read(id, (64 << 20) - kLeafSize.count(), room).ok());
  EXPECT_EQ(room.back(), std::byte{'z'});
  if (first == 0) GTEST_SKIP() << "temporary files lie where there is no direct I/O";
  EXPECT_EQ(refused, first) << "it asked again";
}

TEST_P(FileSourceTest, TurnedOffNoReadGoesPastThePageCache) {
  std::ofstream(root_ / "large", std::ios::binary).seekp(std::streamoff{(64 << 20) - 1}) << 'z';
  size_t direct = 0;
  queue_->fails = [&](const IoRequest& request) {
    direct += is_direct(request) ? 1 : 0;
    return false;
  };
  queue_->set_direct(DirectIo::kOff);
  start();
  const Aligned memory = aligned(kLeafSize.count());
  const std::span<std::byte> room(memory.get(), kLeafSize.count());
  ASSERT_TRUE(read(entry_named("large").number, (64 << 20) - kLeafSize.count(), room).ok());
  EXPECT_EQ(room.back(), std::byte{'z'});
  EXPECT_EQ(direct, 0U);
}

TEST_P(FileSourceTest, P10WithFewDescriptorsFewerFilesAreOpenAtOnceAndAllAreRead) {
  constexpr size_t kFiles = 60, kLeft = 10;
  for (size_t i = 0; i < kFiles; ++i) root_.write("f" + std::to_string(i), std::to_string(i));
  start();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(lowest);
  const rlimit few{static_cast<rlim_t>(lowest) + kLeft, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<Status> all;
  std::vector<std::string> bytes;
  for (const ManifestEntry& entry : entries_) {
    if (entry.type != EntryType::kFile) continue;
    bytes.emplace_back(entry.size.count(), '?');
    all.push_back(read(entry.number, 0, std::as_writable_bytes(std::span(bytes.back()))));
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_EQ(bytes.size(), kFiles);
  for (const Status& one : all) EXPECT_TRUE(one.ok()) << one.error().what;
  size_t at = 0;
  for (const ManifestEntry& entry : entries_) {
    if (entry.type != EntryType::kFile) continue;
    EXPECT_EQ("f" + bytes[at], entry.name);
    at += 1;
  }
}

TEST_P(FileSourceTest, HolesAreZerosWithoutBeingRead) {
  root_.write("sparse", "");
  ASSERT_EQ(::truncate((root_ / "sparse").c_str(), 8 << 20), 0);
  const int fd = ::open((root_ / "sparse").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, "data", 4, 4 << 20), 4);
  ::close(fd);
  start();
  const ObjectId id = entries_.at(1).number;
  std::vector<std::byte> bytes(4 << 20, std::byte{9});
  ASSERT_TRUE(read(id, 0, bytes).ok());
  EXPECT_TRUE(is_all_zero(bytes));
  EXPECT_TRUE(source_->is_hole(id, 0_B, 4_MiB));
  EXPECT_FALSE(source_->is_hole(id, 4_MiB, 4_MiB));
  ASSERT_TRUE(read(id, 4 << 20, bytes).ok());
  EXPECT_EQ(bytes[0], std::byte{'d'});
  EXPECT_TRUE(close(id).ok());
}

TEST_P(FileSourceTest, LargeAlignedReadsAndTheirTailsGiveTheSameBytes) {
  const int fd = ::open((root_ / "large").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::ftruncate(fd, (64 << 20) + 5), 0);
  std::string leaf(4 << 20, 'q');
  leaf[1234] = 'r';
  ASSERT_EQ(::pwrite(fd, leaf.data(), leaf.size(), 8 << 20), 4 << 20);
  ASSERT_EQ(::pwrite(fd, "tail!", 5, 64 << 20), 5);
  ::close(fd);
  start();
  const auto memory = aligned(4 << 20);
  const std::span<std::byte> bytes(memory.get(), 4 << 20);
  ASSERT_TRUE(read(ObjectId(1), 8 << 20, bytes).ok());
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), leaf);
  ASSERT_TRUE(read(ObjectId(1), 64 << 20, bytes.first(5)).ok());
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bytes.data()), 5), "tail!");
  EXPECT_TRUE(close(ObjectId(1)).ok());
}

TEST_P(FileSourceTest, MoreFilesThanMayBeOpenAreAllReadAndChecked) {
  const size_t count = DescriptorCache::kOpenMax + 40;
  for (size_t i = 0; i < count; ++i) root_.write("f" + std::to_string(i), "content " + std::to_string(i));
  start();
  ASSERT_EQ(entries_.size(), count + 1);
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 1; i <= count; ++i) {
      std::string bytes(entries_[i].size.count(), '?');
      ASSERT_TRUE(read(entries_[i].number, 0, std::as_writable_bytes(std::span(bytes))).ok());
      EXPECT_EQ(bytes, "content " + entries_[i].name.substr(1));
    }
  }
  for (size_t i = 1; i <= count; ++i) EXPECT_TRUE(close(entries_[i].number).ok());
}

TEST_P(FileSourceTest, AFileRewrittenInPlaceBetweenTwoReadsIsChanged) {
  root_.write("f", "first version");
  start();
  std::vector<std::byte> bytes(4);
  ASSERT_TRUE(read(ObjectId(1), 0, bytes).ok());
  root_.write("f", "other version");
  const timespec later[2] = {{2'000'000'000, 0}, {2'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / "f").c_str(), later, 0), 0);
  const auto status = close(ObjectId(1));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kSourceChanged);
  EXPECT_NE(status.error().what.find("\"f\""), std::string::npos);
}

TEST_P(FileSourceTest, AFileReplacedByAnotherOfTheSameSizeAndTimeIsChanged) {
  root_.write("f", "one");
  root_.write("other/g", "two");
  const timespec times[2] = {{1, 0}, {1, 0}};
  for (const char* file : {"f", "other/g"}) ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / file).c_str(), times, 0), 0);
  start();
  std::vector<std::byte> bytes(3);
  const ObjectId id = entry_named("f").number;
  ASSERT_TRUE(read(id, 0, bytes).ok());
  std::filesystem::rename(root_ / "other/g", root_ / "f");
  EXPECT_EQ(close(id).error().fault, Fault::kSourceChanged);
}

TEST_P(FileSourceTest, AnUnreadableFileFailsAloneAndByName) {
  root_.write("closed", "x");
  root_.write("open", "x");
  ASSERT_EQ(::chmod(root_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod((root_ / "closed").c_str(), 0), 0);
  start();
  std::vector<std::byte> bytes(1);
  const int before = ::setfsuid(65534);  // for root, which may read everything
  const auto closed = read(entry_named("closed").number, 0, bytes);
  const auto open = read(entry_named("open").number, 0, bytes);
  ::setfsuid(static_cast<uid_t>(before));
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.error().fault, Fault::kSourceIo);
  EXPECT_NE(closed.error().what.find("closed"), std::string::npos);
  EXPECT_TRUE(open.ok());
}

TEST_P(FileSourceTest, AFileSwappedForALinkIsNotFollowed) {
  TempRoot outside;
  outside.write("secret", "s");
  root_.write("dir/f", "x");
  start();
  std::filesystem::rename(root_ / "dir", root_ / "old");
  root_.link("dir", outside.path().string());
  std::filesystem::rename(outside / "secret", outside / "f");
  std::vector<std::byte> bytes(1);
  const auto status = read(entry_named("f").number, 0, bytes);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kSourceChanged);
  EXPECT_EQ(bytes[0], std::byte{0});
}

TEST_P(FileSourceTest, CloseWaitsForReadsAtWork) {
  root_.write("f", std::string(1 << 20, 'x'));
  start();
  std::vector<std::byte> bytes(1 << 20);
  const StoreRequest both[2] = {{StoreOp::kRead, 1, ObjectId(1), {}, bytes}, {StoreOp::kClose, 2, ObjectId(1), {}, {}}};
  EXPECT_EQ(source_->submit(both), 1U) << "the close stays with the caller";
  StoreDone done{0, success()};
  while (source_->poll({&done, 1}) == 0) {}
  EXPECT_EQ(source_->submit({both + 1, 1}), 1U);
  while (source_->poll({&done, 1}) == 0) {}
  EXPECT_TRUE(done.status.ok());
  EXPECT_EQ(done.token, 2U);
}

TEST_P(FileSourceTest, AFileGivenUpAtItsFirstErrorIsForgottenWhenItsOtherReadsHaveEnded) {
  root_.write("f", std::string(1 << 20, 'x'));
  start();
  std::vector<std::byte> bytes(1 << 20);
  ASSERT_TRUE(read(ObjectId(1), 0, std::span(bytes).first(4096)).ok());
  ASSERT_EQ(::truncate((root_ / "f").c_str(), 1000), 0);
  const StoreRequest reads[2] = {{StoreOp::kRead, 1, ObjectId(1), {}, std::span(bytes).first(8192)},
                                 {StoreOp::kRead, 2, ObjectId(1), {}, std::span(bytes).subspan(8192, 8192)}};
  ASSERT_EQ(source_->submit(reads), 2U);
  source_->release(ObjectId(1));
  StoreDone done{0, success()};
  for (int answers = 0; answers < 2; ++answers) {
    while (source_->poll({&done, 1}) == 0) {}
    EXPECT_EQ(done.status.error().fault, Fault::kSourceChanged);
  }
  EXPECT_EQ(read(ObjectId(1), 0, bytes).error().fault, Fault::kProtocolError) << "forgotten";
}

TEST_P(FileSourceTest, OneReadErrorEndsThatFileOnlyWhateverElseOfItIsAtWork) {
  root_.write("bad", std::string(1 << 20, 'x'));
  root_.write("good", "x");
  start();
  const ObjectId bad = entry_named("bad").number, good = entry_named("good").number;
  std::vector<std::byte> bytes(1 << 20);
  queue_->fails = [](const IoRequest& request) { return request.offset == 4096; };
  std::vector<StoreRequest> reads;
  for (uint32_t i = 0; i < 8; ++i) reads.push_back({StoreOp::kRead, i, bad, Bytes(i * 4096), std::span(bytes).subspan(i * 4096, 4096)});
  ASSERT_EQ(source_->submit(reads), reads.size());
  StoreDone done{0, success()};
  uint32_t failed = 0;
  for (uint32_t answers = 0; answers < 8; ++answers) {
    while (source_->poll({&done, 1}) == 0) {}
    if (done.status.ok()) continue;
    ++failed;
    EXPECT_EQ(done.token, 1U);
    EXPECT_EQ(done.status.error().fault, Fault::kSourceIo);
    source_->release(bad);
  }
  EXPECT_EQ(failed, 1U);
  EXPECT_TRUE(read(good, 0, std::span(bytes).first(1)).ok());
}

TEST_P(FileSourceTest, SeveralSourcesAreReadEachBelowItsOwnRoot) {
  TempRoot other;
  root_.write("x/same/f", "1");
  other.write("apple", "2");
  const auto open = [](const TempRoot& root) {
    return std::make_shared<RootedDir>(RootedDir::open_host_path(root.path().string(), Side::kSource).value());
  };
  ScanSpec spec{{{open(root_), ObjectName::from_text("x/same").value(), {}}, {open(other), single_name("apple"), {}}},
                ScanForm::kTogether, {}, {}};
  source_ = std::make_unique<FileSource>(spec, *queue_);
  bind_all();
  std::string byte(1, '?');
  ASSERT_TRUE(read(entry_named("f").number, 0, std::as_writable_bytes(std::span(byte))).ok());
  EXPECT_EQ(byte, "1");
  ASSERT_TRUE(read(entry_named("apple").number, 0, std::as_writable_bytes(std::span(byte))).ok());
  EXPECT_EQ(byte, "2");
  EXPECT_TRUE(close(entry_named("f").number).ok());
  EXPECT_TRUE(close(entry_named("apple").number).ok());
}

}  // namespace
}  // namespace tideway::storage
