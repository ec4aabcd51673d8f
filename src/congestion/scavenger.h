// SPDX-License-Identifier: Apache-2.0
//
// Takes what others leave: holds the queue of the path below a target of about a millisecond and makes room as soon as
// somebody else adds to it. After LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus), on rate instead of window:
//
// - The queue is the round trip above its own minimum. The least sample of a quarter round trip, and of four at
//   least, counts, so that one late timer on a host is no queue.
// - Under half the target the rate grows, the faster the longer it found nothing: 1 % in the first round trip, doubling up to
//   a quarter, or what makes a target of queue per round trip, if that is less. Behind a gate that opens it grows by that much of the most that
//   the path carried in the last ten seconds, up to near that. Between half and the whole target it holds. Over the target, or marked: 0.7 of what the path delivers, once per
//   round trip, so that the queue is gone in the next one.
// - After such a step it goes back to just below the rate at which the queue grew, but only once the queue is gone. With
//   somebody else on the path it is not, and the steps follow each other: three within three round trips are a burst, which the
//   gate answers.
// - Where bursts come, it stays further below that rate and hardly looks for more.
// - A queue of three targets, or one and a half where bursts come, at a rate that had none for a round trip is more than growth can have made, and somebody else's: a
//   burst, which counts as three steps. It is believed after a millisecond of samples, for buffers of a round trip are full a round trip
//   after it came, or eight where it does not grow: what a host leaves behind that stood still shrinks. That rate stays what
//   the path carries, for when the queue is gone or the gate opens again.
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
  Rate rate_known() const override { return std::max(best(), least()); }
  Duration acks_every() const override { return kTarget / 2; }
  void on_thaw(const Thaw& thaw) override;
  uint32_t backoffs(Time now, Time since) const override;

 private:
  static constexpr double kSlowed = 0.5;
  enum class Queue : uint8_t { kNone, kHalf, kFull };

  void measure(const AckSample& sample);
  void judge(const AckSample& sample);
  void back_off(Time now, Rate delivered);
  bool has_stepped(Time now) const;
  Time queued_since(Time now) const;
  bool is_known(Time now) const;
  bool is_burst(const AckSample& sample);
  bool is_raised(Time now) const;
  void give_way(Time now);
  void note_delivered(Time now);
  bool is_cautious(Time now) const { return now < cautious_until_; }
  double below_queue(Time now) const;
  void note_best(const AckSample& sample);
  bool may_look(Time now) const;
  void note_queue(Time now);
  void end_start();
  void grow(const AckSample& sample);
  void slow_down(Time now);
  Rate least() const;
  double least_step() const;
  double most_step() const;
  Rate best() const { return std::max(best_, best_before_); }

  const ControllerConfig config_;
  Rate rate_;
  Rate rate_before_;              // the last step down, for undo
  Rate ceiling_ = Rate::unlimited();  // just below the rate at which the queue grew
  Duration rtt_min_, rtt_;
  Time rtt_min_at_{};
  Duration rtt_next_min_ = Duration::max();  // of the current half of the window, to take over
  bool has_rtt_ = false;

  // The most that was delivered while there was no queue, in this time and in the one before.
  Rate best_, best_before_;
  Time best_from_{};

  // Samples in a row above all that its own growth can make.
  uint32_t high_samples_ = 0;
  Time high_since_{};
  Duration high_from_{};  // what the first of them waited

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
  bool is_free_ = false;          // a gate opened, and there was no queue since: up to the most that it carried there is room
  bool is_starting_ = true;       // nothing was ever found to be full
  bool is_draining_ = false;      // the queue that the start made is not gone yet: its steps down are no burst of others
  bool was_clear_ = true;         // since the last step down
  Time clear_at_{};               // since when, or since when it was the last time
  Time thawed_at_{}, full_at_{};  // of the latter: the queue grew
  Time cautious_until_{};         // bursts come: some of the path is left free
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
