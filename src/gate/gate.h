// SPDX-License-Identifier: Apache-2.0
//
// Whether bulk may pass on one link direction now. Trainers' bursts and bulk leave the same site through the same queues in
// the same order, so what was sent before a burst is ahead of it everywhere and harms nobody; what must end at once is what
// would still be added. That is a local decision, and a fast one:
//
//   OPEN ──────── begin, or three back-offs without a known phase ─────────▶ CLOSED     a trickle passes
//   CLOSED ────── behind back-offs: a host was only late ──▶ OPEN; the burst is likely to be over, and no queue is there ──▶ PROBE
//   OPEN ──────── a begin is expected ──▶ GUARD ── begin ─────────────────▶ CLOSED     a trickle passes
//   GUARD ─────── it did not come ──▶ PROBE
//   CLOSED ────── every member ended, or the time to live is over ──▶ PROBE            0.9 of the remembered rate
//   PROBE ─────── a round trip without a queue ──▶ OPEN; with one: at 0.7 of that, and another round trip
//                 behind back-offs a pulse alone; with a queue: CLOSED
//
// A begin closes from any state. Everything here is a function of its arguments; the net worker keeps one Gate per lane
// and asks with every poll.
// Thread: net worker. Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tideway::gate {

enum class GateState : uint8_t { kOpen, kGuard, kClosed, kProbe };

// Why a gate is not open; one of them at a time.
enum class GateReason : uint8_t { kNone, kTraining, kGuard, kProbe, kReactive, kTimetable, kPolicy, kLease, kOperator, kHoldout, kBudget, kPlanExpired };
inline constexpr size_t kGateReasons = 12;
std::string_view name_of(GateState state);
std::string_view name_of(GateReason reason);  // as jobs and metrics have it; a training's is "gate"; empty: none

// What is known about a link direction from outside: bursts under way, and when the next one is expected. A signal that
// nobody renews runs out by itself.
struct GateSignal {
  Time closed_until = Time::min();  // hold bulk until then at most; in the past: nobody asks for it
  GateReason reason = GateReason::kNone;
  uint16_t training = 0;            // who communicates, when that is the reason
  Time guard_from = kNever;         // the expected begin, less the lead
  Time guard_until = kNever;        // the expected begin, and what it may be late
  // Whether back-offs tell of a burst that nobody announced: not where begins are heard of late, and expected.
  enum class BackOffs : uint8_t { kTell, kAreExplained } backoffs = BackOffs::kTell;
  Duration period{};                // of the training, zero: unknown
  bool operator==(const GateSignal&) const = default;
};

enum class Queue : uint8_t { kUnderTarget, kOverTarget };

// What the worker sees of the path itself.
struct GatePath {
  Duration rtt{};            // without a queue; zero: not measured
  Queue queue = Queue::kUnderTarget;
  uint32_t backoffs = 0;     // of the controller within three round trips
  enum class Memory : uint8_t { kFresh, kStale } memory = Memory::kFresh;  // of the rate to reopen with
};

// Whether a burst that nobody announced is over is asked by some milliseconds of bulk: a round trip later they have met a queue or not. A whole
// round trip of it would cost the burst that much each time.
enum class Pulse : uint8_t { kNone, kLeaves, kUnderWay, kArrives };
inline constexpr Duration kPulse = std::chrono::milliseconds(4);

// Each pulse into a burst costs it a little, so the first one waits for the time that the last burst took. Where that one finds the path free, the
// burst may have been over for long: then a little less is remembered, and twice as much less each time until a pulse meets a burst again.
inline constexpr double kBurstShorter = 0.06, kBurstShorterMost = 0.5;

struct Gate {
  GateState state = GateState::kOpen;
  GateReason reason = GateReason::kNone;
  uint16_t training = 0;
  Time since{};              // in this state
  Time until = kNever;       // PROBE: the end of this round trip; CLOSED by reaction: from when on the queue is looked at
  Time reacts_since = kNever;  // to a burst that nobody announced, since when; kNever: to none
  Pulse pulse = Pulse::kNone;  // PROBE behind a reaction
  bool is_believed = false;    // CLOSED by reaction: it was no host that was late
  uint32_t pulses_met = 0;     // that this burst has shown itself to
  bool is_rest = false;        // of a burst into which it opened: how long that is says nothing
  Duration burst{};            // how long the last one lasted, as far as pulses have shown
  double shorter = kBurstShorter;  // that part of it is taken off where the first pulse finds it over
  double probe_share = 0;    // PROBE: part of the remembered rate
  bool is_climbing = false;  // PROBE: the memory was stale, so the share doubles until it is whole
  uint64_t transitions = 0;
};

inline constexpr double kProbeShare = 0.9, kStaleShare = 0.5, kProbeCut = 0.7;
// A queue that is still there when we send so much less than the path took is not ours, or the path's delay has changed; then the
// gate opens and the controller is asked, for else it would stay shut for good.
inline constexpr double kProbeShareMin = 0.25;
inline constexpr uint32_t kBackoffsOfBurst = 3;               // within three round trips: somebody bursts unannounced
inline constexpr Duration kReactivePauseMin = std::chrono::milliseconds(20);
// A host that was late by less leaves no queue behind for longer than a round trip and this.
inline constexpr Duration kLateMost = std::chrono::milliseconds(14);
inline constexpr Duration kBurstSureMost = std::chrono::milliseconds(500);
// A queue that is still there then is no burst: the path has become longer, or is always full; the controller knows how to live with that.
inline constexpr Duration kReactiveMost = std::chrono::seconds(2);
// Shows the queue while the gate is closed by reaction.
inline constexpr Rate kFeeler = Rate::bytes_per_second(140'800);  // a packet per 10 ms
inline constexpr Duration kProbeRttDefault = std::chrono::milliseconds(20);  // of a path that was never measured

Gate step(const Gate& gate, Time now, const GateSignal& signal, const GatePath& path);

// A share of a closed link costs the trainers as much as it takes: 0.2 % at a duty of 0.4 makes an iteration 0.08 % longer.
inline constexpr double kTrickleDefault = 0.002, kTrickleMax = 0.01;
inline constexpr Rate kTrickleUnknown = Rate::bytes_per_second(140'800);  // a packet per 10 ms, where no rate is remembered

// What the gate lets pass: unlimited when it is open. `remembered` zero: never measured, then PROBE lets all pass, because
// the controller's own start is what is careful.
Rate ceiling(const Gate& gate, Rate remembered, double trickle);

}  // namespace tideway::gate
