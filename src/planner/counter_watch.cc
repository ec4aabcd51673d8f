// SPDX-License-Identifier: Apache-2.0
#include "planner/counter_watch.h"

#include <algorithm>
#include <utility>

namespace tideway::planner {
namespace {

// An interface that was made anew counts from zero; then nothing is known of this bin.
double grown(uint64_t now, uint64_t before) { return now >= before ? static_cast<double>(now - before) : 0; }

}  // namespace

double CounterWatch::Direction::others(uint64_t counted_now, uint64_t own_now, double owed_max) {
  const double missing = grown(own_now, own) - grown(counted_now, counted);
  const double rest = -missing - owed;
  counted = counted_now;
  own = own_now;
  owed = rest > 0 ? 0 : std::min(std::max(missing, 0.0) + kOwedKept * std::min(owed, owed + missing), owed_max);
  return std::max(rest, 0.0);
}

CounterWatch::Edge CounterWatch::on_sample(const Sample& sample) {
  const double owed_max = static_cast<double>(std::max(capacity_.over(kOwedMax), kOwedBytes).count());
  const uint64_t received_then = std::exchange(received_before_, sample.received);
  const double sent = sent_.others(sample.sent, sample.own_sent, owed_max);
  const double received = received_.others(last_at_ == Time::min() ? sample.received : received_then, sample.own_received, owed_max);
  const Time bin = std::exchange(last_at_, sample.at);
  if (bin == Time::min() || sample.at <= bin) return Edge::kNone;
  foreground_ = Rate::of(Bytes(static_cast<uint64_t>(std::max(sent, received))), sample.at - bin);
  if (foreground_ > capacity_ * kBusyShare) {
    quiet_since_ = Time::min();
    if (std::exchange(is_busy_, true)) return Edge::kNone;
    edge_at_ = bin;
    return Edge::kBegin;
  }
  if (!is_busy_) return Edge::kNone;
  if (quiet_since_ == Time::min()) quiet_since_ = bin;
  if (sample.at - quiet_since_ < kQuiet) return Edge::kNone;
  is_busy_ = false;
  edge_at_ = quiet_since_;
  return Edge::kEnd;
}

}  // namespace tideway::planner
