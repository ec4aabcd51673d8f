// SPDX-License-Identifier: Apache-2.0
//
// Takes what others leave: holds the queue of the path below a target of about a millisecond and makes room as soon as
// somebody else adds to it. After LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus), on rate instead of window:
//
// - The queue is the round trip above its own minimum. The least sample of a quarter round trip, and of four at
//   least, counts, so that one late timer on a host is no queue.
// - Under half the target the rate grows, the faster the longer it found nothing: 1 % in the first round trip, doubling up to
//   a quarter, or what makes a target of queue per round trip, if that is less. Between half and the whole target it holds. Over the target, or marked: 0.7 of what the path delivers, once per
//   round trip, so that the queue is gone in the next one.
// - After such a step it goes back to just below the rate at which the queue grew, but only once the queue is gone. With
//   somebody else on the path it is not, and the steps follow each other: three within three round trips are a burst, which the
//   gate answers.
// - A queue of four targets at a rate that had none for five round trips is more than growth can have made, and somebody else's: a
//   burst at first sight, which counts as three steps. That rate stays what the path carries, for when the queue is gone.
// - Loss counts only with a queue, or when there is so much of it that the buffers must be smaller than our target.
// - Every ten seconds it halves its rate for a round trip, so that the minimum is measured without its own queue and a
//   latecomer does not take that for the path's.
// Thread: net worker. Pure.
#pragma once
#include "congestion/controller_config.h"
#include "congestion/loss_rate.h"
#include <tideway/congestion_controller.h>

#include <array>

namespace tideway::congestion {

class Scavenger final : public CongestionController {
 public:
  static constexpr Duration kTarget = std::chrono::milliseconds(1);

  explicit Scavenger(const ControllerConfig& config);
  void on_ack(const AckSample& sample) override;
  void on_loss(const LossSample& sample) override;
  void on_spurious_loss(Time now) override;
  Bytes window() const override;
  Rate pacing_rate() const override { return rate_ * (is_slowed_ ? kSlowed : 1.0); }
  uint32_t backoffs(Time now, Time since) const override;

 private:
  static constexpr double kSlowed = 0.5;
  enum class Queue : uint8_t { kNone, kHalf, kFull };

  void measure(const AckSample& sample);
  void judge(const AckSample& sample);
  void back_off(Time now, Rate delivered);
  bool has_stepped(Time now) const;
  Time queued_since(Time now) const;
  bool is_of_others(Time now) const;
  bool is_raised(Time now) const;
  void give_way(Time now);
  void note_delivered();
  void grow(const AckSample& sample);
  void slow_down(Time now);
  Rate least() const;
  double least_step() const;
  double most_step() const;

  const ControllerConfig config_;
  Rate rate_;
  Rate rate_before_;              // the last step down, for undo
  Rate ceiling_ = Rate::unlimited();  // just below the rate at which the queue grew
  Duration rtt_min_, rtt_;
  Time rtt_min_at_{};
  Duration rtt_next_min_ = Duration::max();  // of the current half of the window, to take over
  bool has_rtt_ = false;

  // The least round trip of a quarter of one.
  Duration least_ = Duration::max();
  Time least_from_{};
  uint32_t samples_ = 0;
  Queue queue_ = Queue::kNone;
  Duration waits_{};
  bool is_falling_ = false;
  Rate delivered_;                // latest sample
  double step_;                   // of growth, per round trip
  Time grown_at_{};
  Time raised_at_ = Time::min();  // back to the ceiling, all at once
  bool is_starting_ = true;       // nothing was ever found to be full
  bool is_draining_ = false;      // the queue that the start made is not gone yet: its steps down are no burst of others
  bool was_clear_ = true;         // since the last step down
  Time clear_at_{};               // since when, or since when it was the last time
  bool gives_way_ = false;        // to a burst: what arrives is not what the path carries
  LossRate loss_;
  uint64_t round_ = 0;
  Time backed_off_at_ = Time::min();
  std::array<Time, 3> backoffs_{};  // the latest, in any order
  size_t backoffs_made_ = 0;
  Time slow_at_ = kNever, slow_until_{};
  bool is_slowed_ = false;
};

}  // namespace tideway::congestion
