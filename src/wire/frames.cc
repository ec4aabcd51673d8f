// SPDX-License-Identifier: Apache-2.0
#include "wire/frames.h"

#include "base/varint.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace tideway::wire {
namespace {

bool is_known(uint8_t type) { return type <= static_cast<uint8_t>(FrameType::kClose); }

uint32_t saturate_ns(Duration delay) {
  return static_cast<uint32_t>(std::clamp<int64_t>(delay.count(), 0, std::numeric_limits<uint32_t>::max()));
}

// Ranges as (gap, length) pairs downwards from `next`, the highest number not yet spoken about.
bool read_ranges(Reader& in, AckFrame& frame, size_t count) {
  uint64_t left = frame.largest - frame.floor + 1;  // numbers from floor to the highest not yet spoken about
  for (size_t i = 0; i < count; ++i) {
    const auto gap = read_varint(in);
    const auto length = read_varint(in);
    if (!gap || !length || *length == 0 || *gap > left || *length > left - *gap) return false;
    if (i > 0 && *gap == 0) return false;  // would be one range
    left -= *gap + *length;
    frame.ranges[i] = {frame.floor + left, frame.floor + left + *length - 1};
  }
  frame.ranges_count = count;
  return true;
}

}  // namespace

void write_frame_header(Writer& out, FrameType type, size_t body_size) {
  TIDEWAY_CHECK(body_size <= std::numeric_limits<uint16_t>::max());
  out.write_u8(static_cast<uint8_t>(type));
  out.write_u8(0);
  out.write_u16(static_cast<uint16_t>(body_size));
}

std::optional<Frame> FrameReader::next() {
  while (!in_.is_empty()) {
    const auto type = in_.read_u8();
    const auto flags = in_.read_u8();
    const auto size = in_.read_u16();
    const auto body = size ? in_.read_bytes(*size) : std::nullopt;
    if (!flags || !body || (!is_known(*type) && *type < kIgnorableFrom)) {
      is_malformed_ = true;
      in_ = Reader({});
      return std::nullopt;
    }
    if (is_known(*type)) return Frame{static_cast<FrameType>(*type), *body};
  }
  return std::nullopt;
}

size_t write_ack(Writer& out, const AckFrame& frame) {
  // The ranges come first in thought, since the header needs their size: the room decides how many fit.
  TIDEWAY_CHECK(out.left() >= kFrameHeaderSize + kAckFixedSize);
  const size_t room = out.left() - kFrameHeaderSize - kAckFixedSize;
  size_t count = 0, size = 0;
  uint64_t next = frame.largest;
  for (const PacketRange& range : frame.received()) {
    const size_t pair = varint_size(next - range.last) + varint_size(range.last - range.first + 1);
    if (size + pair > room) break;
    size += pair;
    ++count;
    next = range.first - 1;
  }
  write_frame_header(out, FrameType::kAck, kAckFixedSize + size);
  out.write_u64(frame.largest);
  out.write_u64(frame.floor);
  out.write_u64(static_cast<uint64_t>(frame.received_at.time_since_epoch().count()));
  out.write_u32(saturate_ns(frame.ack_delay));
  out.write_u16(static_cast<uint16_t>(count));
  out.write_u16(0);
  out.write_u64(frame.delivered);
  out.write_u64(frame.ecn_ect0);
  out.write_u64(frame.ecn_ce);
  next = frame.largest;
  for (const PacketRange& range : frame.received().first(count)) {
    write_varint(out, next - range.last);
    write_varint(out, range.last - range.first + 1);
    next = range.first - 1;
  }
  return count;
}

std::optional<AckFrame> parse_ack(std::span<const std::byte> body) {
  std::optional<AckFrame> frame;
  if (body.size() < kAckFixedSize) return frame;
  frame.emplace();
  Reader in(body);
  frame->largest = *in.read_u64();
  frame->floor = *in.read_u64();
  frame->received_at = Time(Duration(static_cast<int64_t>(*in.read_u64() & std::numeric_limits<int64_t>::max())));
  frame->ack_delay = Duration(*in.read_u32());
  const size_t count = *in.read_u16();
  in.read_u16();
  frame->delivered = *in.read_u64();
  frame->ecn_ect0 = *in.read_u64();
  frame->ecn_ce = *in.read_u64();
  // Numbers are below 2^62, so that differences fit a varint; no flow sends that many.
  const bool is_sound = count <= kAckRangesMax && frame->largest <= kVarintMax && frame->floor <= frame->largest + 1 &&
                        read_ranges(in, *frame, count) && in.is_empty();
  if (!is_sound) frame.reset();
  return frame;
}

void write_credit(Writer& out, FrameType type, const CreditFrame& frame) {
  const bool has_limit = type != FrameType::kCreditRecall;
  write_frame_header(out, type, has_limit ? 16 : 4);
  out.write_u16(frame.slot.value());
  out.write_u16(frame.lane.value());
  if (!has_limit) return;
  out.write_u32(0);
  out.write_u64(frame.limit);
}

std::optional<CreditFrame> parse_credit(FrameType type, std::span<const std::byte> body) {
  const bool has_limit = type != FrameType::kCreditRecall;
  if (body.size() != (has_limit ? 16U : 4U)) return std::nullopt;
  Reader in(body);
  CreditFrame frame;
  frame.slot = SlotId(*in.read_u16());
  frame.lane = LaneId(*in.read_u16());
  if (!has_limit) return frame;
  in.read_u32();
  frame.limit = *in.read_u64();
  return frame;
}

void write_abandon(Writer& out, BlockKey key) {
  write_frame_header(out, FrameType::kAbandon, 8);
  out.write_u16(key.slot.value());
  out.write_u16(0);
  out.write_u32(key.block.value());
}

std::optional<BlockKey> parse_abandon(std::span<const std::byte> body) {
  if (body.size() != 8) return std::nullopt;
  Reader in(body);
  const SlotId slot(*in.read_u16());
  in.read_u16();
  return BlockKey{slot, BlockId(*in.read_u32())};
}

void write_forget(Writer& out, uint64_t packet_number) {
  write_frame_header(out, FrameType::kForget, 8);
  out.write_u64(packet_number);
}

std::optional<uint64_t> parse_forget(std::span<const std::byte> body) {
  if (body.size() != 8) return std::nullopt;
  return Reader(body).read_u64();
}

void write_path(Writer& out, FrameType type, const PathToken& token) {
  write_frame_header(out, type, token.size());
  out.write_bytes(token);
}

std::optional<PathToken> parse_path(std::span<const std::byte> body) {
  PathToken token;
  if (body.size() != token.size()) return std::nullopt;
  std::memcpy(token.data(), body.data(), token.size());
  return token;
}

void write_close(Writer& out, CloseReason reason) {
  write_frame_header(out, FrameType::kClose, 2);
  out.write_u16(static_cast<uint16_t>(reason));
}

std::optional<CloseReason> parse_close(std::span<const std::byte> body) {
  if (body.size() != 2) return std::nullopt;
  return static_cast<CloseReason>(*Reader(body).read_u16());
}

void write_padding(Writer& out, size_t total) {
  write_frame_header(out, FrameType::kPadding, total - kFrameHeaderSize);
  out.write_zeros(total - kFrameHeaderSize);
}

}  // namespace tideway::wire
