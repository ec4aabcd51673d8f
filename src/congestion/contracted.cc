// SPDX-License-Identifier: Apache-2.0
#include "congestion/contracted.h"

#include <algorithm>

namespace tideway::congestion {
namespace {

using namespace std::chrono_literals;

constexpr double kDecrease = 0.85;
constexpr double kFloor = 0.1;            // of the contract: below it, the contract is broken and not the path congested
constexpr double kLossStays = 0.8;         // of the loss before a step down, after it: then the step was no remedy
constexpr double kIncrease = 0.02;        // of the contract per step
constexpr Duration kIncreaseEvery = 100ms;  // or an RTT, if longer
constexpr Duration kQueueMax = 25ms;      // a policer's or switch's buffer may be used, up to here
constexpr uint32_t kQueueRounds = 3;      // that the queue must last
constexpr double kWindowGain = 1.25;

}  // namespace

Contracted::Contracted(const ControllerConfig& config)
    : config_(config), contract_(config.rate_contracted * (1.0 / std::max(config.flows, 1U))), rate_(contract_),
      rate_before_(contract_), rtt_(config.rtt_initial), rtt_min_(config.rtt_initial) {
  TIDEWAY_CHECK(contract_ > Rate() && !contract_.is_unlimited());
}

void Contracted::on_ack(const AckSample& sample) {
  if (sample.rtt.count() > 0) {
    rtt_ = sample.rtt_smoothed;
    rtt_min_ = sample.rtt_min;
  }
  loss_.on_acked(sample.packets_acked);
  is_marked_ |= sample.ce_marked > 0;
  if (sample.round != round_) {
    round_ = sample.round;
    end_round(sample);
  }
}

void Contracted::on_loss(const LossSample& sample) {
  loss_.on_lost(sample.packets_lost);
  if (sample.cause == LossCause::kProbeTimeout) back_off(sample.now);
}

void Contracted::end_round(const AckSample& sample) {
  rounds_queued_ = rtt_ > rtt_min_ + kQueueMax ? rounds_queued_ + 1 : 0;
  if (is_lossy() || is_marked_ || rounds_queued_ >= kQueueRounds) {
    back_off(sample.now);
  } else {
    climb(sample.now);
  }
  is_marked_ = false;
}

// A policer's loss falls steeply with the rate. Loss that does not is the path's own: it becomes the base, and going down
// further would only waste the contract.
bool Contracted::is_lossy() {
  const double threshold = loss_threshold(loss_base_);
  const auto rate = loss_.judge(threshold, rounds_queued_ > 0 ? LossRate::Queue::kSeen : LossRate::Queue::kNotSeen);
  if (!rate || *rate <= threshold) return false;
  if (loss_answered_ > 0 && *rate >= loss_answered_ * kLossStays) loss_base_ = std::max(loss_base_, *rate);
  loss_answered_ = *rate;
  return *rate > loss_threshold(loss_base_);
}

void Contracted::back_off(Time now) {
  rate_before_ = rate_;
  rate_ = std::max(rate_ * kDecrease, std::max(contract_ * kFloor, Rate::bytes_per_second(1)));
  rounds_queued_ = 0;
  loss_.restart();
  changed_at_ = now;
}

void Contracted::climb(Time now) {
  if (rate_ >= contract_ || now - changed_at_ < std::max(rtt_, kIncreaseEvery)) return;
  const uint64_t step = (contract_ * kIncrease).bytes_per_second() + 1;
  rate_ = std::min(contract_, Rate::bytes_per_second(rate_.bytes_per_second() + step));
  changed_at_ = now;
}

void Contracted::on_spurious_loss(Time) {
  rate_ = std::max(rate_, rate_before_);
  loss_.restart();
}

Bytes Contracted::window() const {
  return std::max((rate_ * kWindowGain).over(rtt_ + kQueueMax), window_floor(config_));
}

}  // namespace tideway::congestion
