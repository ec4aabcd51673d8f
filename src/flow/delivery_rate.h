// SPDX-License-Identifier: Apache-2.0
//
// Delivery rate as BBR wants it (draft-cheng-iccrg-delivery-rate-estimation): bytes acked while a packet was under way,
// over the longer of the times it took to send and to ack them. Kept per burst: all packets of a burst left together.
// What was sent while something other than the network held us back is marked, or the controller would take our own cap
// for the path's. Also counts round trips, by packets.
// Thread: net worker. Pure.
#pragma once
#include "flow/sent_packets.h"
#include <tideway/congestion_controller.h>

namespace tideway::flow {

struct RateSample {
  Rate rate;  // zero: too short to tell
  LimitedBy limited_by = LimitedBy::kNetwork;
};

class DeliveryRate {
 public:
  explicit DeliveryRate(Time start) : delivered_at_(start), first_sent_at_(start) {}

  // The record of a burst that leaves now, with `in_flight` before it.
  BurstRecord on_burst_sent(Time now, Bytes in_flight);
  void on_app_limited(Bytes in_flight);  // nothing to send, though window and pacing allow it
  void on_delivered(Time now, Bytes acked);
  // After on_delivered for all of an ACK frame; `newest` is the burst of the newest packet it acked.
  RateSample take_sample(Time now, const BurstRecord& newest, Duration rtt_min);

  bool is_app_limited() const { return app_limited_until_ != Bytes(); }
  uint64_t round() const { return round_; }
  Rate latest() const { return latest_; }

 private:
  Bytes delivered_;
  Time delivered_at_;
  Time first_sent_at_;         // of the newest acked burst: the next flight starts there
  Bytes app_limited_until_;    // samples are marked until this much was delivered; zero: not limited
  Bytes round_end_;            // a burst that left after this much was delivered starts the next round
  uint64_t round_ = 0;
  Rate latest_;
};

}  // namespace tideway::flow
