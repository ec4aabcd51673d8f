// SPDX-License-Identifier: Apache-2.0
//
// How long a net worker rests between two looks at a backend that gives no notice of packets. While packets come it looks
// at once; the longer none come, the longer it rests. On one or two cores it never spins, since the cpu worker needs them.
// Thread: net worker. Pure.
#pragma once
#include <tideway/time.h>

#include <cstdint>
#include <optional>

namespace tideway::engine {

enum class Poll : uint8_t { kAdaptive, kFull };  // kFull never rests

class PollPace {
 public:
  static constexpr Duration kRestShort = std::chrono::microseconds(50);  // what it may add to a round trip under way
  static constexpr Duration kRestLong = std::chrono::milliseconds(2);    // 500 looks a second: 2 % of a core
  static constexpr Duration kLongAfter = std::chrono::seconds(1);

  PollPace(Poll poll, uint32_t cores) : poll_(poll), empty_max_(cores <= 2 ? 2 : 1'000) {}

  void on_work() {
    empty_ = 0;
    idle_since_.reset();
  }
  // After a look that found nothing. Zero: look again at once.
  Duration on_empty(Time now) {
    if (poll_ == Poll::kFull || ++empty_ < empty_max_) return {};
    if (!idle_since_) idle_since_ = now;
    return now - *idle_since_ < kLongAfter ? kRestShort : kRestLong;
  }

 private:
  const Poll poll_;
  const uint32_t empty_max_;
  uint32_t empty_ = 0;
  std::optional<Time> idle_since_;
};

}  // namespace tideway::engine
