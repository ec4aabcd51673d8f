// SPDX-License-Identifier: Apache-2.0
#include "flow/pacer.h"

#include <algorithm>

namespace tideway::flow {

Pacer::Pacer(Time start) : rate_(Rate::unlimited()), filled_at_(start) {}

void Pacer::on_rate(Time now, Rate rate, Bytes packet, Bytes train) {
  const bool is_first = bucket_ == Bytes();
  if (!is_first && rate == rate_ && packet == packet_ && train == train_) return;
  fill(now);
  rate_ = rate;
  packet_ = packet;
  train_ = train;
  const Bytes smooth = std::min({kQuantumMax, packet * kQuantumPackets, rate.over(kQuantumTime)});
  quantum_ = std::max({packet, smooth, std::min(train, kTrainMax)});
  size_bucket();
  tokens_ = is_first || rate.is_unlimited() ? bucket_ : std::min(tokens_, bucket_);
}

void Pacer::size_bucket() {
  const Bytes held = std::max(kQuantumMax, rate_.over(2 * kWakeLatencyFast));
  const Bytes late = std::min(rate_.over(2 * wake_latency_), held);
  bucket_ = late >= Bytes::max() - quantum_ ? Bytes::max() : quantum_ + late;
}

void Pacer::on_wake(Time now) {
  const Time wanted = next_send();
  const bool is_late = waits_ && now > wanted;
  waits_ = waits_ && now < wanted;
  if (is_late) {
    const Duration late = std::min(now - wanted, kWakeLatencyMax);
    wake_latency_ = late > wake_latency_ ? late : wake_latency_ - (wake_latency_ - late) / 16;
    size_bucket();
  }
  fill(now);
}

void Pacer::on_sent(Bytes sent) {
  if (rate_.is_unlimited()) return;
  tokens_ = saturating_sub(tokens_, sent);
}

void Pacer::on_data_sent(Bytes sent) {
  if (train_left_ < packet_ && tokens_ >= quantum_) train_left_ = train_;
  train_left_ = saturating_sub(train_left_, sent);
  on_sent(sent);
}

Time Pacer::next_send() const {
  if (is_in_train()) return filled_at_;
  if (tokens_ >= quantum_) return filled_at_;
  const Duration wait = rate_.time_for(quantum_ - tokens_);
  return wait >= kNever - filled_at_ ? kNever : filled_at_ + wait + Duration(1);
}

Bytes Pacer::available(Time now) const {
  const Bytes tokens = tokens_at(now);
  if (tokens >= quantum_) return tokens;
  return is_in_train() ? std::min(tokens, train_left_) : Bytes();
}

Bytes Pacer::tokens_at(Time now) const {
  if (now <= filled_at_) return tokens_;
  const Bytes more = rate_.over(now - filled_at_);
  return more >= saturating_sub(bucket_, tokens_) ? bucket_ : tokens_ + more;
}

void Pacer::fill(Time now) {
  const Bytes tokens = tokens_at(now);
  // Steps too short for one byte would lose their remainder each time, so the clock moves only with the tokens.
  if (tokens == tokens_ && tokens_ < bucket_) return;
  tokens_ = tokens;
  filled_at_ = std::max(filled_at_, now);
}

}  // namespace tideway::flow
