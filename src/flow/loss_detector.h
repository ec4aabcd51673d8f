// SPDX-License-Identifier: Apache-2.0
//
// Which packets are lost: those overtaken by an acked one and older than a round trip plus the reordering window (RACK,
// RFC 8985). The window adapts: a packet that was called lost and then acked was only late, and shows how late packets
// may come. No packet count decides while more than kCountRuleBelow are in flight, since on paths that reorder any fixed
// count throws away bandwidth; with few in flight a quick resend is worth a mistake, until the first one.
// Packet number order is send order, so everything is one pointer that moves forward.
// Thread: net worker. Pure.
#pragma once
#include "flow/rtt_estimator.h"
#include "flow/sent_packets.h"

#include <optional>

namespace tideway::flow {

class LossDetector {
 public:
  static constexpr int kWindowStart = 8;       // min RTT / 8
  static constexpr Duration kWindowFloor = std::chrono::microseconds(100);  // acks of a burst are not read in one instant
  static constexpr int kCalmRoundTrips = 16;   // without a mistake; then the excess halves
  static constexpr uint64_t kCountRuleBelow = 64;
  static constexpr uint64_t kCount = 3;

  explicit LossDetector(uint64_t first_number) : head_(first_number) {}

  void on_acked(uint64_t largest) { if (largest + 1 > acked_end_) acked_end_ = largest + 1; }
  // A packet that was declared lost has been acked after all.
  void on_spurious(Time now, Time sent_at, const RttEstimator& rtt);

  // The next lost packet, each once, or nothing; then next_deadline() says when to ask again. Call it when all acks that
  // have arrived are processed: an ack still waiting in the burst is no loss.
  std::optional<uint64_t> next_lost(Time now, const SentPackets& sent, const RttEstimator& rtt);
  Time next_deadline() const { return deadline_; }
  Duration reorder_window(const RttEstimator& rtt) const;

 private:
  uint64_t head_;            // everything in flight below was judged
  uint64_t acked_end_ = 0;   // the largest acked number plus one
  Time deadline_ = kNever;
  Duration excess_{};        // of the reordering window over its start
  Time calm_since_ = Time::min();
  bool is_count_wrong_ = false;  // stays so: a path that reorders does it again, however calm it is now
};

}  // namespace tideway::flow
