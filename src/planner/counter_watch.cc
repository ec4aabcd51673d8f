// SPDX-License-Identifier: Apache-2.0
#include "planner/counter_watch.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tideway::planner {
namespace {

// An interface that was made anew counts from zero; then nothing is known of this bin.
double grown(uint64_t now, uint64_t before) { return now >= before ? static_cast<double>(now - before) : 0; }

}  // namespace

double CounterWatch::Direction::surplus(uint64_t counted_now, uint64_t own_now) {
  return grown(counted_now, std::exchange(counted, counted_now)) - grown(own_now, std::exchange(own, own_now));
}

double CounterWatch::Direction::others(double surplus, double owed_max) {
  const double missing = -surplus, rest = surplus - owed;
  owed = rest > 0 ? 0 : std::min(std::max(missing, 0.0) + kOwedKept * std::min(owed, owed + missing), owed_max);
  return std::max(rest, 0.0);
}

// What this bin adds to what is certainly not ours of what was received.
double CounterWatch::not_ahead(Time at, double surplus, uint64_t own, double ahead_max) {
  constexpr Duration kTakenIn = 2 * kReceivedLate;
  const Arrived before = arrived_.empty() ? Arrived{at, 0, own} : arrived_.back();
  arrived_.push_back({at, before.surplus + surplus, own});
  while (arrived_.size() > 2 && arrived_[1].at <= at - kTakenIn) arrived_.erase(arrived_.begin());
  const auto span = static_cast<double>(std::max(at - arrived_.front().at, kTakenIn).count());
  const double taken = grown(own, arrived_.front().own) * static_cast<double>(kTakenIn.count()) / span;
  if (own == before.own && taken > 0) return 0;  // bulk arrives, and its worker has not come to it: he knows more

  double least = std::min(before.surplus, arrived_.back().surplus);
  for (const Arrived& bin : arrived_)
    if (bin.at >= at - kReceivedLate) least = std::min(least, bin.surplus);
  const double growth = least - std::exchange(lasting_, least);
  const Duration passed = at - std::exchange(judged_at_, at);

  // Bulk that begins may be as far ahead as it ever will. It ends when half of it is missing.
  const double allowed = std::min(taken, ahead_max);
  forgiven_ += std::max(0.0, allowed - allowed_);
  allowed_ = allowed < allowed_ / 2 ? allowed : std::max(allowed, allowed_);
  const double others = std::max(0.0, growth - std::min(forgiven_, allowed));
  if (growth > 0) {
    forgiven_ -= growth - others;
  } else {  // what was taken meanwhile may be ahead again
    const Duration forgiven = passed > kReceivedLate ? kForgivenOfLongBins : kForgiven;
    const double usual = std::min(taken * static_cast<double>(forgiven.count()) / static_cast<double>(kTakenIn.count()), ahead_max);
    const double kept = std::pow(kForgivenKept, static_cast<double>(passed.count()) / 1e6);
    forgiven_ = std::min(usual + (forgiven_ - growth - usual) * kept, ahead_max);
  }
  return others * static_cast<double>((at - before.at).count()) / static_cast<double>(std::max(passed, Duration(1)).count());
}

CounterWatch::Edge CounterWatch::on_sample(const Sample& sample) {
  const double owed_max = static_cast<double>(std::max(capacity_.over(kOwedMax), kOwedBytes).count());
  const bool is_first = last_at_ == Time::min();  // what was counted before we looked is of no bin
  const double sent_more = sent_.surplus(sample.sent, sample.own_sent), received_more = received_.surplus(sample.received, sample.own_received);
  const double sent = sent_.others(is_first ? 0 : sent_more, owed_max);
  const double received = not_ahead(sample.at, is_first ? 0 : received_more, sample.own_received, owed_max);
  const Time bin = std::exchange(last_at_, sample.at);
  if (bin == Time::min() || sample.at <= bin) return Edge::kNone;
  const double others = std::max(sent, received);
  carried_ += others;
  if (Rate::of(Bytes(static_cast<uint64_t>(others)), sample.at - bin) > capacity_ * kBusyShare) {
    quiet_since_ = Time::min();
    if (std::exchange(is_busy_, true)) return Edge::kNone;
    edge_at_ = bin;
    return Edge::kBegin;
  }
  if (!is_busy_) return Edge::kNone;
  if (quiet_since_ == Time::min()) quiet_since_ = bin;
  if (sample.at - quiet_since_ < quiet_) return Edge::kNone;
  is_busy_ = false;
  edge_at_ = quiet_since_;
  return Edge::kEnd;
}

}  // namespace tideway::planner
