// SPDX-License-Identifier: Apache-2.0
#include "wan/link_model.h"

#include <algorithm>

namespace tideway::wan {

Bytes queue_limit(const LinkConfig& config) {
  if (config.rate.is_unlimited()) return Bytes::max();
  return config.queue.value_or(config.rate.over(std::max(2 * config.delay, kQueueTimeMin)));
}

const char* name_of(DropCause cause) {
  switch (cause) {
    case DropCause::kBlackout: return "blackout";
    case DropCause::kMtu: return "mtu";
    case DropCause::kLoss: return "loss";
    case DropCause::kQueue: return "queue";
  }
  return "unknown";
}

LinkModel::LinkModel(Time start, const LinkConfig& config, uint64_t seed)
    : config_(config), queue_limit_(queue_limit(config)), start_(start), random_(seed),
      loss_(config.impairments.loss, config.impairments.loss_burst), jitter_(config.impairments.jitter),
      busy_until_(start) {
  TIDEWAY_CHECK(config.rate.bytes_per_second() > 0);
  TIDEWAY_CHECK(config.slowdown.when == Windows() || config.slowdown.rate.bytes_per_second() > 0);
}

Fate LinkModel::offer(Time now, Bytes frame) {
  ++counters_.frames_in;
  counters_.bytes_in += frame;
  const Impairments& bad = config_.impairments;
  if (bad.blackout.covers(now - start_)) return drop(DropCause::kBlackout);
  if (saturating_sub(frame, kEthernetHeader) > config_.mtu) return drop(DropCause::kMtu);
  if (loss_.next_is_lost(random_)) return drop(DropCause::kLoss);

  const Bytes charged = frame + kFrameOverhead;
  const Bytes waiting = queued(now);
  if (queue_limit_ != Bytes::max() && waiting + charged > queue_limit_) return drop(DropCause::kQueue);
  Fate fate;
  fate.is_ce_marked = waiting >= config_.ce_mark;
  counters_.frames_ce_marked += fate.is_ce_marked;
  if (!config_.rate.is_unlimited()) {
    counters_.queue_peak = std::max(counters_.queue_peak, waiting + charged);
    pass_bottleneck(now, charged);
  } else {
    busy_until_ = now;
  }
  fate.deliver_at = arrival(fate);

  if (random_.happens(bad.duplicate)) {
    fate.copies = 2;
    ++counters_.frames_duplicated;
  }
  if (random_.happens(bad.corrupt)) {
    fate.flip = random_.next();
    ++counters_.frames_corrupted;
  }
  ++counters_.frames_delivered;
  counters_.bytes_delivered += frame;
  return fate;
}

Bytes LinkModel::queued(Time now) const {
  return busy_until_ > now && !config_.rate.is_unlimited() ? rate_at(now).over(busy_until_ - now) : Bytes();
}

Fate LinkModel::drop(DropCause cause) {
  ++counters_.dropped[static_cast<size_t>(cause)];
  Fate fate;
  fate.dropped = cause;
  return fate;
}

// Exact over any number of frames: the remainder of the division goes into the next frame's time. At 100 Gbit/s a frame
// takes 123 ns, so rounding each one would be half a percent.
void LinkModel::pass_bottleneck(Time now, Bytes charged) {
  if (busy_until_ < now) {
    busy_until_ = now;
    carry_ = 0;
  }
  const uint64_t rate = rate_at(now).bytes_per_second();
  const uint64_t scaled = charged.count() * 1'000'000'000 + carry_;
  busy_until_ += Duration(static_cast<int64_t>(scaled / rate));
  carry_ = scaled % rate;
}

Time LinkModel::arrival(Fate& fate) {
  const Impairments& bad = config_.impairments;
  // Jitter follows the time at which the frame leaves the bottleneck, so that its slope bound keeps the order.
  Time at = busy_until_ + config_.delay + jitter_.at(busy_until_ - start_, random_);
  if (bad.reorder.extra_max.count() > 0 && random_.happens(bad.reorder.share)) {
    at += Duration(static_cast<int64_t>(1 + random_.below(static_cast<uint64_t>(bad.reorder.extra_max.count()))));
    fate.is_reordered = true;
    ++counters_.frames_reordered;
  }
  return at;
}

}  // namespace tideway::wan
