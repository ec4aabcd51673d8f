// SPDX-License-Identifier: Apache-2.0
//
// A training that announces nothing, as counters show it in their bins, with computing that takes longer or shorter each time.
#include "planner/counter_watch.h"
#include "planner/site_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tideway::planner {
namespace {

constexpr uint64_t kCountedId = gate::training_id("silent");
constexpr Rate kCountedLink = Rate::bits_per_second(1'000'000'000);
constexpr double kUsualBurst = 0.4;  // seconds

class CountedTraining {
 public:
  // `jitter`: one sigma, of a period of a second.
  CountedTraining(double jitter, unsigned seed, Duration bin = CounterWatch::kBin)
      : bin_(bin), loop_({{.link_sites = {gate::site_id("wisconsin")}, .trainings = {{kCountedId, {0}}}}, {rules(bin)}}), jitter_(jitter), random_(seed) {}

  void iterate(double period = 1) {
    pass(std::max(0.1, period - kUsualBurst + jitter_ * normal_(random_)), 0);
    pass(kUsualBurst, 1);
  }
  // Iterations until it is locked with that period, `most` + 1 if not by then.
  int iterations_to_lock(int most, double period) {
    for (int i = 1; i <= most; ++i) {
      iterate(period);
      const double seen = std::chrono::duration<double>(watch().period(now_)).count();
      if (watch().lock(now_) == Lock::kLocked && std::abs(seen - period) < 0.05 + jitter_) return i;
    }
    return most + 1;
  }
  const TrainingWatch& watch() const { return loop_.training(0); }

  // Of the time without a burst, what was held from here on; of the bursts, those that began while bulk was.
  void forget() { gap_ = held_ = Duration(), bursts_ = met_held_ = 0; }
  double held_of_gaps() const { return static_cast<double>(held_.count()) / static_cast<double>(gap_.count()); }
  double met_held() const { return static_cast<double>(met_held_) / bursts_; }

 private:
  static TrainingRules rules(Duration bin) {
    TrainingRules rules;
    rules.seen_after = bin;
    return rules;
  }
  bool is_held() const {
    const gate::GateSignal signal = loop_.signal(now_, 0);
    return now_ < signal.closed_until || (signal.guard_from <= now_ && now_ < signal.guard_until);
  }
  void pass(double seconds, uint64_t is_bursting) {
    const Time until = now_ + Duration(static_cast<int64_t>(seconds * 1e9));
    if (is_bursting > 0) ++bursts_, met_held_ += is_held();
    for (; now_ < until; now_ += bin_) {
      if (is_bursting == 0) gap_ += bin_, held_ += is_held() * bin_;
      sent_ += is_bursting * kCountedLink.over(bin_).count();
      loop_.on_counted(0, counters_, {now_, sent_, 0, 0, 0});
      loop_.on_time(now_);
    }
  }

  const Duration bin_;
  CounterWatch counters_{kCountedLink, bin_};
  SiteLoop loop_;
  const double jitter_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  Time now_{std::chrono::seconds(1000)};
  uint64_t sent_ = 0;
  Duration gap_{}, held_{};
  int bursts_ = 0, met_held_ = 0;
};

struct Locked { int at_first = 0, again = 0; };
constexpr int kLockRuns = 40;

// Of kLockRuns runs, those that were locked in ten iterations, and again in five after a step of a fifth.
Locked runs_that_lock(double jitter) {
  Locked locked;
  for (unsigned seed = 1; seed <= kLockRuns; ++seed) {
    CountedTraining training(jitter, seed);
    locked.at_first += training.iterations_to_lock(10, 1) <= 10;
    for (int i = 0; i < 10; ++i) training.iterate();
    locked.again += training.iterations_to_lock(5, 1.2) <= 5;
  }
  return locked;
}

// How many of forty runs have to. A fifth of a period is no more than how far single begins stray, where they stray by as much; then
// what was locked just stays so.
TEST(CountedTraining, IsLockedInTenIterationsAndInFiveAfterAStep) {
  struct Row { double jitter; int at_first, again; };
  for (const Row& row : {Row{0, 40, 40}, Row{0.02, 38, 36}, Row{0.05, 36, 30}, Row{0.2, 22, 36}}) {
    const Locked locked = runs_that_lock(row.jitter);
    EXPECT_GE(locked.at_first, row.at_first) << row.jitter;
    EXPECT_GE(locked.again, row.again) << row.jitter;
  }
}

// A guard of three sigma on either side took a third of the gap of a training that strays by 5 %; and where a bin costs the training less than its
// budget, a guard is not worth what it takes.
TEST(CountedTraining, LeavesMostOfItsGapsToBulkAndMeetsManyBurstsHeld) {
  constexpr Duration kLong = CounterWatch::kBin, kShort = std::chrono::microseconds(2600);
  struct Row { double jitter; Duration bin; double held_most, met_least; };
  for (const Row& row : {Row{0, kLong, 0.1, 0.95}, Row{0.02, kLong, 0.1, 0.35}, Row{0.05, kLong, 0.15, 0.35},
                         Row{0, kShort, 0.03, 0}, Row{0.02, kShort, 0.03, 0}, Row{0.05, kShort, 0.03, 0}}) {
    CountedTraining training(row.jitter, 1, row.bin);
    for (int i = 0; i < 40; ++i) training.iterate();
    training.forget();
    for (int i = 0; i < 400; ++i) training.iterate();
    EXPECT_LT(training.held_of_gaps(), row.held_most) << row.jitter;
    EXPECT_GE(training.met_held(), row.met_least) << row.jitter;
    EXPECT_LT(training.watch().misses(), 20u) << row.jitter;
  }
}

}  // namespace
}  // namespace tideway::planner
