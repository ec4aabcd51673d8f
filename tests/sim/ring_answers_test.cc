// SPDX-License-Identifier: Apache-2.0
//
// A copy over io_uring, of whose answers one is an error, each in turn and at either end: reads, writes, syncs and readings back. The calls of the C
// library have tests of their own (copy_faults_test.cc); these go past it.
#include "sim/copy_bench.h"
#include "storage/device_read.h"
#include "storage/registry.h"
#include "support/faulty_queue.h"

#include <gtest/gtest.h>

#include <poll.h>

#include <memory>

namespace tideway::test {
namespace {

// A ring whose answers are waited for, so that no turn of the simulation passes without one.
class WaitingRing final : public storage::IoQueue {
 public:
  explicit WaitingRing(std::unique_ptr<storage::IoQueue> ring) : ring_(std::move(ring)) {}
  std::string_view name() const override { return ring_->name(); }
  size_t room() const override { return ring_->room(); }
  void submit(const storage::IoRequest& request) override {
    at_work_ += 1;
    ring_->submit(request);
  }
  size_t poll(uint32_t owner, std::span<storage::IoDone> out) override {
    constexpr int kPatienceMs = 1000;
    size_t got = ring_->poll(owner, out);
    if (got == 0 && at_work_ > 0) {
      pollfd answer{ring_->wait_fd(), POLLIN, 0};
      ::poll(&answer, 1, kPatienceMs);
      got = ring_->poll(owner, out);
    }
    at_work_ -= got;
    return got;
  }
  void drain(uint32_t owner) override {
    ring_->drain(owner);
    at_work_ = 0;  // each of our rings has one owner
  }

 private:
  std::unique_ptr<storage::IoQueue> ring_;
  size_t at_work_ = 0;
};

struct Answers { uint64_t at = 0, asked = 0; };  // the one that fails; of both ends together

class RingAnswers : public testing::Test {
 protected:
  void SetUp() override {
    if (!storage::make_io_queue(storage::IoQueueMode::kUring).ok()) GTEST_SKIP() << "this kernel has no io_uring for us";
    bench_.put("a", 4'194'304 + 5000, 1);
    bench_.put("b", 70'000, 2);
    bench_.put("dir/c", 100, 3);
    bench_.put(".metadata", 10, 4);
  }
  // How many answers there are without an error.
  uint64_t fail_each(messages::VerifyLevel verify, int error) {
    constexpr uint64_t kAnswersMax = 500;
    for (uint64_t at = 1; at < kAnswersMax; ++at) {
      bench_.clear_disk();
      Answers broken{.at = at}, sound;
      const CopyBench::Came came = bench_.run(over_ring(broken, verify, error));
      EXPECT_EQ(bench_.check_visible(), "") << "after answer " << at;
      if (broken.asked < at) {
        EXPECT_TRUE(came.is_published()) << came.text();
        return at - 1;
      }
      EXPECT_TRUE(came.outcome.has_value()) << "answer " << at << " left the copy without an end";
      EXPECT_EQ(came.is_published() ? bench_.check_published() : "", "") << "published in spite of answer " << at;
      const CopyBench::Came again = bench_.run(over_ring(sound, verify, error));
      EXPECT_TRUE(again.is_published()) << "after answer " << at << ": " << came.text() << "; then: " << again.text();
      EXPECT_EQ(bench_.check_published(), "") << "after answer " << at;
      if (HasFailure()) return at;
    }
    ADD_FAILURE() << "no end of answers";
    return 0;
  }

  CopyBench bench_{TempRoot::In::kTemporary};

 private:
  static CopyBench::Run over_ring(Answers& answers, messages::VerifyLevel verify, int error) {
    CopyBench::Run run;
    run.copy.options.verify = verify;
    run.copy.queue = [&answers, error] {
      auto queue = std::make_unique<FaultyQueue>(std::make_unique<WaitingRing>(storage::make_io_queue(storage::IoQueueMode::kUring).value()));
      queue->error = error;
      queue->fails = [&answers](const storage::IoRequest&) { return ++answers.asked == answers.at; };
      return queue;
    };
    return run;
  }
};

TEST_F(RingAnswers, EachThatIsAnErrorIsMendedByAnotherRun) {
  for (const int error : {EIO, ENOSPC}) EXPECT_GE(fail_each(messages::VerifyLevel::kMemory, error), 10U);
}

TEST_F(RingAnswers, EachThatIsAnErrorWhileItIsReadBackIsMendedByAnotherRun) {
  const auto disk = storage::RootedDir::open_host_path(bench_.disk().string(), storage::Side::kDestination);
  if (!storage::find_device_reads(disk.value()).ok()) GTEST_SKIP() << "temporary files lie where nothing can be read back";
  EXPECT_GE(fail_each(messages::VerifyLevel::kReadback, EIO), 16U);
}

}  // namespace
}  // namespace tideway::test
