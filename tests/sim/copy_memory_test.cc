// SPDX-License-Identifier: Apache-2.0
//
// Copies in which memory cannot be had: the process aborts at that allocation, whichever it is, and another run mends what it left.
#include "sim/copy_bench.h"
#include "support/scarce_memory.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace tideway::test {
namespace {

constexpr long kPoints = 24;

// A thread of ours has nothing above it that would catch.
void copy_alone(const CopyBench& bench) noexcept { static_cast<void>(bench.run({}).is_published()); }

TEST(CopyMemory, P08AnAllocationThatFailsAbortsTheProcessAndAnotherRunMendsWhatItLeft) {
  CopyBench bench;
  bench.put("a", 9000, 1);
  bench.put("dir/b", 70'000, 2);
  bench.put("dir/c", 0, 3);
  static_cast<void>(bench.run({}));  // what is made once is there
  std::filesystem::remove_all(bench.disk());
  std::filesystem::create_directory(bench.disk());
  const unsigned long before = allocations();
  ASSERT_TRUE(bench.run({}).is_published());
  const long each = static_cast<long>(allocations() - before) / kPoints;
  ASSERT_GT(each, 10);
  for (long point = 0; point < kPoints; ++point) {
    std::filesystem::remove_all(bench.disk());
    std::filesystem::create_directory(bench.disk());
    const pid_t child = ::fork();
    if (child == 0) {
      std::signal(SIGABRT, SIG_DFL);
      if (std::freopen("/dev/null", "w", stderr) == nullptr) std::_Exit(1);
      let_allocations_fail_after(point * each + point % 7);
      copy_alone(bench);
      std::_Exit(0);
    }
    int ended = 0;
    ASSERT_EQ(::waitpid(child, &ended, 0), child);
    EXPECT_TRUE(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGABRT) << "allocation " << point * each << ": " << ended;
    EXPECT_EQ(bench.check_visible(), "") << "allocation " << point * each;
    const CopyBench::Came again = bench.run({});
    ASSERT_TRUE(again.is_published()) << "allocation " << point * each << ": " << again.text();
    ASSERT_EQ(bench.check_whole(), "") << "allocation " << point * each;
  }
}

}  // namespace
}  // namespace tideway::test
