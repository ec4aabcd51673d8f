// SPDX-License-Identifier: Apache-2.0
#include "flow/delivery_rate.h"

#include <algorithm>

namespace tideway::flow {

BurstRecord DeliveryRate::on_burst_sent(Time now, Bytes in_flight) {
  if (in_flight == Bytes()) first_sent_at_ = delivered_at_ = now;  // the pipe was empty: idle time belongs to no sample
  return {.sent_at = now, .first_sent_at = first_sent_at_, .delivered_at = delivered_at_, .delivered = delivered_,
          .in_flight = in_flight, .is_app_limited = is_app_limited()};
}

void DeliveryRate::on_app_limited(Bytes in_flight) { app_limited_until_ = std::max(delivered_ + in_flight, Bytes(1)); }

void DeliveryRate::on_delivered(Time now, Bytes acked) {
  delivered_ += acked;
  delivered_at_ = now;
  if (delivered_ > app_limited_until_) app_limited_until_ = Bytes();
}

RateSample DeliveryRate::take_sample(Time now, const BurstRecord& newest, Duration rtt_min) {
  if (newest.delivered >= round_end_) {
    round_end_ = delivered_;
    ++round_;
  }
  first_sent_at_ = std::max(first_sent_at_, newest.sent_at);
  RateSample sample;
  sample.limited_by = newest.is_app_limited ? LimitedBy::kApplication : LimitedBy::kNetwork;
  const Duration interval = std::max(newest.sent_at - newest.first_sent_at, now - newest.delivered_at);
  // Shorter than a round trip means that acks came compressed; such a sample would be too high.
  if (interval < rtt_min || interval <= Duration::zero()) return sample;
  sample.rate = Rate::of(delivered_ - newest.delivered, interval);
  latest_ = sample.rate;
  return sample;
}

}  // namespace tideway::flow
