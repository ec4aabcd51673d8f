// SPDX-License-Identifier: Apache-2.0
//
// What is known of one training, and what that asks of the gates on its links: a guard before a begin that is expected and
// would be seen late, a hold for an iteration without bulk, by which the budget measures, and a pause when bulk cost too much.
//
// Two phase predictors run beside each other: one over begins that were announced, one over begins that counters showed. The
// announced ones count while they come. They need no guard as long as the training does not suffer, because the gate hears of them in time; one that is
// only seen in counters is a bin old or more. It costs the training that, and a guard costs bulk the gap: so its guard is as wide as the budget asks.
//
// A third one runs over what the gateway at the other end of a link says of its site's begins. It comes after half a round trip, so
// it only predicts: while nobody here announces, the gate is guarded through the burst that is expected.
// Thread: beacon. Pure.
#pragma once
#include "gate/gate.h"
#include "gate/phase_event.h"
#include "planner/interference_budget.h"
#include "planner/phase_predictor.h"

#include <optional>

namespace tideway::planner {

// Who says that a training communicates.
enum class PhaseOrigin : uint8_t { kNone, kApi, kBoard, kBeacon, kCounters };
std::string_view name_of(PhaseOrigin origin);

struct TrainingRules {
  Duration period_hint{};
  BudgetConfig budget{.configured = {.guard = std::chrono::milliseconds(2)}};
  Duration seen_after{};  // that counters take to show a burst; zero: they are not watched
  Duration guard_max = std::chrono::seconds(60);  // what is expected holds bulk for no longer than what is announced may
};

class TrainingWatch {
 public:
  // Announcements that are silent for so many periods, or so long while the period is unknown, leave the word to the counters.
  static constexpr int kSilentPeriods = 3;
  static constexpr Duration kSilence = std::chrono::seconds(10);
  // What begins again after less than that of the longest gap there was lately, goes on after a pause and is no new iteration.
  static constexpr double kPauseShare = 0.4, kGapDecay = 0.8;
  // So many pauses in a row, or twice as many as there were before the long gap came back; after more of them it was a silence, and
  // no gap between iterations. After kPausesMost it is forgotten.
  static constexpr size_t kPausesFree = 4, kPausesMost = 24;
  // Below it bulk was not there, and the burst is as good as one of a hold-out. Of a gap that was held it says nothing: at some Gbit/s the trickle alone
  // is more.
  static constexpr Rate kBulkLeast = Rate::bytes_per_second(1'000'000);

  explicit TrainingWatch(const TrainingRules& rules);

  // A word came, of whatever kind.
  void on_heard(Time now, PhaseOrigin origin);
  // The first of its members has begun, or the last one ended; what only ran out has no length.
  void on_burst_begin(Time at, PhaseOrigin origin);
  enum class End : uint8_t { kSaid, kRanOut };
  void on_burst_end(Time at, End end);
  // Counters show a begin and an end, whether or not somebody else said it.
  enum class Said : uint8_t { kNot, kBefore };  // by an announcer, of the burst that is seen
  void on_seen(Time at, Said said);
  void on_seen_end(Time at) {
    seen_gaps_.end = at;
    seen_begin_.reset();
  }
  // It is going to begin then; `sigma` zero: not told. Of one that is told no more counts than makes a guard of a fifth of the period on either side.
  struct Expected { Time begin; Duration sigma, lasts{}; };  // `lasts`: guard all of it; zero: its begin will be heard of
  void on_prediction(const Expected& expected) { told_ = expected; }
  void on_iteration(Duration length) { reported_ = length; }
  // The other end's site began at `at`, or ended.
  void on_peer_begin(Time at);
  void on_peer_end(Time at);
  void on_bulk(Bytes sent) { bulk_ += sent; }
  void on_time(Time now);

  bool believes_counters(Time now) const;
  // Whether the burst under way is so much shorter than the others that what looks like its end may be a pause: TCP that starts
  // anew sends for a moment and then waits for a round trip.
  static constexpr double kBurstShare = 0.8;
  static constexpr Duration kPauseMax = std::chrono::milliseconds(100);
  bool expects_more(Time at) const;
  struct Ask {
    Time closed_until = Time::min();
    gate::GateReason reason = gate::GateReason::kNone;
    Time guard_from = kNever, guard_until = kNever;
    gate::GateSignal::BackOffs backoffs = gate::GateSignal::BackOffs::kTell;
    Duration period{};
    std::optional<Time> awaited_until;       // the begin, which else was a miss; nothing: none is heard of or seen
  };
  Ask ask(Time now) const;

  Lock lock(Time now) const { return predictor(now).lock(now); }
  Duration period(Time now) const { return predictor(now).period(); }
  Duration sigma(Time now) const { return predictor(now).sigma(); }
  Duration error(Time now) const { return predictor(now).error(); }
  const InterferenceBudget& budget() const { return budget_; }
  PhaseOrigin origin() const { return origin_; }           // of the last word
  std::optional<Time> heard_at() const { return heard_at_; }
  uint64_t misses() const { return misses_; }              // expected begins that did not come
  // Begins that were announced after counters had shown them for longer than they take themselves.
  static constexpr Duration kLateAfter = std::chrono::milliseconds(50);
  uint64_t late() const { return late_; }

 private:
  struct Gaps {
    std::optional<Time> end;                 // of the last burst
    Duration longest{}, longest_since{};     // the latter: of those after it
    size_t since = 0, pauses_max = kPausesFree;  // gaps after the last long one
    size_t since_silence = kPausesMost;          // gaps
    bool is_pause(Time at, const PhasePredictor& predictor);
  };
  const PhasePredictor& predictor(Time now) const { return believes_counters(now) && seen_.period() > Duration::zero() ? seen_ : announced_; }
  bool is_unannounced(Time now) const;
  bool suffers() const { return budget_.tightness().guard > rules_.budget.configured.guard; }
  // A begin that is expected, how far from it on either side is guarded and is waited for, which is no less, and for how long after that. `guarded` nothing: it
  // is seen soon enough, so that no guard is asked for as long as the training does not suffer.
  struct Awaited {
    Time begin;
    std::optional<Duration> guarded;
    Duration waited, late{};
    Duration lasts{};  // as in Expected
    enum class Word : uint8_t { kLate, kInTime } word = Word::kLate;  // of the begin; kInTime: one that does not come is no miss
  };
  std::optional<Awaited> awaited(Time now) const;
  std::optional<Duration> stray_guarded(Time now) const;
  void choose_hold(Time now);

  const TrainingRules rules_;
  PhasePredictor announced_, seen_, peers_;
  InterferenceBudget budget_;
  PhaseOrigin origin_ = PhaseOrigin::kNone;
  std::optional<Time> heard_at_, announced_at_;
  Gaps gaps_, seen_gaps_;
  std::optional<Expected> told_;
  Time awaited_until_ = kNever;              // the last moment of the begin that is expected
  uint64_t misses_ = 0, late_ = 0;
  std::optional<Time> seen_begin_;           // that counters showed, and nobody has announced yet
  std::optional<Time> peer_begin_;
  Duration peer_burst_{};                    // of the other site's, as it was last; zero: not known
  // The iteration under way.
  std::optional<Time> begin_;
  std::optional<Duration> burst_, reported_; // its length, and that of the iteration as the trainer has it
  InterferenceBudget::Kind kind_ = InterferenceBudget::Kind::kWithBulk;
  bool was_locked_ = false;                  // before that nobody knows what an iteration is
  Duration burst_usual_{};                   // zero: not known
  Bytes bulk_;                               // sent since the last burst's end
  Time held_until_ = Time::min();
  gate::GateReason held_for_ = gate::GateReason::kNone;
};

}  // namespace tideway::planner
