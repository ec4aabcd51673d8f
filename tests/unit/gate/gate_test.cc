// SPDX-License-Identifier: Apache-2.0
#include "gate/gate.h"

#include <gtest/gtest.h>

#include <random>

namespace tideway::gate {
namespace {

using std::chrono::milliseconds;
using enum GateState;

constexpr int64_t kLongAgo = -1'000'000;

constexpr Time at_ms(int64_t ms) { return Time(milliseconds(ms)); }

GateSignal closed_until(Time until) { return {.closed_until = until, .reason = GateReason::kTraining, .training = 3}; }
GateSignal expected(Time from, Time until) { return {.guard_from = from, .guard_until = until, .backoffs = GateSignal::BackOffs::kAreExplained}; }
GatePath path(Queue queue = Queue::kUnderTarget) { return {.rtt = milliseconds(20), .queue = queue}; }

Gate in(GateState state) {
  Gate gate;
  gate.state = state;
  return gate;
}

TEST(Gate, BeginClosesFromAnyState) {
  for (const GateState state : {kOpen, kGuard, kClosed, kProbe}) {
    const Gate next = step(in(state), at_ms(5), closed_until(at_ms(100)), path());
    EXPECT_EQ(next.state, kClosed);
    EXPECT_EQ(next.reason, GateReason::kTraining);
    EXPECT_EQ(next.training, 3);
  }
}

TEST(Gate, ThreeBackoffsWithoutAKnownPhasePauseForABurstThatNobodyAnnounced) {
  GatePath pressed = path();
  pressed.backoffs = 2;
  EXPECT_EQ(step(in(kOpen), at_ms(5), {}, pressed).state, kOpen);
  pressed.backoffs = 3;
  const Gate paused = step(in(kOpen), at_ms(5), {}, pressed);
  EXPECT_EQ(paused.state, kClosed);
  EXPECT_EQ(paused.reason, GateReason::kReactive);
  const GatePath full = path(Queue::kOverTarget);
  EXPECT_EQ(step(paused, at_ms(38), {}, full).state, kClosed);
  EXPECT_FALSE(step(paused, at_ms(38), {}, full).is_believed);
  EXPECT_TRUE(step(paused, at_ms(39), {}, full).is_believed);
  EXPECT_EQ(step(paused, at_ms(39), {}, path()).state, kProbe);
  // A queue that is gone when what left last has come back was a late host's.
  EXPECT_EQ(step(paused, at_ms(28), {}, path()).state, kClosed);
  EXPECT_EQ(step(paused, at_ms(29), {}, path()).state, kOpen);
  EXPECT_EQ(step(paused, at_ms(29), {}, full).state, kClosed);
  // A training whose next begin is known does not need it.
  EXPECT_EQ(step(in(kOpen), at_ms(5), expected(at_ms(500), at_ms(600)), pressed).state, kOpen);
}

TEST(Gate, GuardEndsWithTheBeginOrWhenItIsNotExpectedAnyMore) {
  const GateSignal soon = expected(at_ms(10), at_ms(30));
  const Gate guard = step(in(kOpen), at_ms(10), soon, path());
  EXPECT_EQ(guard.state, kGuard);
  EXPECT_EQ(step(guard, at_ms(29), soon, path()).state, kGuard);
  EXPECT_EQ(step(guard, at_ms(20), closed_until(at_ms(100)), path()).state, kClosed);
  EXPECT_EQ(step(guard, at_ms(30), soon, path()).state, kProbe);                                   // it did not come
  EXPECT_EQ(step(guard, at_ms(20), expected(at_ms(1000), at_ms(1020)), path()).state, kProbe);  // it was withdrawn
}

TEST(Gate, ClosedEndsWithTheSignalAndIsRenewedByIt) {
  const Gate closed = step(in(kOpen), at_ms(5), closed_until(at_ms(100)), path());
  EXPECT_EQ(step(closed, at_ms(99), closed_until(at_ms(100)), path()).state, kClosed);
  EXPECT_EQ(step(closed, at_ms(100), closed_until(at_ms(200)), path()).state, kClosed);
  EXPECT_EQ(step(closed, at_ms(100), closed_until(at_ms(100)), path()).state, kProbe);
  EXPECT_EQ(step(closed, at_ms(50), {}, path()).state, kProbe);  // ended early
}

TEST(Gate, ProbeOpensAfterARoundTripWithoutAQueueAndSlowsDownOverOne) {
  const Gate probe = step(in(kClosed), at_ms(100), {}, path());
  ASSERT_EQ(probe.state, kProbe);
  EXPECT_DOUBLE_EQ(probe.probe_share, 0.9);
  EXPECT_EQ(step(probe, at_ms(119), {}, path(Queue::kOverTarget)).probe_share, 0.9);
  EXPECT_EQ(step(probe, at_ms(120), {}, path()).state, kOpen);
  const Gate slower = step(probe, at_ms(120), {}, path(Queue::kOverTarget));
  EXPECT_EQ(slower.state, kProbe);
  EXPECT_DOUBLE_EQ(slower.probe_share, 0.63);
  EXPECT_EQ(step(slower, at_ms(139), {}, path()).state, kProbe);
  EXPECT_EQ(step(slower, at_ms(140), {}, path()).state, kOpen);
}

// What waits in the queue of a burst shows that it goes on. A path that has become longer shows the same, and is not given up.
TEST(Gate, ABurstThatNobodyAnnouncedHoldsItWhileItsQueueIsThereButNotForLong) {
  GatePath pressed = path(Queue::kOverTarget);
  pressed.backoffs = 3;
  Gate gate = step(in(kOpen), at_ms(0), {}, pressed);
  EXPECT_GE(ceiling(gate, 10_Mbit, kTrickleDefault), kFeeler);
  pressed.backoffs = 0;
  int64_t ms = 0;
  for (; ms < 400; ++ms) gate = step(gate, at_ms(ms), {}, pressed);
  EXPECT_EQ(gate.state, kClosed);
  Gate over = gate;
  for (; over.state == kClosed && ms < 500; ++ms) over = step(over, at_ms(ms), {}, path());
  EXPECT_LE(ms, 421);
  EXPECT_EQ(over.state, kProbe);
  // Some milliseconds of bulk, and not before a round trip later it is known what they met.
  const auto after = [&over](int64_t begin, int64_t passed, const GatePath& seen) {
    Gate pulsed = over;
    for (int64_t at = 0; at <= passed; ++at) pulsed = step(pulsed, at_ms(begin + at), {}, seen);
    return pulsed;
  };
  EXPECT_EQ(ceiling(over, 100_Mbit, kTrickleDefault), 90_Mbit);
  EXPECT_EQ(ceiling(after(ms - 1, 4, pressed), 100_Mbit, kTrickleDefault), kFeeler);
  EXPECT_EQ(after(ms - 1, 25, pressed).state, kProbe);
  EXPECT_EQ(after(ms - 1, 26, pressed).reason, GateReason::kReactive);  // it had only paused
  EXPECT_EQ(after(ms - 1, 26, path()).state, kOpen);
  for (; gate.state != kOpen && ms < 5000; ++ms) gate = step(gate, at_ms(ms), {}, pressed);
  EXPECT_LT(ms, 2200);
}

// Closes for a burst at `begin`, in which the queue is there and each pulse meets it until `end`; when it opens.
struct Reaction { int64_t opens; int pulses; };
Reaction react_to(Gate& gate, int64_t begin, int64_t end) {
  GatePath pressed = path(Queue::kOverTarget);
  pressed.backoffs = 3;
  gate = step(gate, at_ms(begin), {}, pressed);
  int64_t ms = begin, pulse_left = kLongAgo;
  int pulses = 0;
  for (; gate.state != kOpen && ms < begin + 2000; ++ms) {
    // Beside bulk that has left the burst fills the link and leaves no queue; a pulse adds one, which is seen a round trip later.
    const bool meets = ms - begin < 45 || (pulse_left < end && ms - pulse_left >= 20 && ms - pulse_left < 30);
    const Gate next = step(gate, at_ms(ms), {}, path(meets ? Queue::kOverTarget : Queue::kUnderTarget));
    if (next.pulse == Pulse::kLeaves && gate.pulse != Pulse::kLeaves) pulse_left = ms, ++pulses;
    gate = next;
  }
  return {ms, pulses};
}

// Each pulse costs the burst a little, so the next one of the same length meets hardly any.
TEST(Gate, TheLengthOfTheLastBurstSparesTheNextOneItsPulses) {
  Gate gate = in(kOpen);
  gate.since = at_ms(-1000);
  const Reaction first = react_to(gate, 0, 400), second = react_to(gate, 1000, 1400);
  EXPECT_GE(first.pulses, 5);
  EXPECT_LE(second.pulses, 2);
  EXPECT_LE(second.opens, 1400 + 100);
  // Of many the same length a pulse meets some, now and then.
  int pulses = 0;
  for (int i = 2; i < 12; ++i) pulses += react_to(gate, 1000 * i, 1000 * i + 400).pulses;
  EXPECT_LE(pulses, 10 + 8);
  // Short ones end the wait for long ones, the sooner the more of them there are.
  int64_t opens = 0;
  for (int i = 12; i < 18; ++i) opens = react_to(gate, 1000 * i, 1000 * i + 60).opens - 1000 * i;
  EXPECT_LE(opens, 200);
}

// What it opened into goes on: how long the rest of it takes is nobody's length.
TEST(Gate, TheRestOfABurstIsNotTakenForOne) {
  Gate gate = in(kOpen);
  gate.since = at_ms(-1000);
  react_to(gate, 0, 400);
  const Duration known = gate.burst;
  EXPECT_GT(known, milliseconds(300));
  const Reaction rest = react_to(gate, (gate.since - Time()) / milliseconds(1) + 30, 600);
  EXPECT_LE(rest.opens, 700);
  EXPECT_EQ(gate.burst, known);
}

// It may be somebody else's, or the path may have become longer: no signal and no queue shuts a gate for good.
TEST(Gate, AQueueThatStaysWithoutUsDoesNotHoldItShut) {
  Gate gate = step(in(kClosed), at_ms(0), {}, path(Queue::kOverTarget));
  int rounds = 0;
  for (; gate.state == kProbe && rounds < 100; ++rounds) gate = step(gate, at_ms(20 * (rounds + 1)), {}, path(Queue::kOverTarget));
  EXPECT_EQ(gate.state, kOpen);
  EXPECT_EQ(rounds, 5);
}

TEST(Gate, StaleMemoryIsClimbedInDoublings) {
  GatePath old = path();
  old.memory = GatePath::Memory::kStale;
  Gate gate = step(in(kClosed), at_ms(0), {}, old);
  EXPECT_DOUBLE_EQ(gate.probe_share, 0.5);
  gate = step(gate, at_ms(20), {}, old);
  EXPECT_EQ(gate.state, kProbe);
  EXPECT_DOUBLE_EQ(gate.probe_share, 1.0);
  EXPECT_EQ(step(gate, at_ms(40), {}, old).state, kOpen);
}

TEST(Gate, CeilingIsATrickleWhileClosedAndAShareWhileProbing) {
  const Rate remembered = 1000_Mbit;
  EXPECT_TRUE(ceiling(in(kOpen), remembered, kTrickleDefault).is_unlimited());
  EXPECT_EQ(ceiling(in(kClosed), remembered, kTrickleDefault), 2_Mbit);
  EXPECT_EQ(ceiling(in(kGuard), remembered, 0.5), 10_Mbit);  // 1 % at most
  EXPECT_EQ(ceiling(in(kClosed), Rate(), kTrickleDefault), kTrickleUnknown);
  Gate probe = in(kProbe);
  probe.probe_share = 0.9;
  EXPECT_EQ(ceiling(probe, remembered, kTrickleDefault), 900_Mbit);
  EXPECT_TRUE(ceiling(probe, Rate(), kTrickleDefault).is_unlimited());
}

// Whatever comes in: closed while somebody asks for it, never closed for good once nobody does, and the same input has the
// same output.
TEST(Gate, AnyHistoryEndsOpenOnceNobodyHoldsIt) {
  std::mt19937_64 random(7);
  const auto upto = [&](int64_t most) { return static_cast<int64_t>(random() % static_cast<uint64_t>(most)); };
  for (int run = 0; run < 300; ++run) {
    Gate gate;
    Time now{};
    for (int i = 0; i < 60; ++i) {
      now += milliseconds(upto(30));
      GateSignal signal;
      if (upto(2) == 0) signal = closed_until(now + milliseconds(upto(50) - 10));
      if (upto(2) == 0) signal.guard_from = now + milliseconds(upto(40) - 20), signal.guard_until = signal.guard_from + milliseconds(upto(20));
      GatePath seen = path(upto(3) == 0 ? Queue::kOverTarget : Queue::kUnderTarget);
      seen.rtt = milliseconds(upto(40));
      seen.backoffs = static_cast<uint32_t>(upto(5));
      seen.memory = upto(2) == 0 ? GatePath::Memory::kStale : GatePath::Memory::kFresh;
      const Gate next = step(gate, now, signal, seen), again = step(gate, now, signal, seen);
      ASSERT_EQ(next.state, again.state);
      if (now < signal.closed_until) { ASSERT_EQ(next.state, kClosed); }
      if (next.state == kClosed && now >= signal.closed_until) { ASSERT_EQ(next.reason, GateReason::kReactive); }
      ASSERT_LE(ceiling(next, 1000_Mbit, kTrickleDefault).bytes_per_second(), Rate::unlimited().bytes_per_second());
      gate = next;
    }
    for (int i = 0; i < 10; ++i) gate = step(gate, now += milliseconds(50), {}, path());
    ASSERT_EQ(gate.state, kOpen) << "run " << run;
  }
}

}  // namespace
}  // namespace tideway::gate
