// SPDX-License-Identifier: Apache-2.0
//
// What the path carries, told by packet trains: packets that left back to back are spread out by the slowest link, and
// ACK frames say when the receiver saw them. A capacity after one round trip, where doubling needs one for each factor of
// two.
//
// The receiver's clock is only as good as the turns in which it looks at its port: packets that waited for a turn come at
// one instant. What came in a turn arrived since the turn before, so turns count whole, and the first (nobody knows for how
// long it had waited) and the last (the train ended somewhere within it) do not. A train that was received as one piece
// (GRO), or of which most came in one turn, says nothing.
// Thread: net worker. Pure.
#pragma once
#include <tideway/units.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace tideway::flow {

class TrainMeter {
 public:
  static constexpr Bytes kSizeMin = Bytes(16 << 10);  // shorter ones say more about clocks than about the path
  static constexpr int kTurnsMin = 2;                 // after the first; one of them is the last

  // An ACK frame that acked something new.
  struct Ack {
    uint64_t train;     // of the newest packet acked; a burst is a train
    Bytes size;         // of the whole train
    Bytes acked;
    Time received_at;   // of the newest packet, on the receiver's clock
  };
  // The rate of a train, once, when nearly all of it has arrived or the next one begins. Zero: nothing to tell.
  Rate on_ack(const Ack& ack) {
    if (!is_open_ || ack.train != train_) {
      const Rate rate = is_open_ ? finish() : Rate();
      is_open_ = ack.size >= kSizeMin;
      *this = TrainMeter(ack, is_open_);
      return rate;
    }
    if (ack.received_at > last_) {
      ++turns_;
      turn_longest_ = std::max(turn_longest_, ack.received_at - last_);
      whole_ = spread_;
      whole_until_ = std::exchange(last_, ack.received_at);
    }
    if (turns_ > 0) spread_ += ack.acked;
    else first_acked_ += ack.acked;
    if (spread_ + first_acked_ < size_ - size_ / 8) return Rate();
    const Rate rate = finish();
    is_open_ = rate == Rate();  // the turn that is still to come may be the one that was missing
    return rate;
  }
  TrainMeter() = default;

 private:
  TrainMeter(const Ack& ack, bool is_open)
      : is_open_(is_open), train_(ack.train), size_(ack.size), first_acked_(ack.acked), first_(ack.received_at), last_(ack.received_at) {}

  Rate finish() const {
    if (turns_ < kTurnsMin || turn_longest_ * 2 > last_ - first_ || spread_ < size_ / 2) return Rate();
    return Rate::of(whole_, whole_until_ - first_);
  }

  bool is_open_ = false;
  uint64_t train_ = 0;
  Bytes size_, first_acked_, spread_, whole_;  // spread: what arrived after the first turn; whole: before the last, too
  Time first_{}, last_{}, whole_until_{};
  Duration turn_longest_{};
  int turns_ = 0;
};

}  // namespace tideway::flow
