// SPDX-License-Identifier: Apache-2.0
//
// Control messages between two gateways as such: greeting, lanes, sign of life, farewell, trouble. A struct that came
// out of a parse function is valid: every count, length, range and name in it was checked.
//
// parse_*:   `body` is one message body. Errors: protocol_error, naming message and field.
// serialize: the caller keeps to the limits below; a body above its type's cap is a failed check.
// Thread: control. Pure.
#pragma once
#include "messages/message_type.h"
#include <tideway/codec.h>
#include <tideway/ids.h>
#include <tideway/packet_io.h>
#include <tideway/result.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tideway::messages {

using Body = std::span<const std::byte>;

inline constexpr size_t kVersionsMax = 16;
inline constexpr size_t kFeaturesMax = 64;
inline constexpr size_t kNumbersMax = 32;         // codecs, AEADs, verification levels: far more than will exist
inline constexpr size_t kWordMax = 64;            // bytes of a feature, a code, a backend or a class: [a-z0-9_.-]
inline constexpr size_t kLanesMax = 64;
inline constexpr size_t kFlowsMax = 1024;         // over all lanes; keeps Lanes within 64 KiB
inline constexpr uint32_t kPayloadMin = 512;      // UDP payload that still holds header, frame and tag with profit
inline constexpr uint32_t kPayloadMax = 16 << 10;
inline constexpr size_t kDetailMax = 512;

enum class AeadId : uint8_t { kAes256Gcm = 1 };
enum class VerifyLevel : uint8_t { kWire = 1, kMemory = 2, kReadback = 3 };

struct Hello {
  std::vector<uint16_t> versions;     // at least one
  std::vector<std::string> features;  // unknown ones are kept: on is what both sides list
  std::array<std::byte, 16> random{};
  uint64_t instance_id = 0;           // random per process
  // Limits of the one who says hello; none is zero.
  uint32_t blocks_max = 0, segments_max = 0, flows_max = 0, transfers_max = 0, mtu_max = 0;
  uint64_t credit_unit = 0;           // bytes; a block's charge is rounded up to it
  // What this version does not know was left out by parse; at least one is left of each.
  std::vector<CodecId> codecs;
  std::vector<AeadId> aeads;
  std::vector<VerifyLevel> verify_levels;
  std::string backend;                // "udp", "dpdk", "sim": for people
  uint32_t net_workers = 0;           // at least one
  bool operator==(const Hello&) const = default;
};

struct FlowOffer {
  FlowId id;                          // used once in the message
  ConnectionId connection;            // to put into packets for it
  Endpoint address;                   // all-zero address: that of this control connection; the port is set
  uint32_t initial_payload = 0;       // kPayloadMin to kPayloadMax
  bool operator==(const FlowOffer&) const = default;
};
struct LaneOffer {
  LaneId id;                          // used once in the message
  std::vector<FlowOffer> flows;       // at least one
  bool operator==(const LaneOffer&) const = default;
};
struct Lanes {
  std::vector<LaneOffer> lanes;       // at least one
  Delivery delivery = Delivery::kDatagram;  // kStream: over TLS connections of their own, where UDP is blocked
  bool operator==(const Lanes&) const = default;
};

struct KeepAlive {
  uint64_t counter = 0;
  bool operator==(const KeepAlive&) const = default;
};
struct KeepAliveReply {
  uint64_t counter = 0;
  bool operator==(const KeepAliveReply&) const = default;
};

struct Goodbye {
  std::string code;                   // a word; empty: nothing is wrong
  std::string detail;                 // as in PeerError
  uint32_t drain_ms = 0;              // transfers may go on for so long
  bool operator==(const Goodbye&) const = default;
};

enum class Reaction : uint8_t { kEntryFailed = 1, kTransferWaits = 2, kTransferEnds = 3, kSessionEnds = 4 };

// A training at the sender's site has begun to communicate, or ended: for prediction only.
struct PhaseNotice {
  enum class Kind : uint8_t { kBegin = 1, kEnd = 2 };
  uint64_t training = 0;              // FNV-1a 64 of its name; not zero
  Kind kind = Kind::kBegin;
  uint32_t age_us = 0;                // ago, when this was written; at most kPhaseTimeMax, as the others
  uint32_t duration_us = 0, period_us = 0, jitter_us = 0, ttl_us = 0;  // 0: unknown
  uint64_t bytes = 0;                 // 0: unknown
  bool operator==(const PhaseNotice&) const = default;
};
inline constexpr uint32_t kPhaseTimeMax = 3'600'000'000;  // us: an hour

// Message `Error`; the name keeps it apart from tideway::Error.
struct PeerError {
  std::string code;                   // a word, see fault_named; an unknown one is handled by its reaction
  Reaction reaction = Reaction::kTransferEnds;
  // At most kDetailMax bytes; serialize shortens it, and escapes what a terminal would act on. What parse returns may
  // be shown as it is.
  std::string detail;
  std::optional<TransferId> transfer;
  std::optional<ObjectId> object;     // only with a transfer
  uint32_t retry_after_ms = 0;
  bool operator==(const PeerError&) const = default;
};

Result<Hello> parse_hello(Body body);
Result<Lanes> parse_lanes(Body body);
Result<KeepAlive> parse_keep_alive(Body body);
Result<KeepAliveReply> parse_keep_alive_reply(Body body);
Result<Goodbye> parse_goodbye(Body body);
Result<PeerError> parse_error(Body body);
Result<PhaseNotice> parse_phase_notice(Body body);

std::string serialize(const Hello& message);
std::string serialize(const Lanes& message);
std::string serialize(const KeepAlive& message);
std::string serialize(const KeepAliveReply& message);
std::string serialize(const Goodbye& message);
std::string serialize(const PeerError& message);
std::string serialize(const PhaseNotice& message);

}  // namespace tideway::messages
