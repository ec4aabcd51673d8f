// SPDX-License-Identifier: Apache-2.0
#include "daemon/worker_pulse.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include <pthread.h>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;
using Now = WorkerPulse::Change::Now;

TEST(WorkerPulse, P11AWorkerWhoseCountsStandStillForLongIsNamedOnceAndWhenItMovesAgain) {
  WorkerPulse pulse;
  uint64_t net = 0;
  const auto look = [&](Duration at, uint64_t cpu) { return pulse.look(Time(1h) + at, {{"tw-cpu0", cpu}, {"tw-net0", ++net}}); };
  EXPECT_TRUE(look(0s, 7).empty());
  EXPECT_TRUE(look(29s, 7).empty());
  const auto still = look(30s, 7);
  ASSERT_EQ(still.size(), 1U);
  EXPECT_EQ(still[0].worker, "tw-cpu0");
  EXPECT_EQ(still[0].now, Now::kStill);
  EXPECT_TRUE(pulse.has_still_worker());
  EXPECT_TRUE(look(31s, 7).empty());
  const auto moves = look(32s, 8);
  ASSERT_EQ(moves.size(), 1U);
  EXPECT_EQ(moves[0].now, Now::kMoves);
  EXPECT_FALSE(pulse.has_still_worker());
  EXPECT_TRUE(look(61s, 8).empty()) << "counted from when it moved";
}

TEST(WorkerPulse, S17ADiskThatHangsIsNamedAndNoReasonToStartAnew) {
  for (const char* worker : {"tw-io", "tw-store", "tw-jobs", "tw-ckpt"}) {
    WorkerPulse pulse;
    EXPECT_TRUE(pulse.look(Time(1h), {{worker, 7}}).empty());
    EXPECT_EQ(pulse.look(Time(1h) + 30s, {{worker, 7}}).size(), 1U);
    EXPECT_FALSE(pulse.has_still_worker()) << worker;
    const WorkerPulse::LogLine line = WorkerPulse::line_of_still(worker);
    EXPECT_EQ(line.event, "storage_stalled");
    EXPECT_EQ(line.fields.find("code=dest_stalled thread=" + std::string(worker)), 0U) << line.fields;
  }
}

TEST(WorkerPulse, WhoIsGoneIsForgotten) {
  WorkerPulse pulse;
  static_cast<void>(pulse.look(Time(1h), {{"tw-net0", 1}}));
  ASSERT_EQ(pulse.look(Time(1h) + 30s, {{"tw-net0", 1}}).size(), 1U);
  EXPECT_TRUE(pulse.look(Time(1h) + 31s, {}).empty());
  EXPECT_FALSE(pulse.has_still_worker());
  EXPECT_EQ(pulse.next_look(), Time(1h) + 31s + WorkerPulse::kLookEvery);
}

TEST(WorkerPulse, TheKernelCountsWhoMovesAndNotWhoHangs) {
  std::binary_semaphore ball(0), back(0), end(0), ready(0);
  std::atomic<bool> is_over = false;
  std::thread hangs([&] {
    pthread_setname_np(pthread_self(), "tw-hangs");
    ready.release();
    end.acquire();
  });
  std::thread moves([&] {
    pthread_setname_np(pthread_self(), "tw-moves");
    for (ball.acquire(); !is_over; ball.acquire()) back.release();
  });
  ready.acquire();
  const auto turn = [&] {
    for (int i = 0; i < 5; ++i) {
      ball.release();
      back.acquire();
    }
    return WorkerPulse::read();
  };
  WorkerPulse::Counts before = turn(), after = turn();
  for (int tries = 0; tries < 2 && before["tw-hangs"] != after["tw-hangs"]; ++tries) {  // it may still have been on its way there
    before = after;
    after = turn();
  }
  EXPECT_EQ(before["tw-hangs"], after["tw-hangs"]);
  EXPECT_NE(before["tw-moves"], after["tw-moves"]);
  is_over = true;
  ball.release();
  end.release();
  hangs.join();
  moves.join();
}

}  // namespace
}  // namespace tideway::daemon
