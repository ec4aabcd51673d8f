// SPDX-License-Identifier: Apache-2.0
//
// Probe timeout (RFC 9002, section 6.2): when nothing was heard of what is in flight for too long, two packets are sent to
// draw an ack. After kRestAfter in a row the flow gives its ranges to its sisters and rests; after kDeadAfter it counts as
// dead, and goes on asking now and then whether the path is back.
// Thread: net worker. Pure.
#pragma once
#include "flow/rtt_estimator.h"

#include <algorithm>
#include <cstdint>

namespace tideway::flow {

class ProbeTimeout {
 public:
  static constexpr Duration kVarianceMin = std::chrono::milliseconds(1);  // of four variances: timers are not exact
  static constexpr int kBackoffMax = 8;
  static constexpr uint32_t kRestAfter = 3;
  static constexpr uint32_t kDeadAfter = 5;
  // Of a resting or dead flow, so that a link that comes back after an hour is used within a second or so.
  static constexpr Duration kRevivalMax = std::chrono::seconds(1);
  static constexpr int kPackets = 2;  // not one: the tail of a burst is where shallow buffers drop

  explicit ProbeTimeout(Time start) : from_(start) {}

  static Duration period(const RttEstimator& rtt);  // without back-off
  // Something that will be acked leaves, and nothing was in flight. Later packets do not put the timer off (RFC 6298, 5.1):
  // on a dead path there is always one more to send, and the flow would never notice.
  void on_first_sent(Time now) { from_ = now; }
  void on_news(Time now) { from_ = now; count_ = 0; }  // something was acked
  void fire(Time now) { from_ = now; ++count_; }
  Time deadline(const RttEstimator& rtt) const;
  uint32_t count() const { return count_; }         // in a row
  bool is_resting() const { return count_ >= kRestAfter; }
  static Duration longest(const RttEstimator& rtt) { return std::max(period(rtt), kRevivalMax); }  // wait of a flow that rests

 private:
  Time from_;
  uint32_t count_ = 0;
};

}  // namespace tideway::flow
