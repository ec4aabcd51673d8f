// SPDX-License-Identifier: Apache-2.0
#include "congestion/scavenger.h"

#include <algorithm>
#include <utility>

namespace tideway::congestion {
namespace {

using namespace std::chrono_literals;

constexpr double kDecrease = 0.7;
constexpr double kDecreaseBursts = 0.85;   // from there: its own queue is small
constexpr double kBelowQueue = 0.98;       // of what is delivered while there is half a queue: it drains slowly
constexpr double kBelowBursts = 0.75;      // where bursts come: so much less of the queue is ours and full when they do
constexpr Duration kCautiousFor = 10s;     // after a burst
constexpr Duration kHoldFor = 8s;          // from one look for more of the path to the next one, where bursts come
constexpr int kLookFor = 12;               // round trips behind a gate that opened: the next burst is far
constexpr double kFull = 0.95;             // of the most that the path carried: a queue at less is no news of it
constexpr double kStep = 0.01, kStepMax = 0.25;  // of growth per round trip, near a rate known to fill the path and far from it
constexpr double kNear = 1.05;             // of that rate
constexpr double kNearBest = 0.75;         // of the most that the path carried: not all of a session's flows had that at once
constexpr double kStart = 2;               // per round trip, until the path was full once
constexpr double kAheadMax = 2.5;          // of what is delivered: pacing is not what holds us then
constexpr double kLossMax = kLossThresholdMax;  // without a queue
constexpr double kWindowGain = 1.5;
constexpr Duration kWindowSlack = 5ms;     // acks come in lumps
constexpr Duration kMinFor = 10s;          // the least round trip is looked for in so long a time, and in the one before
constexpr Duration kBestFor = 10s;
constexpr Duration kSlowEvery = 10s;
constexpr double kAfterSilence = 0.5;
constexpr int kQuarter = 4;
constexpr uint32_t kSamplesMin = 4;        // fewer are as likely a late timer as a queue, and at the least rate they are few
constexpr int kBackoffRoundTrips = 3;
constexpr Duration kBurstQueue = 3 * Scavenger::kTarget, kBurstQueueCautious = 3 * Scavenger::kTarget / 2;  // that growth cannot have made, its own or that of its session's other flows
constexpr uint32_t kBurstSamples = 3;      // and no less than kBurstSeenFor: more than one late packet
constexpr Duration kBurstSeenFor = 1ms, kBurstStaysFor = 8ms;
// Of the time that passes while acknowledgements tell. What s of the path's rate is too much adds s / (1 + s): 0.15 is a burst of three sevenths of it beside three quarters of ours.
constexpr double kBurstGrows = 0.15;
constexpr double kGiveWay = 0.25;
constexpr int kKnownAfter = 1;             // round trips without a queue
constexpr int kRaisedRoundTrips = 2;
constexpr int kAgainRoundTrips = 3;
constexpr Duration kStays = 2s;            // whose queue is there for so long is no burst

}  // namespace

Scavenger::Scavenger(const ControllerConfig& config)
    : config_(config), rate_(Rate::of(config.window_initial, config.rtt_initial)), rate_before_(rate_), rtt_min_(config.rtt_initial),
      rtt_(config.rtt_initial), step_(kStep) {
  if (config.rate_remembered != Rate()) rate_ = std::max(rate_, config.rate_remembered * 0.5);
  rate_ = std::max(rate_, least());
}

Rate Scavenger::least() const {
  return std::max(Rate::of(window_floor(config_), std::max<Duration>(rtt_min_, 1ms)), Rate::bytes_per_second(1));
}

void Scavenger::on_ack(const AckSample& sample) {
  loss_.on_acked(sample.packets_acked);
  // What we sent little of says nothing of what the path takes.
  const bool is_news = sample.limited_by == LimitedBy::kNetwork ? sample.delivery_rate != Rate() : sample.delivery_rate > delivered_;
  if (is_news) delivered_ = sample.delivery_rate;
  if (sample.ce_marked > 0) back_off(sample.now, delivered_);
  if (sample.rtt > Duration::zero()) measure(sample);
  if (slow_at_ == kNever) slow_at_ = sample.now + kSlowEvery * static_cast<int64_t>(10 + config_.seed % 3) / 10;
  slow_down(sample.now);
  if (sample.round == round_) return;
  round_ = sample.round;
  const auto lost = loss_.judge(kLossMax, queue_ == Queue::kNone ? LossRate::Queue::kNotSeen : LossRate::Queue::kSeen);
  if (lost && *lost > kLossMax) back_off(sample.now, delivered_);
}

void Scavenger::measure(const AckSample& sample) {
  rtt_ = sample.rtt_smoothed;
  if (!has_rtt_ || sample.rtt < rtt_min_) {
    rtt_min_ = sample.rtt;
    if (!has_rtt_) rtt_min_at_ = least_from_ = sample.now;
    has_rtt_ = true;
  }
  rtt_next_min_ = std::min(rtt_next_min_, sample.rtt);
  if (sample.now - rtt_min_at_ >= kMinFor) {
    rtt_min_ = rtt_next_min_;
    rtt_next_min_ = sample.rtt;
    rtt_min_at_ = sample.now;
  }
  if (is_burst(sample)) return give_way(sample.now);
  least_ = std::min(least_, sample.rtt);
  ++samples_;
  if (sample.now - least_from_ < rtt_min_ / kQuarter || samples_ < kSamplesMin) return;
  samples_ = 0;
  const Duration waits = least_ - rtt_min_;
  is_falling_ = waits < waits_ - waits_ / 16;
  waits_ = waits;
  queue_ = waits > kTarget ? Queue::kFull : waits > kTarget / 2 ? Queue::kHalf : Queue::kNone;
  least_ = Duration::max();
  least_from_ = sample.now;
  judge(sample);
}

void Scavenger::judge(const AckSample& sample) {
  // While its own last step empties the queue, another one would only waste the path.
  if (queue_ == Queue::kFull && is_falling_) return note_delivered(sample.now);
  if (queue_ == Queue::kFull) return back_off(sample.now, delivered_);
  if (queue_ == Queue::kNone) {
    if (!std::exchange(was_clear_, true)) clear_at_ = sample.now;
    is_draining_ = gives_way_ = false;
    note_best(sample);
    return grow(sample);
  }
  step_ = least_step();
  note_queue(sample.now);
  if (!was_clear_) return note_delivered(sample.now);
  if (delivered_ == Rate() || sample.limited_by == LimitedBy::kApplication || is_raised(sample.now)) return;
  end_start();
  // At so much less than the path carries it is no queue of its own, and a host that is often late would bring the rate down for good.
  if (is_cautious(sample.now) && rate_ <= best() * kNearBest) return;
  // What is left free where bursts come is left once, and not once in a round trip.
  rate_ = std::max(std::min(rate_, delivered_ * (rate_ > ceiling_ ? below_queue(sample.now) : kBelowQueue)), least());
  ceiling_ = rate_;
}

// While a queue of ours is emptied, what arrives is what the path gives us.
void Scavenger::note_delivered(Time now) {
  if (!gives_way_) ceiling_ = std::min(std::max(ceiling_, delivered_ * below_queue(now)), rate_before_);
}

void Scavenger::note_best(const AckSample& sample) {
  if (sample.now - best_from_ >= kBestFor) {
    best_before_ = std::exchange(best_, Rate());
    best_from_ = sample.now;
  }
  best_ = std::max(best_, delivered_);  // whoever held it to that: the path carries no less
}

// What arrives is still what was sent before.
bool Scavenger::is_raised(Time now) const { return raised_at_ != Time::min() && now - raised_at_ < kRaisedRoundTrips * rtt_; }

// Since when there has been more than its growth can make: the first of it may have brought about a step down.
Time Scavenger::queued_since(Time now) const { return has_stepped(now) ? backed_off_at_ : now; }
bool Scavenger::has_stepped(Time now) const { return backed_off_at_ != Time::min() && now - backed_off_at_ < rtt_; }

bool Scavenger::is_known(Time now) const {
  return !is_starting_ && !is_draining_ && !ceiling_.is_unlimited() && queued_since(now) - clear_at_ > kKnownAfter * rtt_;
}

bool Scavenger::is_burst(const AckSample& sample) {
  const Duration waits = sample.rtt - rtt_min_;
  if (waits <= (is_cautious(sample.now) ? kBurstQueueCautious : kBurstQueue)) {
    high_samples_ = 0;
    return false;
  }
  if (high_samples_++ == 0) high_since_ = sample.now, high_from_ = waits;
  const Duration seen_for = sample.now - high_since_;
  const bool grows = static_cast<double>((waits - high_from_).count()) >= kBurstGrows * static_cast<double>(seen_for.count());
  return high_samples_ >= kBurstSamples && seen_for >= (grows ? kBurstSeenFor : kBurstStaysFor) && !gives_way_ && is_known(sample.now);
}

void Scavenger::on_thaw(const Thaw& thaw) {
  thawed_at_ = thaw.now;
  rtt_min_ = std::max(rtt_min_, thaw.rtt_min);  // no queue of ours was in it: the path has become longer
  if (thaw.waits > kTarget && thaw.rested >= kStays) {  // it opens because nobody waits for ever, and less than before is left
    ceiling_ = std::max(std::min(ceiling_, best()) * kDecrease, least());
    best_ = best_before_ = ceiling_;
    return;
  }
  is_free_ = true;
  if (thaw.behind == Thaw::Behind::kBurst) cautious_until_ = thaw.now + kCautiousFor;
  // What it gave up in the last round trip before was for the burst's sake.
  if (!gives_way_ && (is_draining_ || !has_stepped(thaw.now))) return;
  if (!std::exchange(gives_way_, false)) ceiling_ = std::max(ceiling_.is_unlimited() ? Rate() : ceiling_, rate_before_ * (is_cautious(thaw.now) ? 1.0 : kBelowBursts));
  rate_ = std::max(ceiling_, least());
  raised_at_ = clear_at_ = thaw.now;
  was_clear_ = true;
}

void Scavenger::give_way(Time now) {
  const Rate carried = has_stepped(now) ? std::max(rate_, rate_before_) : rate_;
  // Right behind a gate that opened it is no burst: the path carries less than before, or somebody stays.
  const bool is_again = thawed_at_ != Time() && now - thawed_at_ < kAgainRoundTrips * rtt_;
  if (is_again) ceiling_ = carried * kDecrease;
  else ceiling_ = is_cautious(now) ? carried : std::clamp(ceiling_, carried * kBelowBursts, carried);
  rate_before_ = carried;
  rate_ = std::max(carried * kGiveWay, least());
  step_ = least_step();
  was_clear_ = false;
  gives_way_ = true;
  loss_.restart();
  backed_off_at_ = now;
  backoffs_.fill(now);
  backoffs_made_ = backoffs_.size();
}

// Of two round trips too many, until a queue is seen, no more may come than a queue that others would be blamed for.
double Scavenger::most_step() const {
  return std::clamp(static_cast<double>(kTarget.count()) / static_cast<double>(std::max<Duration>(rtt_min_, 1ms).count()), least_step(), kStepMax);
}

// Near a rate known to fill the path: so much that a round trip too many adds a quarter of the target.
double Scavenger::least_step() const {
  return std::min(kStep, static_cast<double>((kTarget / 4).count()) / static_cast<double>(std::max<Duration>(rtt_min_, 1ms).count()));
}

void Scavenger::back_off(Time now, Rate delivered) {
  if (has_stepped(now)) return note_delivered(now);
  end_start();
  note_queue(now);
  rate_before_ = rate_;
  if (delivered != Rate()) rate_ = std::min(rate_, delivered);
  if (std::exchange(was_clear_, false)) ceiling_ = (is_raised(now) ? rate_before_ : rate_) * below_queue(now);
  rate_ = std::max(rate_ * (is_cautious(now) && rate_ > best() * kNearBest ? kDecreaseBursts : kDecrease), least());
  step_ = least_step();
  loss_.restart();
  backed_off_at_ = now;
  if (!is_draining_) backoffs_[backoffs_made_++ % backoffs_.size()] = now;
}

void Scavenger::grow(const AckSample& sample) {
  if (sample.limited_by == LimitedBy::kApplication || is_slowed_ || sample.now - grown_at_ < rtt_min_) return;
  if (delivered_ != Rate() && rate_ > delivered_ * kAheadMax) return;
  grown_at_ = sample.now;
  if (is_starting_) {
    rate_ = rate_ * kStart;
    return;
  }
  if (rate_ < ceiling_ && !ceiling_.is_unlimited()) {
    rate_ = ceiling_;  // the queue is gone
    raised_at_ = sample.now;
    return;
  }
  if (is_free_ && rate_ < best() * kNearBest) {
    rate_ = std::min(rate_ + best() * most_step(), best() * kNearBest);
    return;
  }
  if (is_cautious(sample.now) && !may_look(sample.now)) return;
  const bool is_near = !ceiling_.is_unlimited() && rate_ < ceiling_ * kNear && !is_cautious(sample.now);
  rate_ = Rate::bytes_per_second((rate_ * (1 + step_)).bytes_per_second() + 1);
  step_ = is_near ? least_step() : std::min(2 * step_, most_step());
}

void Scavenger::slow_down(Time now) {
  if (is_slowed_) {
    if (now < slow_until_) return;
    is_slowed_ = false;
    slow_at_ = now + kSlowEvery;
  } else if (now >= slow_at_) {
    is_slowed_ = true;
    slow_until_ = now + rtt_;
  }
}

bool Scavenger::may_look(Time now) const { return now - thawed_at_ < kLookFor * rtt_ && now - full_at_ >= kHoldFor; }

void Scavenger::note_queue(Time now) {
  is_free_ = false;
  if (rate_ > best() * kFull) full_at_ = now;
}

double Scavenger::below_queue(Time now) const { return is_cautious(now) ? kBelowBursts : kBelowQueue; }

void Scavenger::end_start() {
  if (std::exchange(is_starting_, false)) is_draining_ = true;
}

void Scavenger::on_loss(const LossSample& sample) {
  loss_.on_lost(sample.packets_lost);
  if (sample.cause != LossCause::kProbeTimeout) return;  // a queue comes with it, or it is the path's own
  rate_before_ = rate_;
  rate_ = std::max(rate_ * kAfterSilence, least());
  is_starting_ = false;
}

void Scavenger::on_spurious_loss(Time) {
  rate_ = std::max(rate_, rate_before_);
  loss_.restart();
}

uint32_t Scavenger::backoffs(Time now, Time since) const {
  const size_t kept = std::min(backoffs_made_, backoffs_.size());
  return static_cast<uint32_t>(std::count_if(backoffs_.begin(), backoffs_.begin() + static_cast<std::ptrdiff_t>(kept),
                                             [&](Time at) { return at > since && now - at <= kBackoffRoundTrips * rtt_; }));
}

Bytes Scavenger::window() const {
  return std::max((rate_ * kWindowGain).over(rtt_min_ + kWindowSlack), window_floor(config_));
}

}  // namespace tideway::congestion
