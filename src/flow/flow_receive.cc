// SPDX-License-Identifier: Apache-2.0
//
// Receiving (docs/protocol.md, "Receiving"). The first check that fails ends a packet's life, with a counter and nothing
// else: no reply, no log line. Only what the tag has proven is acted upon.
#include "base/stage_meter.h"
#include "flow/incoming.h"

namespace tideway::flow {
namespace {

// The largest UDP payload of a 9,000-byte MTU, rounded up; nobody of ours sends more, and an Aead takes up to 16 KiB.
constexpr size_t kPacketSizeMax = 16 << 10;

}  // namespace

void Flow::on_burst(Time now, std::span<const Packet> packets) {
  for (const Packet& packet : packets) {
    if (is_closed_) return;
    if (!incoming_->has_room_for(packet.bytes.size())) finish_burst(now);
    if (admit(packet, incoming_->packets[incoming_->count])) ++incoming_->count;
  }
  finish_burst(now);
  recovery_.detect_losses(now);
  end_stage(Stage::kAck);
}

void Flow::finish_burst(Time now) {
  const auto arrived = std::span(incoming_->packets).first(incoming_->count);
  end_stage(Stage::kPlace);
  open_all(arrived);
  end_stage(Stage::kOpen, arrived.size());
  for (Arrived& packet : arrived)
    if (packet.is_authentic && !has_protocol_error_ && !is_closed_) {
      packet.at = std::min(packet.at, now);
      accept(now, packet);
    }
  lane_.reassembler.settle();
  end_stage(Stage::kPlace, arrived.size());
  incoming_->count = incoming_->arena_used = 0;
}

bool Flow::admit(const Packet& packet, Arrived& arrived) {
  const auto header = wire::parse_header(packet.bytes);
  if (!header || packet.bytes.size() > kPacketSizeMax) {
    ++stats_.dropped_malformed;
    return false;
  }
  const auto epoch = opener_.match(header->key_epoch_low);
  if (header->destination != config_.local || header->flow != config_.id || !epoch) {
    ++stats_.dropped_refused;
    return false;
  }
  if (!received_.is_new(header->packet_number)) {
    ++stats_.dropped_replay;
    return false;
  }
  const size_t plain = packet.bytes.size() - header->size() - kAeadTagSize;
  arrived.header = *header;
  arrived.sealed = packet.bytes.subspan(header->size());
  arrived.plain = std::span<std::byte>(static_cast<std::byte*>(nullptr), plain);  // for its length: what place() asks
  arrived.epoch = *epoch;
  arrived.packet = &packet;
  arrived.is_authentic = false;
  if (arrived.is_data()) return admit_data(arrived);
  arrived.plain = incoming_->take_room(plain);
  return true;
}

bool Flow::admit_data(Arrived& arrived) {
  const Placement placement = lane_.reassembler.place(arrived.place());
  arrived.verdict = placement.verdict;
  switch (placement.verdict) {
    case Verdict::kPlace: arrived.plain = placement.out; return true;
    case Verdict::kDuplicate: arrived.plain = incoming_->take_room(arrived.plain.size()); return true;
    case Verdict::kRefused:
    case Verdict::kNoBuffer: ++stats_.dropped_refused; return false;
  }
  return false;
}

void Flow::open_all(std::span<Arrived> arrived) {
  // Nearly always all packets are of one key epoch; at a change of epoch there is a second round.
  size_t left = arrived.size();
  for (size_t first = 0; left > 0; ++first) {
    if (arrived[first].packet == nullptr) continue;
    const uint64_t epoch = arrived[first].epoch;
    size_t count = 0;
    for (size_t i = first; i < arrived.size(); ++i) {
      Arrived& packet = arrived[i];
      if (packet.packet == nullptr || packet.epoch != epoch) continue;
      incoming_->job_of[count] = i;
      incoming_->jobs[count++] = {.packet_number = packet.header.packet_number,
                                  .header = packet.packet->bytes.first(packet.header.size()),
                                  .sealed = packet.sealed,
                                  .out = packet.plain,
                                  .authentic = false};
      packet.from = packet.packet->from;
      packet.ecn = packet.packet->ecn;
      packet.at = packet.packet->arrived_at;
      packet.packet = nullptr;
    }
    left -= count;
    const size_t authentic = opener_.open(epoch, std::span(incoming_->jobs).first(count));
    stats_.dropped_auth += count - authentic;
    for (size_t j = 0; j < count; ++j) arrived[incoming_->job_of[j]].is_authentic = incoming_->jobs[j].authentic;
  }
}

void Flow::accept(Time now, Arrived& arrived) {
  const uint64_t number = arrived.header.packet_number;
  const bool is_first = received_.is_empty();
  const uint64_t newest_before = is_first ? 0 : received_.largest();
  if (!received_.on_received(number)) {  // twice in one burst
    ++stats_.dropped_replay;
    return;
  }
  const Bytes size(arrived.header.size() + arrived.sealed.size());
  const bool is_newest = is_first || number > newest_before;
  if (is_newest) largest_received_at_ = std::max(largest_received_at_, arrived.at);
  ++stats_.packets_received;
  stats_.bytes_received += size.count();
  if (arrived.ecn == Ecn::kEct0) ++ecn_ect0_;
  else if (arrived.ecn == Ecn::kCe) ++ecn_ce_;
  path_.on_authentic(now, {.from = arrived.from, .size = size, .is_newest = is_newest}, recovery_.probe_timeout());

  if (arrived.is_data()) {
    const bool is_elsewhere = arrived.verdict == Verdict::kDuplicate;
    const uint32_t news = lane_.reassembler.on_placed(arrived.place(), is_elsewhere ? arrived.plain : std::span<std::byte>());
    delivered_ += news;
    if (news == 0) ++stats_.packets_duplicate;
  } else {
    end_stage(Stage::kPlace);
    accept_frames(now, arrived);
    end_stage(Stage::kAck);
  }
  ack_schedule_.on_packet(now,
                          {.size = size,
                           .is_ack_eliciting = arrived.header.type != wire::PacketType::kAck &&
                                               arrived.header.type != wire::PacketType::kClose,
                           .wants_ack_now = arrived.is_data() && (arrived.header.data.flags & wire::kAckNow) != 0,
                           .opens_hole = !is_first && number > newest_before + 1},
                          recovery_.rtt().smoothed());
}

void Flow::accept_frames(Time now, const Arrived& arrived) {
  wire::FrameReader frames(arrived.plain);
  bool is_sound = true;
  while (const auto frame = frames.next()) {
    // An ACK packet is not acked itself, so it may carry nothing that has to arrive.
    if (arrived.header.type == wire::PacketType::kAck && frame->type != wire::FrameType::kAck) is_sound = false;
    is_sound = is_sound && on_frame(now, arrived.at, *frame);
    if (!is_sound || is_closed_) break;
  }
  if (!is_sound || frames.is_malformed()) has_protocol_error_ = true;
}

bool Flow::on_frame(Time now, Time at, const wire::Frame& frame) {
  using wire::FrameType;
  switch (frame.type) {
    case FrameType::kPadding: return true;
    case FrameType::kAck: return on_ack(now, at, frame.body);
    case FrameType::kCredit:
    case FrameType::kCreditRecall:
    case FrameType::kCreditReturn:
    case FrameType::kBlocked:
    case FrameType::kAbandon: return lane_.credit.on_frame(static_cast<uint8_t>(frame.type), frame.body).ok();
    case FrameType::kForget: {
      const auto number = wire::parse_forget(frame.body);
      if (number) received_.forget_below(*number);
      return number.has_value();
    }
    case FrameType::kKeyRequest: sealer_.on_key_request(); return frame.body.empty();
    case FrameType::kPathChallenge: {
      const auto token = wire::parse_path(frame.body);
      if (token) path_.on_challenge(*token);
      return token.has_value();
    }
    case FrameType::kPathResponse: {
      const auto token = wire::parse_path(frame.body);
      if (token && path_.on_response(*token)) recovery_.mtu().allow();
      return token.has_value();
    }
    case FrameType::kClose: {
      const bool is_sound = wire::parse_close(frame.body).has_value();
      if (is_sound) enter_closed(now);
      return is_sound;
    }
  }
  return false;
}

bool Flow::on_ack(Time now, Time at, std::span<const std::byte> body) {
  const auto frame = wire::parse_ack(body);
  if (!frame) return false;
  const Recovery::AckOutcome outcome = recovery_.on_ack(now, at, *frame);
  if (!has_window()) pacer_.on_hold();
  if (outcome.is_news) {
    sealer_.on_acked(outcome.newest);
    has_been_acked_ = true;
    if (is_for_trains()) pace(now);  // one may have told a hundred times the rate, and next_deadline() has to be that of the new one
  }
  return outcome.is_sound;
}

}  // namespace tideway::flow
