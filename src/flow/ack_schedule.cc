// SPDX-License-Identifier: Apache-2.0
#include "flow/ack_schedule.h"

#include <algorithm>

namespace tideway::flow {

void AckSchedule::on_packet(Time now, const Arrival& arrival, Duration rtt) {
  measure(now, arrival.size);
  if (!arrival.is_ack_eliciting) return;
  ++packets_;
  bytes_ += arrival.size;
  const bool is_eager = seen_ < kEager;
  if (is_eager) ++seen_;
  bool is_due = arrival.wants_ack_now || (is_eager && packets_ >= 2);
  if (arrival.opens_hole && (hole_at_ == Time::min() || now - hole_at_ >= rtt / kHolesPerRoundTrip)) {
    hole_at_ = now;
    is_due = true;
  }
  const bool is_fast = rate_ > kFast;
  is_due |= packets_ >= (is_fast ? kPacketsFast : kPackets) || bytes_ >= (is_fast ? kBytesFast : kBytes);
  const Duration wait = rate_ > kPrompt ? std::min(delay_max(rtt), kDelayPrompt) : delay_max(rtt);
  due_ = std::min(due_, is_due ? now : now + wait);
}

void AckSchedule::on_ack_sent() {
  due_ = kNever;
  packets_ = 0;
  bytes_ = Bytes();
}

void AckSchedule::measure(Time now, Bytes size) {
  if (window_start_ == Time::min()) window_start_ = now;
  if (now - window_start_ >= kRateWindow) {
    rate_ = Rate::of(window_bytes_, now - window_start_);
    window_start_ = now;
    window_bytes_ = Bytes();
  }
  window_bytes_ += size;
}

}  // namespace tideway::flow
