// SPDX-License-Identifier: Apache-2.0
#include "engine/lane_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace tideway::engine {
namespace {

using std::chrono::milliseconds;
using gate::GateReason;
using gate::GateState;

constexpr Time at(int64_t ms) { return Time(milliseconds(1000 + ms)); }

TEST(GateWord, ReadsWhatWasWritten) {
  GateWord word;
  ASSERT_TRUE(word.read());
  EXPECT_EQ(word.read()->signal, gate::GateSignal());
  const uint64_t version = word.version();
  word.write({{.closed_until = at(5), .reason = GateReason::kTraining, .training = 300, .guard_from = at(7), .guard_until = at(9),
               .backoffs = gate::GateSignal::BackOffs::kAreExplained, .period = milliseconds(750)}, 0x8000'0000'0000'0001, 0.0005, std::chrono::microseconds(250)});
  EXPECT_NE(word.version(), version);
  EXPECT_EQ(word.read()->signal.closed_until, at(5));
  EXPECT_EQ(word.read()->signal.training, 300);
  EXPECT_EQ(word.read()->signal.backoffs, gate::GateSignal::BackOffs::kAreExplained);
  EXPECT_EQ(word.read()->signal.period, milliseconds(750));
  EXPECT_EQ(word.read()->board_slots, 0x8000'0000'0000'0001);
  EXPECT_FLOAT_EQ(static_cast<float>(word.read()->trickle), 0.0005F);
  EXPECT_EQ(word.read()->queue_target, std::chrono::microseconds(250));
}

// A reader never sees half of one word and half of another.
TEST(GateWord, IsNeverReadTorn) {
  GateWord word;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int64_t i = 1; !stop.load(); ++i)
      word.write({{.closed_until = at(i), .guard_from = at(i), .guard_until = at(i)}, static_cast<uint64_t>(i), 0, {}});
  });
  for (int read = 0; read < 20'000;) {
    const auto news = word.read();
    if (!news) continue;
    ++read;
    if (news->board_slots == 0) continue;
    ASSERT_EQ(news->signal.closed_until, at(static_cast<int64_t>(news->board_slots)));
    ASSERT_EQ(news->signal.guard_until, news->signal.closed_until);
  }
  stop = true;
  writer.join();
}

struct LaneGateTest : testing::Test {
  Gates gates{2, {}};
  LaneGate gate{at(0), gates, 1, 0};

  void say(Time closed_until, uint64_t slots = 0) {
    gates.word(1).write({{.closed_until = closed_until, .reason = GateReason::kTraining}, slots, 0, {}});
  }
};

TEST_F(LaneGateTest, ClosesInTheTurnAfterTheWordAndWakesEachMillisecondUntilItIsOpen) {
  gate.turn(at(0), {});
  EXPECT_TRUE(gate.is_open());
  EXPECT_EQ(gate.next_deadline(at(0)), kNever);
  say(at(50));
  gate.turn(at(1), {});
  EXPECT_EQ(gate.gate().state, GateState::kClosed);
  EXPECT_EQ(gate.next_deadline(at(1)), at(2));
  gate.turn(at(50), {});
  EXPECT_EQ(gate.gate().state, GateState::kProbe);
  gate.turn(at(90), {});
  EXPECT_TRUE(gate.is_open());
  EXPECT_EQ(gates.board(1, 0).transitions.get(), 3u);
  EXPECT_EQ(gates.board(1, 0).held_ns[static_cast<size_t>(GateReason::kTraining)].get(), 49'000'000u);
}

TEST_F(LaneGateTest, GoesOnAtATrickleWhenNobodyPlansAnyMore) {
  gates.plan_holds_until(at(10));
  gate.turn(at(10), {});
  EXPECT_TRUE(gate.is_open());
  gate.turn(at(11), {});
  EXPECT_EQ(gate.gate().state, GateState::kClosed);
  EXPECT_EQ(gate.gate().reason, GateReason::kPlanExpired);
  say(at(100));  // a training's word is the better reason
  gate.turn(at(20), {});
  EXPECT_EQ(gate.gate().reason, GateReason::kTraining);
  gate.turn(at(100), {});
  EXPECT_EQ(gate.gate().reason, GateReason::kPlanExpired);
  gates.plan_holds_until(at(1000));
  gate.turn(at(102), {});
  EXPECT_EQ(gate.gate().state, GateState::kProbe);
  EXPECT_GT(gates.board(1, 0).held_ns[static_cast<size_t>(GateReason::kPlanExpired)].get(), 0u);
}

// Each lane's own count used to overwrite the other's, so that the sum went up and down.
TEST_F(LaneGateTest, TheLanesOfAWorkerAddUpOnTheBoard) {
  const GateBoard& board = gates.board(1, 0);
  const auto lanes = [&](GateReason reason) { return board.lanes[static_cast<size_t>(reason)].get(); };
  say(at(50));
  gate.turn(at(1), {});
  {
    LaneGate second(at(1), gates, 1, 0);
    EXPECT_EQ(lanes(GateReason::kNone), 1u);
    second.turn(at(2), {});
    EXPECT_EQ(lanes(GateReason::kTraining), 2u);
    gate.turn(at(120), {});
    EXPECT_EQ(lanes(GateReason::kProbe), 1u);
  }
  EXPECT_EQ(lanes(GateReason::kTraining), 0u);
}

// Three sessions to one peer made 300 % of its time, and three times the changes.
TEST_F(LaneGateTest, TimeAndChangesOfTheGateAreToldOnceHoweverManyLanesAWorkerHas) {
  const GateBoard& board = gates.board(1, 0);
  const auto held = [&](GateReason reason) { return Duration(static_cast<int64_t>(board.held_ns[static_cast<size_t>(reason)].get())); };
  LaneGate second(at(0), gates, 1, 0), third(at(0), gates, 1, 0);
  const auto turn_all = [&](int64_t from, int64_t to) {
    for (int64_t ms = from; ms <= to; ++ms)
      for (LaneGate* one : {&gate, &second, &third}) one->turn(at(ms), {});
  };
  turn_all(0, 0);
  say(at(401));
  turn_all(1, 400);
  EXPECT_EQ(board.transitions.get(), 1u);
  EXPECT_GE(held(GateReason::kTraining), milliseconds(300));
  {
    LaneGate late(at(400), gates, 1, 0);  // a session that comes meanwhile changes nothing
    late.turn(at(400), {});
    EXPECT_EQ(board.transitions.get(), 1u);
  }
  turn_all(401, 421);
  EXPECT_EQ(held(GateReason::kTraining), milliseconds(400));
  EXPECT_EQ(held(GateReason::kProbe), milliseconds(20));
  EXPECT_EQ(board.transitions.get(), 3u);
  turn_all(422, 700);
  EXPECT_EQ(held(GateReason::kTraining) + held(GateReason::kProbe), milliseconds(420)) << "it is open";
}

TEST_F(LaneGateTest, AWorkerThatSleptHeldNothingMeanwhile) {
  say(at(60'000));
  gate.turn(at(1), {});
  gate.turn(at(30'000), {});
  EXPECT_LE(gates.board(1, 0).held_ns[static_cast<size_t>(GateReason::kTraining)].get(), 101'000'000u);
}

TEST_F(LaneGateTest, AnotherLinksBurstIsNotOurs) {
  gates.word(0).write({{.closed_until = at(50), .reason = GateReason::kTraining}, 0, 0, {}});
  gate.turn(at(1), {});
  EXPECT_TRUE(gate.is_open());
}

// What a deadline may take of a burst passes for that reason.
TEST_F(LaneGateTest, ABurstOnTheBoardTakesNoHoldoutsReason) {
  std::array<tideway_phase_slot, TIDEWAY_PHASE_SLOTS> slots{};
  gates.show_board(slots.data());
  slots[5].state = TIDEWAY_PHASE_BURST;
  slots[5].begin_ns = static_cast<uint64_t>(at(1).time_since_epoch().count());
  gates.word(1).write({{.closed_until = at(50), .reason = GateReason::kHoldout}, uint64_t{1} << 5, 0, {}});
  gate.turn(at(2), {});
  EXPECT_EQ(gate.gate().reason, GateReason::kHoldout);
  gate.turn(at(51), {});
  EXPECT_EQ(gate.gate().state, GateState::kClosed);
  EXPECT_EQ(gate.gate().reason, GateReason::kTraining) << "the hold is over";
}

TEST_F(LaneGateTest, ASlotOfTheBoardClosesItWithoutAWord) {
  std::array<tideway_phase_slot, TIDEWAY_PHASE_SLOTS> slots{};
  gates.show_board(slots.data());
  say(Time::min(), uint64_t{1} << 5);
  slots[4].state = TIDEWAY_PHASE_BURST;  // of a training elsewhere
  slots[4].begin_ns = static_cast<uint64_t>(at(1).time_since_epoch().count());
  gate.turn(at(1), {});
  EXPECT_TRUE(gate.is_open());
  slots[5] = slots[4];
  gate.turn(at(2), {});
  EXPECT_EQ(gate.gate().state, GateState::kClosed);
  slots[5].state = TIDEWAY_PHASE_IDLE;
  gate.turn(at(3), {});
  EXPECT_EQ(gate.gate().state, GateState::kProbe);
  // A forgotten end runs out, and a begin in the future counts from now on.
  slots[5].state = TIDEWAY_PHASE_BURST;
  gate.turn(at(2000), {});
  EXPECT_EQ(gate.gate().state, GateState::kClosed);
  gate.turn(at(2001), {});
  EXPECT_NE(gate.gate().state, GateState::kClosed);
  slots[5].begin_ns = UINT64_MAX;
  slots[5].ttl_us = UINT32_MAX;
  EXPECT_EQ(gate::slot_closed_until(slots[5], at(0), milliseconds(1), std::chrono::seconds(60)), at(60'000));
}

}  // namespace
}  // namespace tideway::engine
