// SPDX-License-Identifier: Apache-2.0
//
// Decides when a flow may send: a token bucket filled at the pacing rate (RFC 9002, section 7.7). Sending waits for a
// quantum, so that one wake-up sends a burst; the bucket holds two wake-up latencies more, because a bucket that
// overflows while a timer comes late would cap the rate in silence. How late timers come is measured here. A busy host may
// let us run tens of milliseconds too late: at a low rate the bucket holds that, too, at a high one it would be a burst.
// Thread: net worker. Pure.
#pragma once
#include <tideway/units.h>

namespace tideway::flow {

class Pacer {
 public:
  static constexpr Bytes kQuantumMax = Bytes(64 << 10);   // more in one go is a burst that shallow buffers drop
  static constexpr Bytes kTrainMax = Bytes(256 << 10);    // unless the controller asks for it, to learn the path's rate
  static constexpr uint64_t kQuantumPackets = 32;
  static constexpr Duration kQuantumTime = std::chrono::microseconds(200);  // 17 packets at 1 Gbit/s: a wake-up costs as much as five of them
  static constexpr Duration kWakeLatencyStart = std::chrono::microseconds(100);
  static constexpr Duration kWakeLatencyMax = std::chrono::milliseconds(50);  // later than that is a stall, not a habit
  static constexpr Duration kWakeLatencyFast = std::chrono::milliseconds(5);  // what is held of it when it is more than kQuantumMax

  explicit Pacer(Time start);
  // The controller's rate; a full packet; what the controller wants to leave in one go, up to kTrainMax.
  void on_rate(Time now, Rate rate, Bytes packet, Bytes train = Bytes());
  void on_wait() { waits_ = true; }                 // there is more to send, and what is available does not do
  void on_hold() { waits_ = false; }                // what waits does so for something else: its window, a gate
  void on_wake(Time now);                           // the flow may write, and counts what it sends from here on: notes how late it was asked
  void on_sent(Bytes sent);                         // may exceed what was available: acks and probes do not ask
  void on_data_sent(Bytes sent);

  // What may leave now: nothing before a quantum has come together.
  Bytes available(Time now) const;
  Time next_send() const;                           // when a quantum is there; in the past if it is
  Bytes train() const { return train_; }
  bool is_in_train() const { return train_left_ >= packet_ && tokens_ >= packet_; }  // its rest leaves with the next burst

 private:
  Bytes tokens_at(Time now) const;
  void fill(Time now);
  void size_bucket();
  Rate rate_;
  Bytes quantum_, bucket_, packet_, train_;  // by rate
  Bytes tokens_;
  Bytes train_left_;                         // of the one that leaves now: it may take more bursts than one
  Time filled_at_;
  Duration wake_latency_ = kWakeLatencyStart;
  bool waits_ = false;
};

}  // namespace tideway::flow
