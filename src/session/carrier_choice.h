// SPDX-License-Identifier: Apache-2.0
//
// What carries the packets of the sessions that we dial: UDP, and TLS connections where that is blocked, or policed to so little
// that they carry more. UDP is asked for again from time to time, less often each time that it is still so: by a session beside those
// that carry transfers, where there is room for one, and else by the transfer itself, which it costs a few seconds.
// Thread: control. Pure.
#pragma once
#include <tideway/packet_io.h>
#include <tideway/result.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <algorithm>
#include <optional>

namespace tideway::session {

enum class Fallback : uint8_t { kOff, kTls };

class CarrierChoice {
 public:
  static constexpr Duration kAskAfter = std::chrono::minutes(5), kAskAfterMax = std::chrono::hours(1);
  static constexpr Duration kTrial = std::chrono::seconds(2);  // TCP is past its start then on any path that is worth it
  static constexpr double kTrialGain = 1.5;                    // for less no transfer is moved

  // `ask_after`: how long TLS is used the first time until UDP is asked for again, at most kAskAfterMax.
  explicit CarrierChoice(Fallback fallback, Duration ask_after = kAskAfter) : fallback_(fallback), ask_after_(ask_after) {}

  Delivery delivery() const { return delivery_; }
  // A session over delivery() ended with `why`; zero, or so much crossed of what is policed. True: another carrier is worth a session. False:
  // the carrier was not the reason, or there is none left.
  bool on_ended(Time now, Fault why, Rate policed) {
    if (is_trial() && (why == Fault::kUdpBlocked || why == Fault::kProtocolVersion)) {
      end_trial();  // the peer carries nothing over TLS
      refused_until_ = trial_at_;
      return true;
    }
    if (why != Fault::kUdpBlocked || fallback_ == Fallback::kOff || delivery_ == Delivery::kStream || now < refused_until_) return false;
    delivery_ = Delivery::kStream;
    put_off(now);
    if (policed > Rate()) to_beat_ = policed * kTrialGain;
    return true;
  }
  Time asks_at() const { return delivery_ == Delivery::kStream ? ask_at_ : kNever; }
  // The next session goes over UDP; if that is still blocked, on_ended() says so.
  void ask_again() {
    delivery_ = Delivery::kDatagram;
    to_beat_.reset();
  }

  // A session over UDP asks, and those over TLS stay until it was answered: then comes ask_again(), or on_probe_failed().
  void on_probe() { ask_at_ = kNever; }
  void on_probe_failed(Time now) { put_off(now); }

  // Where UDP passes at a small rate, TLS has to show that it carries more: it is judged by its best second, after kTrial.
  bool is_trial() const { return to_beat_.has_value(); }
  // False: it does not, and the next session goes over UDP, which is not called policed again for some time.
  bool judge(Rate tls) {
    if (tls >= *to_beat_) to_beat_.reset();
    else end_trial();
    return delivery_ == Delivery::kStream;
  }
  // Whether a session over UDP is to end when that seems to be policed.
  bool wants_trial(Time now) const { return fallback_ == Fallback::kTls && delivery_ == Delivery::kDatagram && now >= trial_at_; }

 private:
  void put_off(Time now) {
    ask_at_ = now + ask_after_;
    ask_after_ = std::min(ask_after_ * 2, kAskAfterMax);
  }
  void end_trial() {
    ask_again();
    trial_at_ = ask_at_;
  }
  const Fallback fallback_;
  Delivery delivery_ = Delivery::kDatagram;
  Duration ask_after_;
  Time ask_at_ = kNever;
  Time trial_at_{}, refused_until_{};
  std::optional<Rate> to_beat_;
};

}  // namespace tideway::session
