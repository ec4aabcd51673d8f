// SPDX-License-Identifier: Apache-2.0
//
// Frames: what ACK, CTRL, PROBE and CLOSE packets carry inside the ciphertext (docs/protocol.md, "Frames").
// `u8 type, u8 flags, u16 length of body, body`. Frames that carry state hold the newest value, so a lost one is
// repaired by sending the state again.
// Pure.
#pragma once
#include "base/cursor.h"
#include <tideway/ids.h>
#include <tideway/time.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace tideway::wire {

enum class FrameType : uint8_t {
  kPadding = 0x00,
  kAck = 0x01,
  kCredit = 0x02,
  kCreditRecall = 0x03,
  kCreditReturn = 0x04,
  kBlocked = 0x05,
  kAbandon = 0x06,
  kForget = 0x07,
  kKeyRequest = 0x08,
  kPathChallenge = 0x09,
  kPathResponse = 0x0A,
  kClose = 0x0B,
};
inline constexpr uint8_t kIgnorableFrom = 0x80;  // unknown types from here on are skipped, others end the session
inline constexpr size_t kFrameHeaderSize = 4;

// Writes the header of a frame; the caller writes `body_size` bytes after it.
void write_frame_header(Writer& out, FrameType type, size_t body_size);

struct Frame {
  FrameType type;
  std::span<const std::byte> body;
};

// Walks the frames of an opened packet.
class FrameReader {
 public:
  explicit FrameReader(std::span<const std::byte> plain) : in_(plain) {}
  std::optional<Frame> next();  // nothing: the end, or an error
  bool is_malformed() const { return is_malformed_; }

 private:
  Reader in_;
  bool is_malformed_ = false;
};

// Packet numbers first..last, both included.
struct PacketRange {
  uint64_t first = 0, last = 0;
  bool operator==(const PacketRange&) const = default;
};

inline constexpr size_t kAckRangesMax = 256;
inline constexpr size_t kAckFixedSize = 56;

struct AckFrame {
  AckFrame() {}  // leaves the 4 KiB of ranges alone
  uint64_t largest = 0;
  uint64_t floor = 0;        // nothing below is reported any more
  Time received_at;          // of `largest`, on the receiver's clock
  Duration ack_delay{};      // from then to the sealing of this packet
  uint64_t delivered = 0;    // payload bytes accepted for the first time on this flow
  uint64_t ecn_ect0 = 0, ecn_ce = 0;  // packets seen with these marks
  size_t ranges_count = 0;
  std::array<PacketRange, kAckRangesMax> ranges;  // newest first, apart from each other

  std::span<const PacketRange> received() const { return {ranges.data(), ranges_count}; }
};

// As many of the frame's ranges as `out` has room for, newest first; returns how many. `out` has room for the fixed part.
size_t write_ack(Writer& out, const AckFrame& frame);
std::optional<AckFrame> parse_ack(std::span<const std::byte> body);

// CREDIT, CREDIT_RETURN, BLOCKED; CREDIT_RECALL has no limit.
struct CreditFrame {
  SlotId slot;
  LaneId lane;
  uint64_t limit = 0;
  bool operator==(const CreditFrame&) const = default;
};
inline constexpr size_t kCreditFrameSize = kFrameHeaderSize + 16;  // CREDIT_RECALL: 12 less
void write_credit(Writer& out, FrameType type, const CreditFrame& frame);
std::optional<CreditFrame> parse_credit(FrameType type, std::span<const std::byte> body);

inline constexpr size_t kAbandonFrameSize = kFrameHeaderSize + 8;
void write_abandon(Writer& out, BlockKey key);
std::optional<BlockKey> parse_abandon(std::span<const std::byte> body);

inline constexpr size_t kForgetFrameSize = kFrameHeaderSize + 8;
void write_forget(Writer& out, uint64_t packet_number);
std::optional<uint64_t> parse_forget(std::span<const std::byte> body);

using PathToken = std::array<std::byte, 16>;
inline constexpr size_t kPathFrameSize = kFrameHeaderSize + 16;
void write_path(Writer& out, FrameType type, const PathToken& token);
std::optional<PathToken> parse_path(std::span<const std::byte> body);

enum class CloseReason : uint16_t { kDone = 0, kGoingAway = 1, kProtocolError = 2, kKeyLimit = 3, kReplaced = 4 };
inline constexpr size_t kCloseFrameSize = kFrameHeaderSize + 2;
void write_close(Writer& out, CloseReason reason);
std::optional<CloseReason> parse_close(std::span<const std::byte> body);

void write_padding(Writer& out, size_t total);  // `total` counts the frame's header; at least kFrameHeaderSize

}  // namespace tideway::wire
