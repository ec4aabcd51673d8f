// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the plain text of an ACK, CTRL, PROBE or CLOSE packet: every frame lies within it, and a body that parses
// is written again as the same bytes. Of an ACK, whose integers have several forms, the same values come back.
#include "wire/frames.h"

#include <tideway/check.h>

#include <algorithm>
#include <array>

namespace tideway::wire {
namespace {

using Room = std::array<std::byte, 8192>;

void check_ack(std::span<const std::byte> body, Room& room) {
  const auto ack = parse_ack(body);
  if (!ack) return;
  TIDEWAY_CHECK(ack->floor <= ack->largest + 1);
  uint64_t above = ack->largest + 2;  // a range may end at `largest`
  for (const PacketRange& range : ack->received()) {
    TIDEWAY_CHECK(range.first <= range.last && range.first >= ack->floor && range.last + 1 < above);
    above = range.first;
  }
  Writer out(room);
  TIDEWAY_CHECK(write_ack(out, *ack) == ack->ranges_count);
  const auto again = parse_ack(FrameReader(out.written()).next().value().body).value();
  TIDEWAY_CHECK(again.largest == ack->largest && again.floor == ack->floor && again.received_at == ack->received_at);
  TIDEWAY_CHECK(again.ack_delay == ack->ack_delay && again.delivered == ack->delivered);
  TIDEWAY_CHECK(again.ecn_ect0 == ack->ecn_ect0 && again.ecn_ce == ack->ecn_ce);
  TIDEWAY_CHECK(std::ranges::equal(again.received(), ack->received()));
}

// Parsed and written again. Nothing: refused, or a frame without a fixed form.
bool write_again(Writer& out, const Frame& frame) {
  switch (frame.type) {
    case FrameType::kCredit:
    case FrameType::kCreditRecall:
    case FrameType::kCreditReturn:
    case FrameType::kBlocked:
      if (const auto credit = parse_credit(frame.type, frame.body)) return write_credit(out, frame.type, *credit), true;
      return false;
    case FrameType::kAbandon:
      if (const auto key = parse_abandon(frame.body)) return write_abandon(out, *key), true;
      return false;
    case FrameType::kForget:
      if (const auto number = parse_forget(frame.body)) return write_forget(out, *number), true;
      return false;
    case FrameType::kPathChallenge:
    case FrameType::kPathResponse:
      if (const auto token = parse_path(frame.body)) return write_path(out, frame.type, *token), true;
      return false;
    case FrameType::kClose:
      if (const auto reason = parse_close(frame.body)) return write_close(out, *reason), true;
      return false;
    default:
      return false;
  }
}

void check_frame(const Frame& frame, Room& room) {
  if (frame.type == FrameType::kAck) check_ack(frame.body, room);
  Writer out(room);
  if (!write_again(out, frame)) return;
  // What the document has as zero is not compared: CREDIT and its kin have it at 4..7, ABANDON at 2..3.
  const auto again = std::span<const std::byte>(out.written()).subspan(kFrameHeaderSize);
  TIDEWAY_CHECK(again.size() == frame.body.size());
  const size_t zeros_from = frame.type == FrameType::kAbandon ? 2 : 4, zeros_end = frame.type == FrameType::kAbandon ? 4 : 8;
  const bool has_zeros = frame.type <= FrameType::kAbandon;
  for (size_t i = 0; i < again.size(); ++i)
    TIDEWAY_CHECK(again[i] == frame.body[i] || (has_zeros && i >= zeros_from && i < zeros_end));
}

}  // namespace
}  // namespace tideway::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  static wire::Room room;
  const auto plain = std::as_bytes(std::span(data, size));
  static_cast<void>(wire::parse_ack(plain));  // also without the length of a frame in front
  size_t total = 0;
  wire::FrameReader frames(plain);
  while (const auto frame = frames.next()) {
    total += wire::kFrameHeaderSize + frame->body.size();
    TIDEWAY_CHECK(total <= size && static_cast<uint8_t>(frame->type) < wire::kIgnorableFrom);
    wire::check_frame(*frame, room);
  }
  TIDEWAY_CHECK(!frames.next());
  return 0;
}
