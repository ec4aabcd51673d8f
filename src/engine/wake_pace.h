// SPDX-License-Identifier: Apache-2.0
//
// How long a net worker lets the packets of a lane gather before it looks at a backend that would wake it. At 1 Gbit/s the packets
// of a few flows come in groups of three or four, and to be woken costs as much as five of them; a peer that hears of a packet a
// small part of a round trip later loses nothing. Not while a transfer starts, because trains of packets measure the path then by
// when they arrive.
// Thread: net worker. Pure.
#pragma once
#include <tideway/time.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace tideway::engine {

class WakePace {
 public:
  static constexpr Duration kGatherMax = std::chrono::microseconds(200);  // a pacing quantum
  static constexpr int kPerRoundTrip = 8;
  static constexpr Duration kStart = std::chrono::seconds(1);  // since the lane had nothing to do

  // At every look at the lane's counts: bytes that it has sent and received so far.
  void on_count(Time now, uint64_t bytes, Duration rtt_min) {
    if (bytes == bytes_) busy_since_.reset();
    else if (!busy_since_) busy_since_ = now;
    bytes_ = bytes;
    gather_ = busy_since_ && now - *busy_since_ >= kStart ? std::min(rtt_min / kPerRoundTrip, kGatherMax) : Duration::zero();
  }
  // Nothing: the lane is idle, and others decide.
  std::optional<Duration> gather() const { return busy_since_ ? std::optional(gather_) : std::nullopt; }

 private:
  uint64_t bytes_ = 0;
  std::optional<Time> busy_since_;
  Duration gather_{};
};

}  // namespace tideway::engine
