// SPDX-License-Identifier: Apache-2.0
//
// Congestion control for paths of unknown capacity: a model of the path (its delivery rate and its shortest round trip)
// instead of a reaction to each loss, after BBR version 3 (draft-ietf-ccwg-bbr). What differs:
//
// - The loss rate is judged over at least a round and a sample that means something (loss_rate.h), and against a threshold that knows the path's
//   own loss: what is lost while cruising without a queue is there at any rate and not ours to answer.
// - The first such base may come from before that: from a round without a queue in which we did not probe, and the start still found more.
// - Until a base is known, loss ends the start only together with a queue that has grown or a rate that has not.
// - A round trip is only probed for when none near the minimum was seen for five seconds, and then by all flows at once.
// - Down takes the window to one BDP, so that a queue is gone after a round trip; flows of one session keep smaller windows
//   than a lone one, because each takes its own best moments for the path's.
// - Pacing is at the estimate, and goes under it only while even the least round trip of a round shows a queue.
// - A probe that brings more than one by a session with a fair share of a full path would is followed by the next at once: a path
//   that has doubled is found in a second or two, not in eight, and a latecomer need not wait for what the others have too much.
// - The flows of a session probe by less each, so that together they take no more from others than a lone one does.
// - While a queue stays, the estimate follows what arrives, round by round: shares that were found while others had less would
//   add up to more than the path, and stay in its queue until two more probes are over. It follows hardly while all that is sent
//   arrives, because that queue is not ours, and not at all what the application or our own caps held back.
// - The headroom left while cruising never goes under the measured BDP, because an empty pipe is what our users see.
//
// The start: the first flight leaves as packet trains, whose spread at the receiver tells the path's rate after one round
// trip (flow/train_meter.h). The flow jumps to its share of it, holds that for a round trip, and looks at what it did: a queue
// that stays, or loss, ends the start at once, at the rate that really arrived; else it goes on to Up, and if all of what that
// sent more arrives, jumps again, to twice the rate: the trains told too little. A jump puts no more on its way than a BDP of what the trains told, less than the last doubling of a plain
// start does. Without an estimate the start doubles.
//
// Startup -> Drain -> (Down -> Cruise -> Refill -> Up) repeated, and ProbeRtt from anywhere behind the start.
// Thread: net worker. Pure.
#pragma once
#include "base/random.h"
#include "congestion/ack_aggregation.h"
#include "congestion/controller_config.h"
#include "congestion/loss_rate.h"
#include <tideway/congestion_controller.h>

#include <array>
#include <optional>

namespace tideway::congestion {

class Bbr final : public CongestionController {
 public:
  enum class Phase : uint8_t { kStartup, kDrain, kDown, kCruise, kRefill, kUp, kProbeRtt };

  explicit Bbr(const ControllerConfig& config);
  void on_ack(const AckSample& sample) override;
  void on_loss(const LossSample& sample) override;
  void on_spurious_loss(Time now) override;
  Bytes window() const override { return window_; }
  Rate pacing_rate() const override { return pacing_rate_; }
  Bytes train() const override;

  Phase phase() const { return phase_; }      // for tests and traces
  double loss_base() const { return loss_base_.value_or(0); }

 private:
  struct Gains {
    double pacing, window;
  };
  // What a reaction to loss changed, so that on_spurious_loss can put it back.
  struct Undo {
    Bytes inflight_hi, inflight_lo, window;
    Rate rate_lo;
    bool ended_startup;
  };

  // The model.
  void update_rate(const AckSample& sample);
  void update_rtt(const AckSample& sample);
  Rate bandwidth() const;
  Bytes bdp(double gain) const;
  bool has_queue() const;
  bool is_queued() const;

  // The jump.
  void note_train(Rate rate);
  void follow_trains(const AckSample& sample);
  void watch_jump(const AckSample& sample);
  void watch_jump_from(Time from);
  void start_jump(const AckSample& sample);
  void end_jump(const AckSample& sample);
  void follow_probe(const AckSample& sample);
  bool is_jumping() const { return jump_ == Jump::kMade && !is_pipe_full_; }

  // Once per round.
  void end_round(const AckSample& sample);
  void judge_loss(const AckSample& sample);
  void settle_rate();
  void check_full_pipe(const AckSample& sample);

  // Reactions.
  void on_too_much_loss(const AckSample& sample);
  void remember_for_undo(bool ended_startup);

  // Phases.
  void step(const AckSample& sample);
  void step_up(const AckSample& sample);
  void step_probe_rtt(const AckSample& sample);
  void enter(Phase phase, const AckSample& sample);
  void enter_down(const AckSample& sample);
  bool is_time_to_probe(const AckSample& sample) const;
  double up_gain() const;
  double growth_of_small_share() const;

  // Outcome.
  Gains gains() const;
  Bytes window_cap() const;
  void set_pacing_rate();
  void set_window(const AckSample& sample);

  const ControllerConfig config_;
  Random random_;
  Phase phase_ = Phase::kStartup;
  Time entered_at_{};
  uint64_t entered_round_ = 0;

  // The path as measured.
  std::array<Rate, 2> rate_max_{};   // this probing cycle and the one before
  Rate rate_round_;                  // best of this round
  bool is_round_ours_ = false;       // some of its samples say what we sent, not what the path takes
  Duration rtt_min_;
  Duration rtt_round_;               // least of this round
  Duration rtt_last_round_;
  Time rtt_min_seen_at_{};           // the last sample near the minimum
  bool has_rtt_ = false;
  AckAggregation aggregation_;
  Bytes acked_round_, acked_last_round_;

  // What loss taught. Hi: found while probing, kept; lo: for now, until the next probe.
  Bytes inflight_hi_ = Bytes::max(), inflight_lo_ = Bytes::max();
  Rate rate_lo_ = Rate::unlimited();
  LossRate loss_;
  std::optional<double> loss_base_;
  Bytes inflight_at_loss_;
  bool is_probe_sample_ = false;     // what is acked or lost now was sent while probing
  bool is_marked_ = false;           // congestion experienced in this round
  std::optional<Undo> undo_;

  // Start.
  bool is_pipe_full_ = false;
  Rate rate_full_;
  uint32_t rounds_full_ = 0;
  enum class Jump : uint8_t { kNone, kMade, kHeld, kSettled, kFailed } jump_ = Jump::kNone;
  Bytes acked_start_;                // up to the first flight; probes of the path may be acked before any data leaves
  std::array<Rate, 4> trains_{};     // of the first flight, ascending
  size_t trains_counted_ = 0;
  bool follows_trains_ = true;       // until a jump was held: what leaves then is paced, and shows how
  Rate capacity_;                    // this flow's share, as packet trains tell it; zero: unknown
  Time jump_shows_from_{};           // acks show what the jump did
  Time jump_acked_from_ = kNever;    // the first of these acks
  Bytes jump_acked_;                 // since then
  Time jump_queued_from_ = kNever;   // each of them has shown a queue
  uint64_t jump_packets_acked_ = 0, jump_packets_lost_ = 0;
  uint64_t jump_round_ = 0;          // whose acks show what the probe behind the jump did

  // Probing.
  uint64_t round_ = 0;
  Duration probe_wait_{};
  uint64_t probe_wait_rounds_ = 0;
  Time probed_at_{};
  uint64_t probed_round_ = 0;
  uint32_t rounds_up_ = 0;
  bool is_cycle_counted_ = true;     // rate_max_ moved on for the last probe
  Rate rate_probed_from_;            // what the model said before it
  Rate rate_found_;                  // and after it, or after the start
  bool is_share_small_ = false;      // of the path, or the path is larger than the last probe could show
  bool probes_again_ = false;        // at once
  Duration rtt_probed_{};            // least during ProbeRtt
  Time probe_rtt_done_at_ = kNever;
  uint64_t probe_rtt_round_ = 0;
  int64_t rtt_probe_slot_ = 0;       // of the grid on which round trips are probed
  Bytes window_before_probe_rtt_;

  Bytes window_;
  Rate pacing_rate_;
};

}  // namespace tideway::congestion
