// SPDX-License-Identifier: Apache-2.0
//
// The ceiling on what a lane sends: a token bucket that holds a few milliseconds, so that late wake-ups do not cost
// rate. Bytes are counted as the link sees them, headers and Ethernet overhead included.
// Thread: net worker. Pure.
#pragma once
#include <tideway/units.h>

#include <algorithm>

namespace tideway::engine {

inline constexpr uint64_t kLinkOverhead = 20 + 8 + 38;  // IPv4, UDP, Ethernet with preamble and gap, per packet

class RateBucket {
 public:
  RateBucket(Time now, Rate rate) : rate_(rate), filled_at_(now), tokens_(depth()) {}

  void set_rate(Time now, Rate rate) {
    fill(now);
    rate_ = rate;
    tokens_ = std::min(tokens_, depth());
  }
  bool is_limited() const { return !rate_.is_unlimited(); }
  // How many packets of `payload` bytes may leave now.
  size_t packets(Time now, Bytes payload) {
    if (rate_.is_unlimited()) return SIZE_MAX;
    fill(now);
    return static_cast<size_t>(tokens_.count() / (payload.count() + kLinkOverhead));
  }
  void spend(Bytes payload) {
    if (!rate_.is_unlimited()) tokens_ = saturating_sub(tokens_, payload + Bytes(kLinkOverhead));
  }
  // When one full packet may leave.
  Time next(Bytes payload) const {
    const Bytes wanted = payload + Bytes(kLinkOverhead);
    if (rate_.is_unlimited() || tokens_ >= wanted) return filled_at_;
    return filled_at_ + rate_.time_for(wanted - tokens_) + Duration(1);
  }

 private:
  static constexpr Duration kDepth = std::chrono::milliseconds(2);
  static constexpr Bytes kDepthMin = 20'000_B;  // two of the largest packets
  Bytes depth() const { return rate_.is_unlimited() ? kDepthMin : std::max(kDepthMin, rate_.over(kDepth)); }
  void fill(Time now) {
    if (now <= filled_at_) return;
    tokens_ = std::min(depth(), tokens_ + rate_.over(now - filled_at_));
    filled_at_ = now;
  }

  Rate rate_;
  Time filled_at_;
  Bytes tokens_;
};

}  // namespace tideway::engine
