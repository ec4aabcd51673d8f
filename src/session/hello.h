// SPDX-License-Identifier: Apache-2.0
//
// The greeting of two gateways and what follows from it: which version and limits both keep to, the session id, and
// the keys of every flow (docs/protocol.md, "Keys").
// Thread: control.
#pragma once
#include "crypto/key_schedule.h"
#include "messages/session_messages.h"
#include "mem/buffer.h"

#include <map>
#include <string_view>

namespace tideway::session {

inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr uint32_t kFlowsMax = 64;         // of one session
inline constexpr uint32_t kTransfersMax = 64;     // active ones of one peer, over all its sessions
inline constexpr uint64_t kCreditUnit = kBufferSize;  // receivers use equal buffers, so a block is charged a whole one

// The feature of a side that wants its sessions to end when UDP seems to be policed, because it can dial another over TLS.
inline constexpr std::string_view kReportsPolicing = "reports-policing";

// What a peer is told of an engine.
struct HelloEngine {
  uint32_t buffers_receiving = 1, net_workers = 1;
  std::string packet_backend = "udp";
};
// Our side's Hello.
messages::Hello make_hello(const crypto::HelloRandom& random, const HelloEngine& engine);

// Whether the two can work together. Errors: protocol_version, naming both sides' ranges.
Status check_compatible(const messages::Hello& ours, const messages::Hello& theirs);

enum class Side : uint8_t { kDialling, kAccepting };

// The keys of a session's flows. Key epochs 0 and 1 are made when a lane opens, each later one ahead of its use.
class FlowKeys {
 public:
  FlowKeys(Side side, std::span<const std::byte, crypto::kSecretSize> exporter) : side_(side), schedule_(exporter) {}

  enum class Use : uint8_t { kSend, kReceive };
  // The next key epoch's key of this flow and use: 0 at the first call, then 1, 2, ...
  std::unique_ptr<Aead> next_key(FlowId flow, Use use);
  // Of the key that the next call gives.
  KeyEpoch next_epoch(FlowId flow, Use use) const;

 private:
  crypto::FlowDirection direction(Use use) const;
  Side side_;
  crypto::KeySchedule schedule_;
  std::map<std::pair<FlowId, Use>, crypto::FlowSecret> secrets_;  // of the newest key that was made
};

}  // namespace tideway::session
