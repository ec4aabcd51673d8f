// SPDX-License-Identifier: Apache-2.0
//
// The seam for congestion control: samples in, window and rate out. One object per flow; it sees samples, never the
// flow, and reads no clock.
#pragma once
#include <tideway/units.h>

#include <cstdint>

namespace tideway {

// What held the sender back while the acked packet was sent. Only kNetwork samples tell something about the path's
// capacity; the others carry our own caps.
enum class LimitedBy : uint8_t { kNetwork, kApplication };

// One per received ACK frame that acked something new.
struct AckSample {
  Time now;
  Bytes acked;          // newly acked by this frame, as sent (UDP payload)
  Bytes in_flight;      // after the ack
  Bytes in_flight_before;  // when the newest acked packet was sent, itself included
  Duration rtt;         // of the newest acked packet, ack delay taken off; zero: no sample
  Duration rtt_min;     // over the estimator's window
  Duration rtt_smoothed;
  Rate delivery_rate;   // of the newest acked packet's flight; zero: no sample
  Rate train_rate{};    // at which packets that left back to back arrived, by the receiver's clock; zero: no sample
  uint64_t round;       // round trips so far, counted by the flow in packet-timed rounds
  uint64_t packets_acked;  // newly acked by this frame
  uint64_t ce_marked;   // packets newly reported as congestion experienced
  LimitedBy limited_by;
};

enum class LossCause : uint8_t { kTimeThreshold, kProbeTimeout };

struct LossSample {
  Time now;
  Bytes lost;
  uint64_t packets_lost;
  Bytes in_flight;      // after the loss
  Bytes in_flight_before;  // when the newest lost packet was sent, itself included
  uint64_t round;
  LossCause cause;      // kProbeTimeout: everything in flight was given up
};

// A controller rested behind a gate, which opens now.
struct Thaw {
  Time now;
  Duration rtt_min;     // by what passed meanwhile, over the estimator's window
  Duration waits;       // the flow's latest round trip above that; it may be older than the queue that the gate saw go
  Duration rested;      // for how long, in real time
  enum class Behind : uint8_t { kBurst, kOther } behind;  // the former: nobody had announced it, and a pulse has seen its end
};

class CongestionController {
 public:
  virtual ~CongestionController() = default;
  virtual void on_ack(const AckSample& sample) = 0;
  virtual void on_loss(const LossSample& sample) = 0;
  virtual void on_spurious_loss(Time now) = 0;  // the last on_loss was wrong: undo it
  virtual Bytes window() const = 0;             // never under two full packets
  virtual Rate pacing_rate() const = 0;         // never zero
  // How much is to leave back to back at a time, so that the spread with which it arrives shows the path's rate. Zero: as
  // little as the pacer can do.
  virtual Bytes train() const { return {}; }
  // How often it wants to know the path's delay at least, where the flow would be content with less.
  virtual Duration acks_every() const { return Duration::max(); }
  // What the path carried lately when it was free: with so much a gate asks whether it is again.
  virtual Rate rate_known() const { return pacing_rate(); }
  virtual void on_thaw([[maybe_unused]] const Thaw& thaw) {}
  // How often it backed off within the last three round trips, and after `since`. Zero of a controller that does not yield to others.
  virtual uint32_t backoffs([[maybe_unused]] Time now, [[maybe_unused]] Time since) const { return 0; }
};

}  // namespace tideway
