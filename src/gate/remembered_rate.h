// SPDX-License-Identifier: Apache-2.0
//
// With which rate a gate opens again: what the path delivered over the last ten round trips in which it was open. Going back to
// it at once is what makes a gap of half a second useful; a slow start would lose most of it.
// Thread: net worker. Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

namespace tideway::gate {

class RememberedRate {
 public:
  static constexpr int kRoundTrips = 10;
  static constexpr Duration kValid = std::chrono::seconds(10);
  static constexpr int kValidPeriods = 10;

  // What was delivered while the gate was open, `over` the time since the sample before, without what it was closed meanwhile: what comes first behind a
  // gate that has just opened tells of what it let pass then, and counts for no more than a moment. Zero is no sample.
  void on_delivered(Time now, Rate rate, Duration rtt, Duration over);
  Rate rate() const { return rate_; }  // zero: never measured
  // Whether it may be too old to start with.
  bool is_stale(Time now, Duration period) const;

 private:
  Rate rate_;
  Time measured_at_ = Time::min();
};

}  // namespace tideway::gate
