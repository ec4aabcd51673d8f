// SPDX-License-Identifier: Apache-2.0
//
// Sending: what goes into one burst, in this order: acks (never held back), control frames, probes, data within window,
// pacing and what an unproven address may get. One seal call at the end.
#include "flow/flow.h"

#include "base/stage_meter.h"

#include <algorithm>

namespace tideway::flow {
namespace {

// Packets of frames fit the base MTU on either kind of IP, so that they pass when larger ones do not.
constexpr size_t kFramesPacketMax = 1200;

constexpr int kTrainsApart = 16;  // part of a round trip, of which a train has its lane for itself at most
constexpr int kTailVariesBy = 32;  // part of a round trip, at least
constexpr Duration kAheadRttMin = std::chrono::milliseconds(20);  // on shorter paths the end costs little
constexpr uint64_t kAheadPart = 32;     // of the new data, and a window at most, however much left before
constexpr double kAheadLosses = 0.25;   // packets that are likely to be lost of those in flight
constexpr int kTailLooks = 16;  // per round trip, at what is unacked when there is nothing else to send; copies are as far apart

SentPacket entry_of(const Range& range) {
  return {.block = range.key.block.value(), .offset = range.offset, .slot = range.key.slot.value(),
          .length = static_cast<uint16_t>(range.length), .kind = PacketKind::kData};
}

// After which what is unacked at the end of a lane's data goes out again: the round trip and what it varies by. Less than
// loss detection waits for, because a mistake costs nothing where there is nothing else to send.
Duration tail_age(const RttEstimator& rtt) {
  return rtt.smoothed() + std::max(2 * rtt.variance(), rtt.smoothed() / kTailVariesBy);
}

SentPacket entry_of(PacketKind kind, size_t size) { return {.length = static_cast<uint16_t>(size), .kind = kind}; }

}  // namespace

size_t Flow::write_burst(Time now, std::span<Packet> rooms) {
  const Endpoint lent_for = path_.peer();
  fire_deadlines(now);
  if (path_.peer() != lent_for) return 0;  // the rooms lead to an address that has just been given up
  pacer_.on_wake(now);
  pace(now);
  if (recovery_.is_frozen() || recovery_.pacing_rate() > pacing_rate()) recovery_.on_app_limited();
  if (sealer_.prepare(now)) ++stats_.key_changes;
  rooms = rooms.first(std::min(rooms.size(), kBurstMax));
  const BurstIs is = pacer_.is_in_train() ? BurstIs::kMoreOfTrain : BurstIs::kTrain;
  if (rooms.empty() || !can_send() || !recovery_.begin_burst(now, rooms.size(), is)) return 0;
  builder_.begin({.rooms = rooms, .epoch = sealer_.epoch(), .first_number = recovery_.next_number(), .ecn = recovery_.ecn()});
  if (is_closed_) {
    write_close(now);
  } else if (path_.is_for_challenges()) {
    write_challenge(now);
  } else {
    if (!path_.is_proven()) write_challenge(now);  // first: what may be sent there may not fit anything beside it
    end_stage(Stage::kPull);
    write_ack(now);
    end_stage(Stage::kAck);
    write_control(now);
    write_challenge(now);
    write_mtu_probes(now);
    write_data(now);
    write_probe(now);
  }
  end_stage(Stage::kPull, builder_.count());
  sealer_.seal(builder_.jobs());
  end_stage(Stage::kSeal, builder_.count());
  return builder_.count();
}

size_t Flow::packets_wanted(Time now) const {
  if (!can_send()) return 0;
  if (is_closed_) return closes_left_ > 0 && now >= close_at_ ? 1 : 0;
  if (path_.is_for_challenges()) return path_.is_challenge_due(now) ? 1 : 0;
  size_t wanted = 0;
  if (ack_schedule_.is_due(now)) ++wanted;
  if (is_control_due(now)) ++wanted;
  if (path_.is_challenge_due(now)) ++wanted;
  if (is_keepalive_due(now)) ++wanted;
  if (may_probe_mtu()) wanted += recovery_.mtu().probes_waiting();
  wanted += static_cast<size_t>(recovery_.probes_due());
  if (now >= recovery_.next_deadline()) wanted += ProbeTimeout::kPackets;  // what its timers will ask for
  if (may_send_data() && has_window() && is_its_turn(now) && (lane_.window.has_work() || is_tail_due(now))) {
    const Bytes window = saturating_sub(window_now(), recovery_.in_flight());
    wanted += std::min(window, pacer_.available(now)).count() / packet_size();
  }
  return std::min(wanted, kBurstMax);
}

bool Flow::can_send() const { return sealer_.can_seal() && path_.allowance() > Bytes(); }

bool Flow::may_send_data() const {
  return !is_closed_ && !recovery_.is_resting() && path_.allowance() >= Bytes(packet_size());
}

Bytes Flow::window_now() const {
  const Bytes window = recovery_.window();
  const bool is_start = !has_been_acked_ && config_.window_initial > Bytes();
  // Two packets always fit: a controller does not know how large they have become, and a window below one would be the end.
  return std::max(Bytes(2 * packet_size()), is_start ? std::min(window, config_.window_initial) : window);
}

bool Flow::has_window() const {
  return recovery_.in_flight() + Bytes(packet_size()) <= window_now() && !has_packets_max();
}

void Flow::note_sent(Time now, SentPacket packet, size_t size) {
  if (recovery_.ecn() == Ecn::kEct0) packet.state |= SentPacket::kIsEcnMarked;
  recovery_.on_sent(now, packet);
  if (packet.kind == PacketKind::kData) pacer_.on_data_sent(Bytes(size));
  else pacer_.on_sent(Bytes(size));
  path_.on_sent(Bytes(size));
  last_sent_ = now;
  ++stats_.packets_sent;
  stats_.bytes_sent += size;
}

Writer Flow::frames_for(size_t packet_size) {
  return builder_.frames(std::min<uint64_t>(packet_size, path_.allowance().count()));
}

void Flow::write_close(Time now) {
  Writer frames = frames_for(kFramesPacketMax);
  if (closes_left_ == 0 || now < close_at_ || frames.left() < wire::kCloseFrameSize) return;
  wire::write_close(frames, has_protocol_error_ ? wire::CloseReason::kProtocolError : wire::CloseReason::kDone);
  const size_t size = builder_.add_frames(wire::PacketType::kClose, frames);
  note_sent(now, entry_of(PacketKind::kUntracked, size), size);
  --closes_left_;
  close_at_ = now + recovery_.probe_timeout();
}

void Flow::write_ack(Time now) {
  if (!ack_schedule_.is_due(now) || received_.is_empty()) return;
  Writer frames = frames_for(kFramesPacketMax);
  if (frames.left() < wire::kFrameHeaderSize + wire::kAckFixedSize) return;
  wire::AckFrame frame;
  received_.write(frame);
  frame.received_at = largest_received_at_;
  frame.ack_delay = now - largest_received_at_;  // this burst is sealed now
  frame.delivered = delivered_;
  frame.ecn_ect0 = ecn_ect0_;
  frame.ecn_ce = ecn_ce_;
  wire::write_ack(frames, frame);
  const size_t size = builder_.add_frames(wire::PacketType::kAck, frames);
  note_sent(now, entry_of(PacketKind::kUntracked, size), size);
  ack_schedule_.on_ack_sent();
}

bool Flow::is_forget_due(Time now) const { return now >= forget_at_ && recovery_.tail() >= forgotten_ + kForgetPackets; }

bool Flow::is_control_due(Time now) const {
  return path_.has_response() || opener_.is_change_due() || is_forget_due(now) ||
         (may_send_data() && lane_.credit.has_frames());
}

void Flow::write_control(Time now) {
  if (!is_control_due(now)) return;
  Writer frames = frames_for(kFramesPacketMax);
  if (frames.left() < wire::kPathFrameSize + wire::kForgetFrameSize + wire::kFrameHeaderSize) return;
  if (const auto token = path_.take_response()) wire::write_path(frames, wire::FrameType::kPathResponse, *token);
  if (opener_.is_change_due()) {
    wire::write_frame_header(frames, wire::FrameType::kKeyRequest, 0);
    opener_.on_change_asked(now, recovery_.probe_timeout());
  }
  if (is_forget_due(now)) {
    forgotten_ = recovery_.tail();
    wire::write_forget(frames, forgotten_);
    forget_at_ = now + kForgetRoundTrips * recovery_.rtt().smoothed();
  }
  const size_t used = frames.used();
  if (may_send_data() && lane_.credit.has_frames()) lane_.credit.write_frames(frames);
  if (frames.used() == 0) return;
  const bool carries_state = frames.used() > used;
  const size_t size = builder_.add_frames(wire::PacketType::kControl, frames);
  SentPacket entry = entry_of(PacketKind::kControl, size);
  if (carries_state) entry.state |= SentPacket::kCarriesState;
  note_sent(now, entry, size);
}

void Flow::write_challenge(Time now) {
  if (!path_.is_challenge_due(now)) return;
  Writer frames = frames_for(kFramesPacketMax);
  if (frames.left() < wire::kPathFrameSize) return;
  wire::write_path(frames, wire::FrameType::kPathChallenge, path_.take_challenge(now, recovery_.probe_timeout()));
  const size_t size = builder_.add_frames(wire::PacketType::kProbe, frames);
  note_sent(now, entry_of(PacketKind::kProbe, size), size);
}

void Flow::write_mtu_probes(Time now) {
  if (!may_probe_mtu()) return;
  while (const auto mtu = recovery_.mtu().next_probe(now)) {
    const size_t size = mtu->count() - wire::ip_overhead(is_ipv4_);
    Writer frames = frames_for(size);
    if (frames.left() != size - wire::kPacketOverhead) return;  // room was made for less: with the next burst
    wire::write_padding(frames, frames.left());
    builder_.add_frames(wire::PacketType::kProbe, frames);
    SentPacket entry = entry_of(PacketKind::kMtuProbe, size);
    entry.offset = static_cast<uint32_t>(mtu->count());
    note_sent(now, entry, size);
  }
}

void Flow::write_probe(Time now) {
  // A timeout wants packets, and there was no data for them; or nothing has left for so long that a NAT may forget us.
  while (builder_.has_room() && path_.allowance() > Bytes() && !path_.is_for_challenges() && (recovery_.probes_due() > 0 || is_keepalive_due(now))) {
    const Writer frames = frames_for(kFramesPacketMax);
    const size_t size = builder_.add_frames(wire::PacketType::kProbe, frames);
    note_sent(now, entry_of(PacketKind::kProbe, size), size);
  }
}

void Flow::write_data(Time now) {
  if (!may_send_data()) return;
  finish_data(now, fill_data(now));
}

bool Flow::is_tail_due(Time now) const {
  return config_.delivery == Delivery::kDatagram && now >= tail_at_ && !lane_.window.has_work() && lane_.window.unacked_bytes() > 0;
}

void Flow::note_new_data(Time now, Bytes size) {
  new_data_at_ = now;
  ahead_left_ = std::min(ahead_left_ + size, window_now() * kAheadPart);
}

std::optional<SendRange> Flow::take_range(Time now, size_t payload) {
  if (auto range = lane_.window.take(now, payload)) {
    if (!range->is_resent) note_new_data(now, Bytes(range->bytes.size()));
    return range;
  }
  if (recovery_.probes_due() > 0) return lane_.window.take_tail(now, now, payload);
  if (!is_tail_due(now)) return std::nullopt;
  const Duration age = tail_age(recovery_.rtt()), look = recovery_.rtt().smoothed() / kTailLooks;
  if (auto range = lane_.window.take_tail(now, now - age, payload)) return range;
  auto range = lane_.window.take_copy(now, {.from = now - age, .before = now - look}, payload);
  if (!range) range = take_ahead(now, age, payload);
  if (!range) tail_at_ = now + look;
  return range;
}

// What is on its way when the data ends, once more before anybody knows what of it was lost: the link is idle, and a loss would be known,
// repaired and acked only two round trips later. As this may be a pause and not the end, it waits until the next look at
// the tail and is a small part of what left; and where hardly a packet would be lost, there is nothing to copy.
std::optional<SendRange> Flow::take_ahead(Time now, Duration age, size_t payload) {
  const Duration rtt = recovery_.rtt().smoothed();
  if (rtt < kAheadRttMin || now - new_data_at_ < rtt / kTailLooks) return std::nullopt;
  const uint64_t lost = recovery_.stats().packets_lost - std::min(recovery_.stats().packets_lost, recovery_.stats().packets_spurious);
  const double losses = static_cast<double>(lost) / static_cast<double>(stats_.packets_sent) * static_cast<double>(recovery_.packets_in_flight());
  if (losses < kAheadLosses || ahead_left_ < Bytes(payload) * kAheadPart) return std::nullopt;
  auto range = lane_.window.take_ahead(now, now - age, payload);
  if (range) ahead_left_ -= Bytes(range->bytes.size()) * kAheadPart;
  return range;
}

// What holds data back is asked once for the burst, and what leaves is taken off it here.
Flow::Stop Flow::fill_data(Time now) {
  const size_t full = packet_size();
  Bytes paced = is_its_turn(now) ? pacer_.available(now) : Bytes(), window = saturating_sub(window_now(), recovery_.in_flight());
  while (builder_.has_room()) {
    const size_t size = std::min(full, builder_.next_size());
    if (path_.is_for_challenges() || path_.allowance() < Bytes(size)) return Stop::kAddress;
    if (recovery_.probes_due() == 0) {
      if (window < Bytes(full) || has_packets_max()) return Stop::kWindow;
      if (paced < Bytes(size)) return Stop::kPacing;
    }
    const auto range = take_range(now, size - wire::kDataOverhead);
    if (!range) return Stop::kNothing;
    const size_t sent = builder_.add_data(*range, 0);
    note_sent(now, entry_of(range->range), sent);
    data_sent_[static_cast<size_t>(range->account)] += sent;
    paced = saturating_sub(paced, Bytes(sent));
    window = saturating_sub(window, Bytes(sent));
  }
  return Stop::kRooms;
}

// Until the first acks come, trains are also kept apart: together they would be one burst.
void Flow::note_train(Time now) {
  if (!pacer_.is_in_train() && has_been_acked_) lane_.trains.end(config_.id);
  else lane_.trains.begin(now, config_.id, recovery_.rtt().smoothed() / kTrainsApart);
}

void Flow::finish_data(Time now, Stop stop) {
  if (is_for_trains() && builder_.has_data()) note_train(now);
  uint8_t flags = 0;
  if (stop == Stop::kPacing && is_its_turn(now)) pacer_.on_wait();
  if (!lane_.window.has_work()) {
    if (has_window()) recovery_.on_app_limited();
    flags = wire::kAppLimited | wire::kAckNow;  // nobody knows when more follows
  } else if (stop == Stop::kWindow && recovery_.packets_in_flight() < kAckCountCarries) {
    flags = wire::kAckNow;
  } else if (ack_now_at_ == Time::min() || now - ack_now_at_ >= std::min(recovery_.rtt().smoothed() / kAckNowPerRoundTrip, recovery_.acks_every())) {
    flags = wire::kAckNow;
  }
  if (flags == 0 || !builder_.has_data()) return;
  builder_.add_flags_to_last_data(flags);
  ack_now_at_ = now;
}

}  // namespace tideway::flow
