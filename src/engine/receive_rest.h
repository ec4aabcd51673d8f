// SPDX-License-Identifier: Apache-2.0
//
// How long a net worker that only receives lets packets come together before it looks at its port again. To be woken for a handful of them costs
// as much as ten; what comes meanwhile lies in the socket, stamped by the kernel, and its ack is late by less than the share of a round trip that
// acks may wait anyway. A transfer that begins is looked at whenever something comes: its sender learns the path's rate from when that was.
// Thread: net worker. Pure.
#pragma once
#include <tideway/time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tideway::engine {

class ReceiveRest {
 public:
  static constexpr Duration kMax = std::chrono::milliseconds(1);
  static constexpr int kPerRoundTrip = 4;                             // rests; as many acks as a round trip has at least
  static constexpr int64_t kPackets = 96;                             // to come together, where that takes less than kMax
  static constexpr uint64_t kBegun = 12'000;                          // packets, 16 MiB: behind the start
  static constexpr Duration kPause = std::chrono::milliseconds(20);   // with nothing: what comes then begins anew

  void on_received(Time now, uint64_t packets) {
    if (packets == 0) return;
    const Duration passed = now - received_at_;
    if (passed > kPause) received_ = 0;
    received_ += packets;
    received_at_ = now;
    length_ = std::min(kMax, std::min(passed, kPause) * kPackets / static_cast<int64_t>(packets));
  }
  // Nothing but a deadline or a command is worth a look before then; in the past where all are.
  Time until(Duration rtt) const { return received_ < kBegun ? Time() : received_at_ + std::min(length_, rtt / kPerRoundTrip); }

 private:
  Time received_at_{};
  uint64_t received_ = 0;
  Duration length_{};
};

}  // namespace tideway::engine
