// SPDX-License-Identifier: Apache-2.0
//
// When a training will communicate next: a phase-locked loop over the begins of its bursts. It keeps the last begin, the
// period P and how far begins stray from it (sigma).
//
// A begin at t lies k = max(1, floor((t - last)/P + 0.4)) periods after the last one and is off by e. Within the larger of
// 3 sigma and 2 % of P it corrects P by 0.2 e/k and sigma; one begin that is further off does so as if it were just within,
// because a long iteration is no new period; a second one in a row starts over with the median of the last three intervals, and
// so does a median that is 2.5 sigma from what P was before these three: a new period, which many a begin alone would not betray.
// After five begins in a row within the limit it is locked, after three when it has been before and only the period is another; after three silent periods the training is lost, and two silences in
// a row start over, too.
// Thread: beacon. Pure.
#pragma once
#include <tideway/time.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace tideway::planner {

enum class Lock : uint8_t { kUnknown, kAcquiring, kLocked, kLost };

class PhasePredictor {
 public:
  static constexpr Duration kSameBurst = std::chrono::milliseconds(20);  // begins closer than that are one burst
  static constexpr int kLockedAfter = 5, kAgainAfter = 3, kLostAfter = 3;

  // An announced begin is where the phase is: compute time strays, so the last begin is the best there is. One inferred from
  // counters carries noise of its own: it counts as much as begins stray by more than that, and half at least.
  enum class Begins : uint8_t { kAnnounced, kInferred };
  // `period_hint` zero: the first interval is taken.
  PhasePredictor(Begins begins, Duration period_hint) : begins_(begins) { set_period(period_hint); }

  void on_begin(Time at);

  Lock lock(Time now) const;
  Duration period() const { return Duration(static_cast<int64_t>(period_)); }  // zero: unknown
  Duration sigma() const { return Duration(static_cast<int64_t>(sigma_)); }
  // The first expected begin after `now`; kNever while the period is unknown or the training is lost.
  Time next_begin(Time now) const;
  // How far the last begin was from where it was expected.
  Duration error() const { return error_; }
  uint64_t acquisitions() const { return acquisitions_; }

 private:
  void set_period(Duration period);
  void acquire(Time at);
  void note_interval(Duration interval);
  double share_taken() const;
  bool is_another_period() const;

  const Begins begins_;
  double last_ = 0, period_ = 0, sigma_ = 0;  // ns; `last_` since seen_first_
  Time first_{}, seen_{};                     // the first and the latest begin
  bool has_begun_ = false, was_outlier_ = false, was_silent_ = false, was_locked_ = false;
  int good_ = 0;
  Duration error_{};
  std::array<double, 3> intervals_{};
  size_t intervals_noted_ = 0;
  struct Past { double period = 0, sigma = 0; };
  std::array<Past, 3> pasts_{};               // before each of these intervals
  uint64_t acquisitions_ = 0;
};

}  // namespace tideway::planner
