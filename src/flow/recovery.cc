// SPDX-License-Identifier: Apache-2.0
#include "flow/recovery.h"

#include "wire/packet_header.h"

#include <algorithm>
#include <utility>

namespace tideway::flow {
namespace {

// Adds `range` to the run, or gives the old run to `flush` and starts a new one.
template <typename Run, typename Flush>
void extend(Run& run, const Range& range, Flush flush) {
  if (run.is_set && run.range.key == range.key && run.range.offset + run.range.length == range.offset) {
    run.range.length += range.length;
    return;
  }
  if (run.is_set) flush(run.range);
  run = {range, true};
}

}  // namespace

Recovery::Recovery(Time start, const RecoveryConfig& config, std::unique_ptr<CongestionController> controller,
                   SendWindow& window, Credit& credit, LaneTrains& trains)
    : sent_(config.first_number), rtt_(config.rtt_initial), rate_(start), detector_(config.first_number), timeout_(start),
      mtu_(config.mtu_max), controller_(std::move(controller)), window_(window), credit_(credit), trains_(trains), trains_heard_(trains.told()),
      delivery_(config.delivery), base_size_(PathMtu::kBase.count() - wire::ip_overhead(config.is_ipv4)), is_ipv4_(config.is_ipv4) {}

Bytes Recovery::payload_max() const {
  // A timeout may mean that full packets do not pass any more, so its probes are small.
  const Bytes mtu = timeout_.count() > 0 ? PathMtu::kBase : mtu_.current();
  return Bytes(wire::data_payload_for_mtu(mtu.count(), is_ipv4_));
}

bool Recovery::begin_burst(Time now, size_t packets_max, BurstIs is) {
  if (!sent_.reserve(packets_max)) return false;
  sent_.begin_burst(rate_.on_burst_sent(now, sent_.in_flight()), is);
  return true;
}

void Recovery::on_sent(Time now, const SentPacket& packet) {
  const bool was_idle = sent_.packets_in_flight() == 0;
  sent_.add(packet);
  if (packet.kind == PacketKind::kUntracked) return;
  sent_.newest_burst().in_flight = sent_.in_flight();
  sent_.newest_burst().is_app_limited = rate_.is_app_limited();
  if (was_idle) timeout_.on_first_sent(now);
  if (probes_due_ > 0) --probes_due_;
  if (packet.kind == PacketKind::kMtuProbe) mtu_.on_probe_sent(Bytes(packet.offset));
  else if (is_full(packet)) mtu_.on_full_sent(now);
}

Recovery::AckOutcome Recovery::on_ack(Time now, Time at, const wire::AckFrame& frame) {
  const auto ranges = frame.received();
  if (frame.largest >= sent_.next_number()) return {.is_sound = false};
  if (!ranges.empty() && ranges.back().first < sent_.first_number()) return {.is_sound = false};
  Acked acked;
  for (const wire::PacketRange& range : ranges) {
    const uint64_t end = range.last + 1;
    for (uint64_t n = sent_.find(std::max(range.first, sent_.tail()), end); n < end; n = sent_.find(n + 1, end))
      ack_one(now, n, acked);
    if (range.first <= sent_.tail()) break;
  }
  if (acked.run.is_set) window_.on_acked(acked.run.range);
  if (acked.packets == 0) return {};
  detector_.on_acked(acked.newest);
  timeout_.on_news(now);
  probes_due_ = 0;
  check_ecn(frame);
  sample(now, at, frame, acked);
  return {.is_news = true, .newest = acked.newest};
}

void Recovery::ack_one(Time now, uint64_t number, Acked& acked) {
  if (number > acked.newest || acked.packets == 0) {
    acked.newest = number;
    in_flight_before_ = sent_.burst_of(number).in_flight;
  }
  const SentPacket packet = sent_.at(number);
  if (packet.where() == PacketState::kLost) [[unlikely]] find_one(now, number, packet);
  sent_.on_acked(number);
  acked.bytes += packet.size();
  ++acked.packets;
  if ((packet.state & SentPacket::kIsEcnMarked) != 0) ++ecn_sent_acked_;
  if (packet.kind == PacketKind::kData)
    extend(acked.run, packet.range(), [this](const Range& run) { window_.on_acked(run); });
  if (packet.kind == PacketKind::kMtuProbe) mtu_.on_probe_acked(now, Bytes(packet.offset));
  else if (is_full(packet)) mtu_.on_full_acked();
  else if (mtu_.on_small_acked(now, probe_timeout())) give_up(now);
}

void Recovery::find_one(Time now, uint64_t number, const SentPacket& packet) {
  ++stats_.packets_spurious;
  detector_.on_spurious(now, sent_.burst_of(number).sent_at, rtt_);
  if (packet.kind == PacketKind::kData) window_.on_found(packet.range());
  if (packet.kind == PacketKind::kMtuProbe || event_lost_ == 0) return;
  ++event_found_;
  if ((event_lost_ - std::min(event_found_, event_lost_)) * kUndoShare > event_lost_) return;
  if (!is_frozen()) controller_->on_spurious_loss(controller_time(now));
  event_lost_ = event_found_ = 0;
}

void Recovery::check_ecn(const wire::AckFrame& frame) {
  if (frame.largest < largest_acked_frame_) return;  // overtaken: its counts are old
  largest_acked_frame_ = frame.largest;
  if (frame.ecn_ect0 + frame.ecn_ce < ecn_sent_acked_) is_ecn_ok_ = false;  // someone clears the marks (RFC 9000, 13.4.2)
  ecn_ce_new_ = is_ecn_ok_ ? frame.ecn_ce - std::min(frame.ecn_ce, ecn_ce_) : 0;
  ecn_ce_ = std::max(ecn_ce_, frame.ecn_ce);
}

// Of our own trains and those of the lane's other flows.
Rate Recovery::train_rate(const wire::AckFrame& frame, const Acked& acked, const BurstRecord& newest) {
  const Rate told = train_.on_ack({.train = newest.train, .size = sent_.train_size(newest), .acked = acked.bytes, .received_at = frame.received_at});
  if (told > Rate()) trains_.tell(told);
  return trains_.next(trains_heard_);
}

void Recovery::sample(Time now, Time at, const wire::AckFrame& frame, const Acked& acked) {
  const BurstRecord& newest = sent_.burst_of(acked.newest);
  const bool has_rtt = acked.newest == frame.largest && at >= newest.sent_at;  // stamps of a calendar that jumped are no use
  if (has_rtt) rtt_.on_sample(now, at - newest.sent_at, frame.ack_delay);
  rate_.on_delivered(now, acked.bytes);
  const RateSample rate = rate_.take_sample(now, newest, rtt_.min());
  const uint64_t ce_marked = std::exchange(ecn_ce_new_, 0);
  if (is_frozen()) return;
  controller_->on_ack({.now = controller_time(now),
                       .acked = acked.bytes,
                       .in_flight = sent_.in_flight(),
                       .in_flight_before = in_flight_before_,
                       .rtt = has_rtt ? rtt_.latest() : Duration::zero(),
                       .rtt_min = rtt_.min(),
                       .rtt_smoothed = rtt_.smoothed(),
                       .delivery_rate = rate.rate,
                       .train_rate = train_rate(frame, acked, newest),
                       .round = controller_round(),
                       .packets_acked = acked.packets,
                       .ce_marked = ce_marked,
                       .limited_by = rate.limited_by});
}

void Recovery::detect_losses(Time now) {
  Lost lost;
  while (const auto number = detector_.next_lost(now, sent_, rtt_)) lose_one(now, *number, lost);
  finish_losses(now, lost, LossCause::kTimeThreshold);
  sent_.forget_lost(now - kRememberLost * (is_resting() ? ProbeTimeout::longest(rtt_) : probe_timeout()));
}

void Recovery::lose_one(Time now, uint64_t number, Lost& lost) {
  const SentPacket packet = sent_.at(number);
  in_flight_before_ = sent_.burst_of(number).in_flight;
  sent_.on_lost(number);
  if (packet.kind == PacketKind::kMtuProbe) {
    mtu_.on_probe_lost(now, Bytes(packet.offset));
    return;
  }
  lost.bytes += packet.size();
  lost.newest = number;
  ++lost.packets;
  if (packet.kind == PacketKind::kData)
    extend(lost.run, packet.range(), [this](const Range& run) { window_.on_lost(run); });
  lost.carried_state |= (packet.state & SentPacket::kCarriesState) != 0;
}

void Recovery::finish_losses(Time now, Lost& lost, LossCause cause) {
  if (lost.run.is_set) window_.on_lost(lost.run.range);
  if (lost.carried_state) credit_.on_frames_lost();
  if (lost.packets == 0) return;
  stats_.packets_lost += lost.packets;
  if (event_round_ != rate_.round()) event_lost_ = event_found_ = 0;
  event_round_ = rate_.round();
  event_lost_ += lost.packets;
  if (is_frozen()) return;  // what a burst displaced says nothing about our rate
  controller_->on_loss({.now = controller_time(now),
                        .lost = lost.bytes,
                        .packets_lost = lost.packets,
                        .in_flight = sent_.in_flight(),
                        .in_flight_before = in_flight_before_,
                        .round = controller_round(),
                        .cause = cause});
}

void Recovery::freeze(Time now) {
  if (is_frozen()) return;
  frozen_at_ = now;
  frozen_at_round_ = rate_.round();
}

void Recovery::thaw(Time now) {
  if (!is_frozen()) return;
  frozen_for_ += std::max(now - frozen_at_, Duration::zero());
  frozen_rounds_ += rate_.round() - frozen_at_round_;
  thawed_at_ = now - frozen_for_;
  const Time rested_from = frozen_at_;
  frozen_at_ = kNever;
  controller_->on_thaw({.now = thawed_at_,
                        .rtt_min = rtt_.min(),
                        .waits = rtt_.latest() - rtt_.min(),
                        .rested = now - rested_from,
                        .behind = std::exchange(has_asked_, false) ? Thaw::Behind::kBurst : Thaw::Behind::kOther});
}

void Recovery::give_up(Time now) {
  Lost lost;
  const uint64_t end = sent_.next_number();
  for (uint64_t n = sent_.find(sent_.tail(), end); n < end; n = sent_.find(n + 1, end))
    if (sent_.at(n).where() == PacketState::kInFlight) lose_one(now, n, lost);
  finish_losses(now, lost, LossCause::kProbeTimeout);
}

void Recovery::on_deadline(Time now) {
  if (delivery_ == Delivery::kStream) return;
  if (now >= detector_.next_deadline()) detect_losses(now);
  if (now < next_deadline() || now < timeout_.deadline(rtt_)) return;
  timeout_.fire(now);
  ++stats_.probe_timeouts;
  probes_due_ = is_resting() ? 1 : ProbeTimeout::kPackets;
  if (is_resting()) give_up(now);
}

Time Recovery::next_deadline() const {
  if (delivery_ == Delivery::kStream) return kNever;
  const bool is_armed = sent_.packets_in_flight() > 0 || is_resting();
  return std::min(detector_.next_deadline(), is_armed ? timeout_.deadline(rtt_) : kNever);
}

}  // namespace tideway::flow
