// SPDX-License-Identifier: Apache-2.0
//
// What carries the packets of the sessions that we dial: UDP, and TLS connections where that is blocked. UDP is asked for again
// from time to time, less often each time that it is still blocked, because asking costs the transfer a few seconds.
// Thread: control. Pure.
#pragma once
#include <tideway/packet_io.h>
#include <tideway/time.h>

#include <algorithm>

namespace tideway::session {

enum class Fallback : uint8_t { kOff, kTls };

class CarrierChoice {
 public:
  static constexpr Duration kAskAfter = std::chrono::minutes(5), kAskAfterMax = std::chrono::hours(1);

  explicit CarrierChoice(Fallback fallback) : fallback_(fallback) {}

  Delivery delivery() const { return delivery_; }
  // A session ended because no UDP came through. False: there is nothing else to go over.
  bool on_blocked(Time now) {
    if (fallback_ == Fallback::kOff || delivery_ == Delivery::kStream) return false;
    delivery_ = Delivery::kStream;
    ask_at_ = now + ask_after_;
    ask_after_ = std::min(ask_after_ * 2, kAskAfterMax);
    return true;
  }
  Time asks_at() const { return delivery_ == Delivery::kStream ? ask_at_ : kNever; }
  // The next session goes over UDP; if that is still blocked, on_blocked() says so.
  void ask_again() { delivery_ = Delivery::kDatagram; }

 private:
  const Fallback fallback_;
  Delivery delivery_ = Delivery::kDatagram;
  Duration ask_after_ = kAskAfter;
  Time ask_at_ = kNever;
};

}  // namespace tideway::session
