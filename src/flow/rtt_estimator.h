// SPDX-License-Identifier: Apache-2.0
//
// Round-trip time: smoothed and variance as in RFC 9002 (section 5), and the minimum of the last 10 s.
// Thread: net worker. Pure.
#pragma once
#include <tideway/time.h>

#include <array>

namespace tideway::flow {

class RttEstimator {
 public:
  // Long enough that a queue we keep ourselves does not become the minimum, short enough to see a changed route.
  static constexpr Duration kMinWindow = std::chrono::seconds(10);

  explicit RttEstimator(Duration initial);  // measured by the control channel; used until the first sample

  // `ack_delay` is what the peer says it waited; it is taken off, but never below the minimum.
  void on_sample(Time now, Duration rtt, Duration ack_delay);

  bool has_sample() const { return has_sample_; }
  Duration latest() const { return latest_; }
  Duration smoothed() const { return smoothed_; }
  Duration variance() const { return variance_; }
  Duration min() const { return minima_[0].rtt; }

 private:
  // The least of the window, the least since it, the least since that one (the windowed minimum of K. Nichols).
  struct Minimum { Time at; Duration rtt; };
  void update_minimum(Time now, Duration rtt);

  std::array<Minimum, 3> minima_;
  Duration latest_, smoothed_, variance_;
  bool has_sample_ = false;
};

}  // namespace tideway::flow
