// SPDX-License-Identifier: Apache-2.0
#include "storage/io_queue.h"

#include "storage/blocking_queue.h"
#include "storage/registry.h"
#include "storage/uring_queue.h"
#include "support/refused_call.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <set>

namespace tideway::storage {
namespace {

class IoQueueTest : public testing::TestWithParam<IoQueueMode> {
 protected:
  void SetUp() override {
    auto queue = make_io_queue(GetParam());
    if (!queue.ok()) GTEST_SKIP() << queue.error().what;
    queue_ = std::move(queue).value();
    fd_ = ::open((root_ / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd_, 0);
  }
  void TearDown() override {
    queue_.reset();
    if (fd_ >= 0) ::close(fd_);
  }
  IoDone run(IoRequest request) {
    queue_->submit(request);
    IoDone done;
    while (queue_->poll(request.owner, {&done, 1}) == 0) {}
    return done;
  }
  TempRoot root_;
  std::unique_ptr<IoQueue> queue_;
  int fd_ = -1;
};

INSTANTIATE_TEST_SUITE_P(Kinds, IoQueueTest, testing::Values(IoQueueMode::kUring, IoQueueMode::kThreads));

TEST_P(IoQueueTest, WhatIsWrittenIsRead) {
  std::vector<std::byte> out(3 << 20, std::byte{7}), in(3 << 20);
  const uint32_t owner = queue_->add_owner();
  EXPECT_EQ(run({IoOp::kWrite, fd_, 100, out, owner, 1}).transferred, out.size());
  EXPECT_EQ(run({IoOp::kDataSync, fd_, 0, {}, owner, 2}).error, 0);
  EXPECT_EQ(run({IoOp::kSync, fd_, 0, {}, owner, 3}).error, 0);
  const IoDone done = run({IoOp::kRead, fd_, 100, in, owner, 4});
  EXPECT_EQ(done.transferred, in.size());
  EXPECT_EQ(done.user, 4U);
  EXPECT_EQ(in, out);
}

TEST_P(IoQueueTest, AReadPastTheEndSaysHowMuchThereWas) {
  ASSERT_EQ(::pwrite(fd_, "12345", 5, 0), 5);
  std::vector<std::byte> in(100);
  const IoDone done = run({IoOp::kRead, fd_, 2, in, queue_->add_owner(), 0});
  EXPECT_EQ(done.error, 0);
  EXPECT_EQ(done.transferred, 3U);
}

TEST_P(IoQueueTest, AnErrorComesBackAsItsNumber) {
  std::vector<std::byte> in(1);
  EXPECT_EQ(run({IoOp::kRead, -1, 0, in, queue_->add_owner(), 0}).error, EBADF);
}

TEST_P(IoQueueTest, EachOwnerSeesItsOwnAnswersOnly) {
  ASSERT_EQ(::pwrite(fd_, "12345", 5, 0), 5);
  const uint32_t one = queue_->add_owner(), two = queue_->add_owner();
  std::vector<std::byte> in(2);
  queue_->submit({IoOp::kRead, fd_, 0, std::span(in).first(1), one, 10});
  const IoDone second = run({IoOp::kRead, fd_, 1, std::span(in).last(1), two, 20});
  EXPECT_EQ(second.user, 20U);
  IoDone first;
  while (queue_->poll(one, {&first, 1}) == 0) {}
  EXPECT_EQ(first.user, 10U);
  EXPECT_EQ(queue_->poll(two, {&first, 1}), 0U);
}

TEST_P(IoQueueTest, AFullQueueAnswersEveryRequestOnce) {
  std::vector<std::byte> bytes(kIoQueueDepth, std::byte{1});
  const uint32_t owner = queue_->add_owner();
  uint32_t sent = 0;
  while (queue_->room() > 0) {
    queue_->submit({IoOp::kWrite, fd_, sent, std::span(bytes).subspan(sent, 1), owner, sent});
    ++sent;
  }
  EXPECT_EQ(sent, kIoQueueDepth);
  std::set<uint32_t> answered;
  IoDone done;
  while (answered.size() < sent)
    if (queue_->poll(owner, {&done, 1}) == 1) {
      EXPECT_TRUE(answered.insert(done.user).second);
    }
  EXPECT_EQ(queue_->room(), kIoQueueDepth);
}

TEST_P(IoQueueTest, DrainingWaitsForTheKernelAndDropsTheAnswers) {
  std::vector<std::byte> out(1 << 20, std::byte{3});
  const uint32_t owner = queue_->add_owner();
  for (uint32_t i = 0; i < 8; ++i) queue_->submit({IoOp::kWrite, fd_, uint64_t{i} << 20, out, owner, i});
  queue_->drain(owner);
  IoDone done;
  EXPECT_EQ(queue_->poll(owner, {&done, 1}), 0U);
  EXPECT_EQ(std::filesystem::file_size(root_ / "file"), 8U << 20);
}

TEST(IoQueueRegistry, NamesAreCheckedAndAutoAlwaysWorks) {
  EXPECT_EQ(io_queue_mode_named("auto").value(), IoQueueMode::kAuto);
  EXPECT_EQ(io_queue_mode_named("uring").value(), IoQueueMode::kUring);
  EXPECT_EQ(io_queue_mode_named("aio").error().exit_code(), 3);
  EXPECT_TRUE(make_io_queue(IoQueueMode::kAuto).ok());
  EXPECT_EQ(make_io_queue(IoQueueMode::kThreads).value()->name(), "threads");
}

// In a process that has no io_uring: what is asked for is what comes to be.
int write_and_read_without_io_uring(const std::string& path, int error) {
  test::refuse_call(SYS_io_uring_setup, error);
  const auto ring = make_io_queue(IoQueueMode::kUring);
  if (ring.ok() || ring.error().fault != Fault::kUnsupported) return 1;
  auto made = make_io_queue(IoQueueMode::kAuto);
  if (!made.ok() || made.value()->name() != "threads") return 2;
  const std::unique_ptr<IoQueue> queue = std::move(made).value();
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  std::vector<std::byte> out(10'000, std::byte{7}), in(10'000);
  const uint32_t owner = queue->add_owner();
  IoDone done;
  for (const IoRequest& request : {IoRequest{IoOp::kWrite, fd, 5, out, owner, 1}, IoRequest{IoOp::kSync, fd, 0, {}, owner, 2}, IoRequest{IoOp::kRead, fd, 5, in, owner, 3}}) {
    queue->submit(request);
    while (queue->poll(owner, {&done, 1}) == 0) {}
    if (done.error != 0) return 3;
  }
  return in == out ? 0 : 4;
}

TEST(IoQueueRegistry, S23WhereIoUringIsForbiddenOrMissingPlainCallsTakeItsPlace) {
  const TempRoot root;
  const std::string path = (root / "file").string();
  EXPECT_EXIT(::_exit(write_and_read_without_io_uring(path, EPERM)), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(::_exit(write_and_read_without_io_uring(path, ENOSYS)), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tideway::storage
