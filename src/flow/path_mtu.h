// SPDX-License-Identifier: Apache-2.0
//
// How large a packet the path carries (RFC 8899). All higher rungs of a ladder are tried at once by padded probes, so one
// round trip settles it; then one size between the best good and the least bad rung. A path that swallows full packets
// while small ones pass is a black hole: back to the base, and up again by probes. Losses in a row do not count as one,
// since at 1 % random loss they happen all the time.
// Thread: net worker. Pure.
#pragma once
#include <tideway/units.h>

#include <array>
#include <optional>
#include <span>

namespace tideway::flow {

class PathMtu {
 public:
  static constexpr Bytes kBase = Bytes(1280);  // IPv6 promises it, and any IPv4 path of today
  static constexpr int kTriesMax = 3;          // per size (RFC 8899, MAX_PROBES): random loss may take one
  static constexpr Duration kRaiseEvery = std::chrono::minutes(10);
  static constexpr uint64_t kStepMin = 64;     // smaller gains are not worth a probe between two rungs

  // Sizes are IP packets. Searching begins with allow().
  explicit PathMtu(Bytes local_max);

  void allow() { is_allowed_ = true; }  // the address is proven: probes are large
  void on_probe_sent(Bytes mtu);
  void on_probe_acked(Time now, Bytes mtu);
  void on_probe_lost(Time now, Bytes mtu);
  void on_full_sent(Time now);          // larger than the base
  void on_full_acked() { full_unacked_since_ = kNever; }
  // A packet of the base size or less was acked. True: full ones were not, for two probe timeouts, and the size fell.
  bool on_small_acked(Time now, Duration probe_timeout);

  Bytes current() const { return current_; }
  std::optional<Bytes> next_probe(Time now);
  Time next_deadline() const { return is_allowed_ ? raise_at_ : kNever; }
  std::optional<Bytes> largest_probe() const;  // of those next_probe() will name
  size_t probes_waiting() const;
  bool has_probe() const { return largest_probe().has_value(); }

 private:
  enum class RungState : uint8_t { kUntried, kInFlight, kGood, kBad };
  struct Rung { Bytes mtu; RungState state = RungState::kUntried; int tries = 0; };
  static constexpr size_t kRungsMax = 7;  // ladder, local MTU, one between

  Rung* find(Bytes mtu);
  void settle(Time now);
  void restart();

  std::array<Rung, kRungsMax> rungs_;  // the first rungs_count_; the one between stands last when it is there
  size_t ladder_count_ = 0, rungs_count_ = 0;
  Bytes current_ = kBase;
  bool is_allowed_ = false;
  Time raise_at_ = kNever;             // all settled: when to try the bad ones again
  Time full_unacked_since_ = kNever;
};

}  // namespace tideway::flow
