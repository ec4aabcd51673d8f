// SPDX-License-Identifier: Apache-2.0
#include "flow/loss_detector.h"

#include <algorithm>

namespace tideway::flow {
namespace {

Duration base_window(const RttEstimator& rtt) {
  return std::max(rtt.min() / LossDetector::kWindowStart, LossDetector::kWindowFloor);
}

}  // namespace

Duration LossDetector::reorder_window(const RttEstimator& rtt) const { return base_window(rtt) + excess_; }

void LossDetector::on_spurious(Time now, Time sent_at, const RttEstimator& rtt) {
  const Duration lateness = now - sent_at - std::max(rtt.latest(), rtt.smoothed());
  const Duration wanted = std::min(lateness + lateness / 4, rtt.smoothed());
  excess_ = std::max(excess_, wanted - base_window(rtt));
  calm_since_ = now;
  is_count_wrong_ = true;
}

std::optional<uint64_t> LossDetector::next_lost(Time now, const SentPackets& sent, const RttEstimator& rtt) {
  if (excess_ > Duration::zero() && now - calm_since_ > kCalmRoundTrips * rtt.smoothed()) {
    excess_ /= 2;
    calm_since_ = now;
  }
  deadline_ = kNever;
  const Duration wait = std::max(rtt.latest(), rtt.smoothed()) + reorder_window(rtt);
  const bool is_counted = !is_count_wrong_ && sent.packets_in_flight() < kCountRuleBelow;
  head_ = sent.find(std::max(head_, sent.tail()), std::max(acked_end_, sent.tail()));
  while (head_ < acked_end_) {
    if (sent.at(head_).where() == PacketState::kInFlight) {
      const Time lost_at = sent.burst_of(head_).sent_at + wait;
      if (now < lost_at && !(is_counted && acked_end_ > head_ + kCount)) {
        deadline_ = lost_at;
        return std::nullopt;
      }
      return head_++;
    }
    head_ = sent.find(head_ + 1, acked_end_);
  }
  return std::nullopt;
}

}  // namespace tideway::flow
