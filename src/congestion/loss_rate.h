// SPDX-License-Identifier: Apache-2.0
//
// Judges the loss rate over a sample that is large enough to mean something, against a threshold that knows the path's own
// loss. In a round of 80 packets (1 Gbit/s at 1 ms) one percent of random loss often looks like more than two; and where
// losses come in runs of ten, even 1,024 packets do not tell 1 % from 2 %. So a sample without a queue, where chance is the
// likelier cause, has to be larger.
// Thread: the flow's. Pure.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>

namespace tideway::congestion {

inline constexpr double kLossThresholdMin = 0.02;
inline constexpr double kLossThresholdMax = 0.06;  // a path that loses more by itself is broken
inline constexpr double kLossOverBase = 1.5;

// `base` is what the path loses at any rate.
constexpr double loss_threshold(double base) {
  return std::clamp(base * kLossOverBase, kLossThresholdMin, kLossThresholdMax);
}

class LossRate {
 public:
  enum class Queue : uint8_t { kSeen, kNotSeen };

  void on_acked(uint64_t packets) { acked_ += packets; }
  void on_lost(uint64_t packets) { lost_ += packets; }

  // At the end of a round: the rate, if the sample is complete. It also is when more was lost than `threshold` of a full
  // sample allows, because no later ack could change the verdict.
  std::optional<double> judge(double threshold, Queue queue) {
    const uint64_t wanted = queue == Queue::kSeen ? kWithQueue : kWithoutQueue;
    const uint64_t all = acked_ + lost_;
    const bool is_clear = static_cast<double>(lost_) > threshold * static_cast<double>(wanted);
    if (all < wanted && !is_clear) return std::nullopt;
    const double rate = static_cast<double>(lost_) / static_cast<double>(all);
    restart();
    return rate;
  }
  void restart() { acked_ = lost_ = 0; }
  uint64_t lost() const { return lost_; }
  // Of what there is of the sample so far, as if the rest of so many packets had arrived.
  double share_of_least(uint64_t packets) const { return static_cast<double>(lost_) / static_cast<double>(std::max(acked_ + lost_, packets)); }

 private:
  static constexpr uint64_t kWithQueue = 1024, kWithoutQueue = 8192;  // packets; see the head
  uint64_t acked_ = 0, lost_ = 0;
};

}  // namespace tideway::congestion
