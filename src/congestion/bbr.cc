// SPDX-License-Identifier: Apache-2.0
#include "congestion/bbr.h"

#include <algorithm>
#include <utility>

namespace tideway::congestion {
namespace {

using namespace std::chrono_literals;

constexpr double kStartupGain = 2.77;       // 4 ln 2: the least that doubles the rate each round
constexpr double kDrainGain = 0.5, kDownGain = 0.9, kUpGain = 1.25;
constexpr double kWindowGain = 2, kWindowGainShared = 1.25, kWindowGainQueued = 1.1, kUpWindowGain = 2.25, kDownWindowGain = 1, kProbeRttWindowGain = 0.5;
// What the path loses by itself is sent on top, or a path that loses 3 % carries 3 % less than it could. Not all of it: if
// the loss was ours after all, it then falls from sample to sample.
constexpr double kLossMadeUp = 0.75, kLossMadeUpMax = 0.03;
constexpr double kDrainingGain = 0.98;      // of the estimate while a queue shows, so that it drains by itself
constexpr double kHeadroom = 0.85;          // of inflight_hi, left for others while cruising
constexpr double kBeta = 0.7;

constexpr double kFullPipeGrowth = 1.25;    // a round that grew less did not find more
constexpr uint32_t kFullPipeRounds = 3;
constexpr double kAsMuchAsEver = 0.75;      // of the best rate of the start: a queue met with less is that of others
constexpr double kLossBaseWeight = 0.25;    // of a new sample
constexpr uint64_t kStartupLossMin = 6;     // packets; fewer may be one accident

constexpr Bytes kTrain = 64_KiB;            // of the first flight: a burst that the pacer may send at higher rates anyway
constexpr Bytes kTrainAgain = 256_KiB;      // of later flights, while no train has told anything
constexpr uint64_t kTrainWindowPart = 2;    // of which a train is one part at most
constexpr uint64_t kTrainPacketsMin = 16;   // shorter ones say more about clocks than about the path
constexpr Duration kTrainRttMin = 5ms;      // doubling is as quick on shorter paths, and there the first flight is a large part of a BDP
constexpr double kJumpMin = 1.5;            // times the rate there is; less is no jump
constexpr double kJumpWindow = 1.1;         // of the BDP of the estimate: acks come late, too
constexpr uint64_t kJumpSample = 256;       // packets, after which loss may end it; a burst of losses is a large part of fewer
constexpr double kJumpLossMax = 0.12;       // no path that is of use loses so much by itself
constexpr Duration kJumpMeasure = 1ms;      // over less, the rate at which acks come says nothing
constexpr int kJumpQueuePart = 16;          // of the shortest round trip: a queue that is seen for less was a host that was late
constexpr double kJumpAgainGrowth = 1.18;   // of the rate, from probing a quarter more behind a jump: the trains told too little
constexpr double kJumpAgain = 2;            // times the rate there is

constexpr Duration kProbeWaitMin = 2s, kProbeWaitSpread = 1s;
constexpr uint64_t kProbeRoundsMin = 62;    // as often as Reno would, so that we do not starve it on short paths
constexpr double kSmallShare = 0.4;         // of a full path: a session with less probes again at once
constexpr double kRoomGrowth = 0.9;         // one of several flows does so when its probe brought this part of what it asked for
constexpr double kFairShare = 0.5;          // with which probes of one flow and of several bring a session the same
constexpr double kSettle = 0.99;            // of the estimate per round: quick enough for a queue, too slow for noise
constexpr double kSettledMin = 0.92;        // of what the last probe found, while all that we send arrives
constexpr uint32_t kUpRoundsMax = 10;       // an idle application never fills the pipe; do not wait for it

constexpr Duration kRttProbeEvery = 5s;     // without a sample near the minimum
constexpr Duration kRttMinFor = 10s;        // then even the least that a probe saw is the new minimum
constexpr Duration kRttTolerance = 100us;   // of wake-ups and batching; or 1/64, if more
constexpr Duration kProbeRttTime = 200ms;
constexpr Duration kQueueTolerance = 1ms;   // less is jitter
constexpr Duration kQueueSeen = 500us;      // the least round trip of a round was longer by so much: a queue that stays
constexpr int kQueueSeenPart = 64;          // or by this part of the shortest, if more

constexpr Bytes kQuantumMax = 64_KiB;       // a burst the pacer may send at once

}  // namespace

Bbr::Bbr(const ControllerConfig& config)
    : config_(config), random_(config.seed), rtt_min_(config.rtt_initial), rtt_round_(Duration::max()),
      rtt_last_round_(config.rtt_initial), window_(std::max(config.window_initial, window_floor(config))) {
  TIDEWAY_CHECK(config.rtt_initial.count() > 0 && config.packet_size.count() > 0);
  pacing_rate_ = Rate::of(window_, config.rtt_initial) * kStartupGain;
  // A path that is known starts at half of what it had (draft-ietf-tsvwg-careful-resume).
  if (config.rate_remembered > Rate()) {
    const Rate half = config.rate_remembered * 0.5;
    pacing_rate_ = std::max(pacing_rate_, half);
    window_ = std::max(window_, half.over(config.rtt_initial));
  }
  pacing_rate_ = std::max(pacing_rate_, Rate::bytes_per_second(1));
}

// A receiver that looks at its port too seldom for the trains of the first flight is sent longer ones in those that follow. Once a jump is made
// there is nothing more to learn, and what leaves in trains has to wait for those of the lane's other flows.
Bytes Bbr::train() const {
  const bool is_first_flight = acked_start_ < config_.window_initial;
  const bool tries_again = phase_ == Phase::kStartup && !is_pipe_full_;
  if (jump_ != Jump::kNone || (!is_first_flight && !tries_again)) return Bytes();
  const Bytes size = is_first_flight ? std::min(kTrain, config_.window_initial) : std::min(kTrainAgain, window_ / kTrainWindowPart);
  const bool is_of_use = config_.rtt_initial >= kTrainRttMin && size >= config_.packet_size * kTrainPacketsMin;
  return is_of_use ? size : Bytes();
}

void Bbr::on_ack(const AckSample& sample) {
  if (entered_at_ == Time()) {  // the first sample starts our clocks
    entered_at_ = probed_at_ = rtt_min_seen_at_ = sample.now;
    round_ = entered_round_ = probed_round_ = sample.round;
  }
  update_rate(sample);
  update_rtt(sample);
  loss_.on_acked(sample.packets_acked);
  is_marked_ |= sample.ce_marked > 0;
  acked_round_ += sample.acked;
  if (acked_start_ < config_.window_initial) acked_start_ += sample.acked;
  if (sample.round != round_) end_round(sample);
  if (phase_ == Phase::kStartup && !is_pipe_full_) follow_trains(sample);
  step(sample);
  set_pacing_rate();
  set_window(sample);
}

void Bbr::on_loss(const LossSample& sample) {
  loss_.on_lost(sample.packets_lost);
  jump_packets_lost_ += sample.packets_lost;
  inflight_at_loss_ = sample.in_flight_before;
  if (sample.cause == LossCause::kProbeTimeout) {
    // Nothing comes back at all: start small, and grow with what is acked up to what the model says.
    remember_for_undo(false);
    window_ = std::max(sample.in_flight + config_.packet_size, window_floor(config_));
    if (is_jumping()) jump_ = Jump::kFailed;
    loss_.restart();
    return;
  }
  const bool is_much = loss_.share_of_least(kJumpSample) > kJumpLossMax;
  if (!is_pipe_full_ && is_much && config_.rate_remembered > Rate() && window_ > config_.window_initial && rate_full_ == Rate()) {
    // The path is not what it was; one that loses a little by itself may be.
    window_ = std::max(config_.window_initial, window_floor(config_));
    pacing_rate_ = std::max(Rate::of(window_, rtt_min_), Rate::bytes_per_second(1));
  }
}

void Bbr::on_spurious_loss(Time) {
  loss_.restart();
  if (!undo_) return;
  inflight_hi_ = std::max(inflight_hi_, undo_->inflight_hi);
  inflight_lo_ = std::max(inflight_lo_, undo_->inflight_lo);
  rate_lo_ = std::max(rate_lo_, undo_->rate_lo);
  window_ = std::max(window_, undo_->window);
  if (undo_->ended_startup && phase_ != Phase::kStartup) {
    phase_ = Phase::kStartup;
    is_pipe_full_ = false;
    rounds_full_ = 0;
  }
  undo_.reset();
}

void Bbr::update_rate(const AckSample& sample) {
  const bool is_ours = sample.limited_by == LimitedBy::kApplication;  // then it says what we sent, not what the path takes
  if (!is_ours || sample.delivery_rate >= std::max(rate_max_[0], rate_max_[1]))
    rate_max_[0] = std::max(rate_max_[0], sample.delivery_rate);
  rate_round_ = std::max(rate_round_, sample.delivery_rate);
  is_round_ours_ |= is_ours;
  aggregation_.on_ack(sample.now, sample.acked, bandwidth());
}

void Bbr::update_rtt(const AckSample& sample) {
  if (sample.rtt.count() <= 0) return;
  rtt_round_ = std::min(rtt_round_, sample.rtt);
  rtt_probed_ = std::min(rtt_probed_, sample.rtt);
  // The first sample replaces the guess of the control channel, whatever it is.
  if (!has_rtt_ || sample.rtt <= rtt_min_ + std::max(rtt_min_ / 64, kRttTolerance)) rtt_min_seen_at_ = sample.now;
  rtt_min_ = has_rtt_ ? std::min(rtt_min_, sample.rtt) : sample.rtt;
  has_rtt_ = true;
}

Rate Bbr::bandwidth() const { return std::min(std::max(rate_max_[0], rate_max_[1]), rate_lo_); }

Bytes Bbr::bdp(double gain) const {
  const Rate rate = bandwidth();
  return rate == Rate() ? config_.window_initial : (rate * gain).over(rtt_min_);
}

// A quarter of the path's own delay. Packets of the last round met at least this much.
bool Bbr::has_queue() const { return rtt_last_round_ > rtt_min_ + std::max(rtt_min_ / 4, kQueueTolerance); }

// Even its luckiest packet waited: somebody's queue stays.
bool Bbr::is_queued() const { return rtt_last_round_ > rtt_min_ + std::max(rtt_min_ / kQueueSeenPart, kQueueSeen); }

void Bbr::end_round(const AckSample& sample) {
  round_ = sample.round;
  rtt_last_round_ = rtt_round_ == Duration::max() ? rtt_last_round_ : rtt_round_;
  acked_last_round_ = acked_round_;
  aggregation_.on_round();
  if (jump_ == Jump::kNone) trains_counted_ = 0;  // each flight tells by itself: hosts that were late once made trains look slow
  // What was counted when a jump failed may be less than what the path gave it, as more of it arrives.
  if (jump_ == Jump::kFailed) inflight_hi_ = std::max(inflight_hi_, bdp(1));
  check_full_pipe(sample);
  judge_loss(sample);
  if (jump_ == Jump::kHeld && round_ > jump_round_) follow_probe(sample);
  // The samples of an Up phase are all in one round after its end; then the cycle before the last may be forgotten.
  if (!is_cycle_counted_ && phase_ != Phase::kUp && phase_ != Phase::kRefill && round_ > entered_round_ + 1) {
    // A probe that had nothing to send found nothing out.
    if (sample.limited_by == LimitedBy::kNetwork) {
      rate_max_ = {Rate(), std::max(rate_max_[0], rate_round_)};
      rate_found_ = rate_max_[1];
      is_share_small_ = rate_max_[1] >= rate_probed_from_ * growth_of_small_share();
      probes_again_ = is_share_small_ && is_probe_sample_ && (config_.flows == 1 || !is_queued());
    }
    is_cycle_counted_ = true;
    is_probe_sample_ = false;
    loss_.restart();
  }
  settle_rate();
  rate_round_ = Rate();
  is_round_ours_ = false;
  rtt_round_ = Duration::max();
  acked_round_ = Bytes();
  is_marked_ = false;
}

// The path is full, and this is what it gives us: what we once had and no longer get only feeds the queue. Who has a small share
// keeps what it found until its next probe, or those with a larger one would take it back.
//
// While all that we send arrives, we do not feed that queue: it is that of others, or none at all but a path that got longer. As we
// pace under the estimate because of it, what arrives would take the estimate down for ever. So we make some room, and wait for the next probe.
void Bbr::settle_rate() {
  if (phase_ != Phase::kCruise || !is_cycle_counted_ || is_share_small_ || !is_queued()) return;
  if (is_round_ours_ || rate_round_ == Rate()) return;
  const bool all_arrives = rate_round_ >= bandwidth() * (kDrainingGain * kSettle * (1 - loss_base()));
  if (all_arrives && bandwidth() <= rate_found_ * kSettledMin) return;
  for (Rate& rate : rate_max_) rate = std::min(rate, std::max(rate_round_, rate * kSettle));
}

// The flows of a session probe one after the other, each with its small share against all the rest, which yields the more to a
// flow the less it has: with the gain of a lone flow, N of them would take nearly N times as much from others. So each asks for
// what brings it as much, in relation to what it has, as a lone flow with kFairShare of the path.
double Bbr::up_gain() const {
  if (jump_ == Jump::kHeld) return kUpGain;  // at the start all flows of a session probe together, as one
  const double growth = kUpGain / (1 + (kUpGain - 1) * kFairShare);
  const double part = kFairShare / std::max(config_.flows, 1U);
  return growth * (1 - part) / (1 - growth * part);
}

// What a probe brings a flow whose session has kSmallShare of a full path: with share s of it and sending g times as much, it gets
// g / (1 + (g - 1) s) times as much. On a path with room it gets all of g. For one of many flows the two are closer than samples
// are exact, so there most of the growth will do; a queue then tells whether the path has room (end_round).
double Bbr::growth_of_small_share() const {
  const double gain = up_gain();
  if (config_.flows > 1) return 1 + (gain - 1) * kRoomGrowth;
  return gain / (1 + (gain - 1) * kSmallShare);
}

// ---- the jump ------------------------------------------------------------------------------------------------------

// Of two trains the slower one counts, of three the middle one: what makes a train look faster than the path is worse than
// what makes it look slower.
void Bbr::note_train(Rate rate) {
  const Rate share = rate * (1.0 / std::max(config_.flows, 1U));
  if (trains_counted_ == trains_.size()) return;
  size_t at = trains_counted_++;
  for (; at > 0 && trains_[at - 1] > share; --at) trains_[at] = trains_[at - 1];
  trains_[at] = share;
  capacity_ = trains_[(trains_counted_ - 1) / 2];
}

void Bbr::follow_trains(const AckSample& sample) {
  if (follows_trains_ && sample.train_rate > Rate() && (jump_ == Jump::kNone || sample.now < jump_shows_from_)) {
    note_train(sample.train_rate);
    if (jump_ == Jump::kNone && capacity_ >= pacing_rate_ * kJumpMin) {
      start_jump(sample);
    }
  }
  if (!is_jumping() || sample.now < jump_shows_from_) return;
  const bool is_seen = jump_packets_acked_ > 0 && sample.now - jump_acked_from_ >= rtt_min_;
  if (!is_seen) watch_jump(sample);
  else if (sample.limited_by == LimitedBy::kApplication) watch_jump_from(sample.now);  // it was not made use of yet
  else end_jump(sample);
}

void Bbr::start_jump(const AckSample& sample) {
  jump_ = Jump::kMade;
  watch_jump_from(sample.now + rtt_min_);
}

// What came before says nothing of it: with what left before the jump, or with the pauses of an application, it would look like a much slower path.
void Bbr::watch_jump_from(Time from) {
  jump_shows_from_ = from;
  jump_acked_from_ = kNever;
  jump_queued_from_ = kNever;
  jump_acked_ = Bytes();
  jump_packets_acked_ = 0;
}

// During the round trip that shows it. What was lost before belongs to the first flight.
void Bbr::watch_jump(const AckSample& sample) {
  if (jump_acked_from_ == kNever) {
    jump_acked_from_ = sample.now;
    jump_packets_lost_ = 0;
    return;
  }
  jump_acked_ += sample.acked;
  jump_packets_acked_ += sample.packets_acked;
  const uint64_t packets = jump_packets_acked_ + jump_packets_lost_;
  const bool is_lossy = packets >= kJumpSample &&
                        static_cast<double>(jump_packets_lost_) > kJumpLossMax * static_cast<double>(packets);
  const bool is_queued = sample.rtt > rtt_min_ + std::max(rtt_min_ / 4, kQueueTolerance);
  if (sample.rtt.count() > 0) jump_queued_from_ = is_queued ? std::min(jump_queued_from_, sample.now) : kNever;
  const bool is_queue_ours = jump_queued_from_ != kNever && sample.now - jump_queued_from_ >= rtt_min_ / kJumpQueuePart;
  if (!is_lossy && !is_queue_ours && !is_marked_) return;
  if (sample.now - jump_acked_from_ < kJumpMeasure) return;
  remember_for_undo(true);
  jump_ = Jump::kFailed;
  is_pipe_full_ = true;
  // No more than what was sent: behind a host that stood still, acks come faster.
  rate_max_ = {std::min(Rate::of(jump_acked_, sample.now - jump_acked_from_), capacity_), Rate()};
  inflight_hi_ = std::max(bdp(1), window_floor(config_));
}

void Bbr::end_jump(const AckSample& sample) {
  jump_ = Jump::kHeld;
  follows_trains_ = false;
  jump_round_ = sample.round + 1;  // shows what Up did in this one
  is_pipe_full_ = true;
  // What left at this rate arrived, but for what was lost on the way, and at once; the samples may not show all of it yet.
  const uint64_t packets = jump_packets_acked_ + jump_packets_lost_;
  const double arrived = packets < kJumpSample ? 1 : static_cast<double>(jump_packets_acked_) / static_cast<double>(packets);
  rate_full_ = std::max(bandwidth(), capacity_ * arrived);
  enter(Phase::kRefill, sample);
  enter(Phase::kUp, sample);
}

// Up was over before its own acks came. If all that it sent more arrived, and at once, the trains told too little, and the next
// probe would be seconds away.
void Bbr::follow_probe(const AckSample& sample) {
  jump_ = Jump::kSettled;
  const bool has_grown = rate_round_ >= rate_full_ * kJumpAgainGrowth;
  if (!has_grown || is_queued() || is_marked_ || sample.limited_by == LimitedBy::kApplication) return;
  capacity_ = rate_round_ * kJumpAgain;
  is_pipe_full_ = false;
  enter(Phase::kStartup, sample);
  start_jump(sample);
}

void Bbr::check_full_pipe(const AckSample& sample) {
  if (is_pipe_full_ || is_jumping()) return;
  // Such a round tells what we had to send, or our share; unless it met a queue though we sent about as much as ever.
  const bool is_queue_ours = has_queue() && rate_round_ * kStartupGain >= pacing_rate_ * kAsMuchAsEver;
  if (sample.limited_by == LimitedBy::kApplication && !is_queue_ours) return;
  const Rate best = std::max(rate_max_[0], rate_max_[1]);
  if (best >= rate_full_ * kFullPipeGrowth) {
    rate_full_ = best;
    rounds_full_ = 0;
  } else {
    ++rounds_full_;
  }
  if (rounds_full_ >= kFullPipeRounds) is_pipe_full_ = true;
}

void Bbr::judge_loss(const AckSample& sample) {
  const double threshold = loss_threshold(loss_base());
  const uint64_t lost = loss_.lost();
  const auto rate = loss_.judge(threshold, has_queue() ? LossRate::Queue::kSeen : LossRate::Queue::kNotSeen);
  const bool is_high = rate && *rate > threshold;
  if (rate && phase_ == Phase::kCruise && is_cycle_counted_ && !has_queue()) {
    const double base = loss_base_.value_or(*rate);
    loss_base_ = base + kLossBaseWeight * (*rate - base);
    if (*rate <= loss_threshold(*loss_base_)) return;
  }
  // Until there is a base, what is lost while the path shows no queue is one. To answer it would hold a lossy path for seconds at what was
  // on its way when it was judged first.
  // Not what our own probing lost, or a start that no longer finds more: a shallow queue overflows within a round, of which the least round
  // trip shows nothing.
  const bool is_probing = phase_ == Phase::kUp || phase_ == Phase::kRefill || is_probe_sample_ || rounds_full_ > 0;
  if (rate && !loss_base_ && *rate <= kLossThresholdMax && !is_probing && !is_queued() && !has_queue() && !is_marked_) {
    loss_base_ = *rate;
    return;
  }
  if (phase_ == Phase::kStartup) {
    const bool is_ours = is_marked_ || has_queue() || rounds_full_ > 0;
    if (!is_pipe_full_ && !is_jumping() && is_ours && ((is_high && lost >= kStartupLossMin) || is_marked_)) on_too_much_loss(sample);
  } else if (is_high || is_marked_) {
    on_too_much_loss(sample);
  }
}

void Bbr::on_too_much_loss(const AckSample& sample) {
  remember_for_undo(phase_ == Phase::kStartup);
  if (phase_ == Phase::kStartup) {
    is_pipe_full_ = true;
    inflight_hi_ = std::max(bdp(1), acked_last_round_);
    return;
  }
  if (phase_ == Phase::kUp || phase_ == Phase::kRefill || is_probe_sample_) {
    inflight_hi_ = std::max(std::min(inflight_at_loss_, inflight_hi_), bdp(kBeta));
    is_probe_sample_ = false;  // one answer per probe
    if (phase_ == Phase::kUp || phase_ == Phase::kRefill) enter_down(sample);
    return;
  }
  if (!is_cycle_counted_) return;  // the rest of what the probe lost
  // Not our probing: somebody else came, or the path got worse. Go down for now, but not under what still arrives.
  const Rate rate = std::max(rate_max_[0], rate_max_[1]);
  rate_lo_ = std::max(rate_round_, (rate_lo_.is_unlimited() ? rate : rate_lo_) * kBeta);
  const Bytes inflight = inflight_lo_ == Bytes::max() ? window_ : inflight_lo_;
  inflight_lo_ = std::max(acked_last_round_, Bytes(static_cast<uint64_t>(static_cast<double>(inflight.count()) * kBeta)));
}

void Bbr::remember_for_undo(bool ended_startup) {
  undo_ = Undo{inflight_hi_, inflight_lo_, window_, rate_lo_, ended_startup};
}

void Bbr::step(const AckSample& sample) {
  // On a grid of the host's clock, not of this flow's: the flows of a session share the path, and only when all of them
  // leave it at the same time does one of them see it empty.
  const auto grid = sample.now.time_since_epoch() / kRttProbeEvery;
  const bool is_new_slot = std::exchange(rtt_probe_slot_, grid) != grid;
  const bool may_probe = is_new_slot && phase_ != Phase::kProbeRtt && phase_ != Phase::kStartup;
  if (may_probe && sample.now - rtt_min_seen_at_ > kRttProbeEvery) {
    enter(Phase::kProbeRtt, sample);
    window_before_probe_rtt_ = window_;
    rtt_probed_ = Duration::max();
    probe_rtt_done_at_ = kNever;
  }
  switch (phase_) {
    case Phase::kStartup:
      if (is_pipe_full_) enter(Phase::kDrain, sample);
      break;
    case Phase::kDrain:
      if (sample.in_flight <= bdp(1)) enter_down(sample);
      break;
    case Phase::kDown:
      if (is_time_to_probe(sample)) enter(Phase::kRefill, sample);
      else if (sample.in_flight <= std::min(bdp(1), window_cap())) enter(Phase::kCruise, sample);
      break;
    case Phase::kCruise:
      if (probes_again_ || is_time_to_probe(sample)) enter(Phase::kRefill, sample);
      break;
    case Phase::kRefill:
      if (sample.round > entered_round_) enter(Phase::kUp, sample);
      break;
    case Phase::kUp: step_up(sample); break;
    case Phase::kProbeRtt: step_probe_rtt(sample); break;
  }
}

// Up ends when the pipe holds a quarter more than the model says it takes, after a round in which that could show. While
// more than expected arrives, the model grows along and the phase goes on.
void Bbr::step_up(const AckSample& sample) {
  const Bytes in_flight = sample.in_flight + sample.acked;
  const auto rounds = static_cast<uint32_t>(sample.round - entered_round_);
  if (inflight_hi_ != Bytes::max() && in_flight + config_.packet_size * 3 >= inflight_hi_ && rounds >= rounds_up_) {
    // The limit itself is what holds us: raise it, faster each round, a session's flows together as one would.
    rounds_up_ = rounds + 1;
    const uint64_t step = (inflight_hi_.count() >> std::max(1, 5 - static_cast<int>(rounds))) / std::max(config_.flows, 1U);
    inflight_hi_ += std::max(Bytes(step), config_.packet_size);
  }
  if (rounds >= kUpRoundsMax || (rounds >= 1 && in_flight > bdp(up_gain()))) enter_down(sample);
}

void Bbr::step_probe_rtt(const AckSample& sample) {
  if (probe_rtt_done_at_ == kNever) {
    if (sample.in_flight > std::max(bdp(kProbeRttWindowGain), window_floor(config_))) return;
    probe_rtt_done_at_ = sample.now + kProbeRttTime;
    probe_rtt_round_ = sample.round + 1;
    return;
  }
  if (sample.now < probe_rtt_done_at_ || sample.round <= probe_rtt_round_) return;
  if (rtt_probed_ != Duration::max() && sample.now - rtt_min_seen_at_ > kRttMinFor) {
    rtt_min_ = rtt_probed_;  // the path is another one by now
    rtt_min_seen_at_ = sample.now;
  }
  window_ = std::max(window_, window_before_probe_rtt_);
  enter(Phase::kCruise, sample);
}

void Bbr::enter(Phase phase, const AckSample& sample) {
  phase_ = phase;
  entered_at_ = sample.now;
  entered_round_ = sample.round;
  switch (phase) {
    case Phase::kRefill:  // a fresh look: what was only for now is over
      if (jump_ == Jump::kFailed) jump_ = Jump::kSettled;
      inflight_lo_ = Bytes::max();
      rate_lo_ = Rate::unlimited();
      rate_probed_from_ = bandwidth();
      probes_again_ = false;
      loss_.restart();
      is_probe_sample_ = true;
      is_cycle_counted_ = false;
      break;
    case Phase::kUp: rounds_up_ = 1; break;
    case Phase::kCruise:
      if (!is_probe_sample_) loss_.restart();
      break;
    default: break;
  }
}

void Bbr::enter_down(const AckSample& sample) {
  enter(Phase::kDown, sample);
  rate_found_ = bandwidth();
  probed_at_ = sample.now;
  probed_round_ = sample.round;
  probe_wait_ = kProbeWaitMin + Duration(static_cast<int64_t>(random_.below(static_cast<uint64_t>(kProbeWaitSpread / 1ns))));
  probe_wait_rounds_ = kProbeRoundsMin + random_.below(2);
}

bool Bbr::is_time_to_probe(const AckSample& sample) const {
  const uint64_t reno_rounds = std::min(probe_wait_rounds_, bdp(1).count() / config_.packet_size.count() + 1);
  return sample.now - probed_at_ >= probe_wait_ || sample.round - probed_round_ >= std::max(reno_rounds, kProbeRoundsMin);
}

Bbr::Gains Bbr::gains() const {
  // The flows of a session each see their own best moments, so together they think the path larger than it is, and
  // twice its BDP each would be one BDP of standing queue. What one of them wastes by a smaller window the others use. And
  // while a queue stays, whoever made it, all go closer to their BDP: shares of a queue that windows fill never even out.
  const double alone = config_.flows > 1 ? kWindowGainShared : kWindowGain;
  const double steady = is_queued() ? kWindowGainQueued : alone;
  switch (phase_) {
    case Phase::kStartup: return {kStartupGain, kWindowGain};
    case Phase::kDrain: return {kDrainGain, kWindowGain};
    case Phase::kDown: return {kDownGain, kDownWindowGain};
    case Phase::kUp: return {up_gain(), kUpWindowGain};
    case Phase::kCruise:
    case Phase::kRefill: return {1, steady};
    case Phase::kProbeRtt: return {1, kProbeRttWindowGain};
  }
  return {1, kWindowGain};
}

Bytes Bbr::window_cap() const {
  Bytes cap = inflight_lo_;
  if (inflight_hi_ != Bytes::max()) {
    const auto below = Bytes(static_cast<uint64_t>(static_cast<double>(inflight_hi_.count()) * kHeadroom));
    const bool leaves_headroom = phase_ == Phase::kCruise || phase_ == Phase::kDown || phase_ == Phase::kProbeRtt;
    cap = std::min(cap, leaves_headroom ? std::max(below, std::min(inflight_hi_, bdp(1))) : inflight_hi_);
  }
  return cap;
}

void Bbr::set_pacing_rate() {
  double gain = gains().pacing;
  if (is_queued()) gain *= kDrainingGain;
  else if (phase_ == Phase::kCruise) gain *= 1 + kLossMadeUp * std::min(loss_base(), kLossMadeUpMax);
  const Rate rate = bandwidth() * gain;
  if (rate == Rate()) return;
  if (is_jumping()) {
    pacing_rate_ = std::max(capacity_, Rate::bytes_per_second(1));
    return;
  }
  // During the start an early sample, taken over the first half of a flight, would slow us down.
  pacing_rate_ = is_pipe_full_ ? rate : std::max(pacing_rate_, rate);
}

void Bbr::set_window(const AckSample& sample) {
  const Bytes quantum = std::min(kQuantumMax, std::max(config_.packet_size, pacing_rate_.over(1ms)));
  Bytes target = bdp(gains().window);
  const bool drains = phase_ == Phase::kProbeRtt || phase_ == Phase::kDown;  // what is meant to become empty gets no extras
  if (!drains) target += quantum * 3 + aggregation_.extra(bandwidth());
  if (is_pipe_full_) {
    window_ = std::min(window_ + sample.acked, target);
  } else if (is_jumping()) {
    window_ = (capacity_ * kJumpWindow).over(rtt_min_) + quantum * 3 + aggregation_.extra(capacity_);
  } else {
    // The rate estimate lags by up to a round. While no queue shows, what one round delivered is the better base.
    if (!has_queue()) target = std::max({target, acked_last_round_ * 2, config_.window_initial * 2});
    if (window_ < target) window_ = std::min(window_ + sample.acked, target);
  }
  window_ = std::max(std::min(window_, window_cap()), window_floor(config_));
}

}  // namespace tideway::congestion
