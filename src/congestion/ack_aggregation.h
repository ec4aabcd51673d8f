// SPDX-License-Identifier: Apache-2.0
//
// How much more than the path's rate arrives acked at once, because the receiver, a coalescing NIC or a late core held
// acks back. The window must cover it, or the flow stalls between two acks.
// Thread: the flow's. Pure.
#pragma once
#include <tideway/units.h>

#include <algorithm>
#include <array>

namespace tideway::congestion {

class AckAggregation {
 public:
  void on_ack(Time now, Bytes acked, Rate rate) {
    const Bytes expected = rate.over(now - epoch_start_);
    if (acked_ <= expected) {  // a new epoch starts whenever the acks have fallen back to the rate
      acked_ = Bytes();
      epoch_start_ = now;
      extra_[0] = std::max(extra_[0], acked);
      acked_ = acked;
      return;
    }
    acked_ += acked;
    extra_[0] = std::max(extra_[0], saturating_sub(acked_, expected));
  }
  void on_round() {
    if (++rounds_ < kRounds) return;
    rounds_ = 0;
    extra_ = {Bytes(), extra_[0]};
  }
  // The most within the last 5 to 10 rounds, at most what the path carries in 100 ms: a longer silence is an outage.
  Bytes extra(Rate rate) const {
    return std::min(std::max(extra_[0], extra_[1]), rate.over(std::chrono::milliseconds(100)));
  }

 private:
  static constexpr int kRounds = 5;
  Time epoch_start_{};
  Bytes acked_;
  std::array<Bytes, 2> extra_{};  // this half of the window and the one before
  int rounds_ = 0;
};

}  // namespace tideway::congestion
