// SPDX-License-Identifier: Apache-2.0
//
// When to ack (docs/protocol.md, "When to ack"): by count, by time, at once when asked or when a hole opens. Seldom on
// purpose: acking every second packet is a large part of a receiver's CPU, while four acks per round trip are enough for
// the sender's control.
// Thread: net worker. Pure.
#pragma once
#include <tideway/units.h>

namespace tideway::flow {

// What arrived, by what matters here.
struct Arrival {
  Bytes size;
  bool is_ack_eliciting = false;
  bool wants_ack_now = false;
  bool opens_hole = false;  // its number leaves a gap that was not there before
};

class AckSchedule {
 public:
  static constexpr uint64_t kPackets = 64;
  static constexpr Bytes kBytes = Bytes(64 << 10);
  static constexpr uint64_t kPacketsFast = 256;            // above kFast, where an ack that wakes two hosts costs as much as 20 packets
  static constexpr Bytes kBytesFast = Bytes(512 << 10);
  static constexpr Rate kFast = Rate::bits_per_second(250'000'000);  // half of what one of two flows has of a Gigabit
  static constexpr Rate kPrompt = Rate::bits_per_second(1'000'000'000);
  static constexpr Duration kDelayPrompt = std::chrono::milliseconds(1);  // at most, above kPrompt
  static constexpr Duration kDelayMax = std::chrono::milliseconds(25);
  static constexpr int kPerRoundTrip = 4;
  static constexpr uint64_t kEager = 256;                  // of a flow's first packets, its first flight, every second is acked: it measures the path
  static constexpr int kHolesPerRoundTrip = 32;
  static constexpr Duration kRateWindow = std::chrono::milliseconds(10);

  void on_packet(Time now, const Arrival& arrival, Duration rtt);
  void on_ack_sent();

  bool is_due(Time now) const { return now >= due_; }
  Time next_deadline() const { return due_; }
  // How long an ack may wait at most: what a peer adds to its probe timeout.
  static Duration delay_max(Duration rtt) { return rtt / kPerRoundTrip < kDelayMax ? rtt / kPerRoundTrip : kDelayMax; }

 private:
  void measure(Time now, Bytes size);

  Time due_ = kNever;
  uint64_t packets_ = 0;   // since the last ack
  Bytes bytes_;
  uint64_t seen_ = 0;      // ack-eliciting, up to kEager
  Time hole_at_ = Time::min();
  Rate rate_;              // of arrivals, over the last whole window
  Bytes window_bytes_;
  Time window_start_ = Time::min();
};

}  // namespace tideway::flow
