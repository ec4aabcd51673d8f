// SPDX-License-Identifier: Apache-2.0
//
// Numbers and sizes of control messages (docs/protocol.md). The session's framing checks a length against body_max
// before it takes memory for a body.
// Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tideway::messages {

enum class MessageType : uint16_t {
  kHello = 1,
  kLanes = 2,
  kKeepAlive = 3,
  kKeepAliveReply = 4,
  kGoodbye = 5,
  kError = 6,
  kOpenTransfer = 16,
  kTransferAccepted = 17,
  kManifestPage = 18,
  kNeeds = 19,
  kManifestEnd = 20,
  kObjectEnds = 21,
  kTransferRoot = 22,
  kBlocksDelivered = 23,
  kSegmentsRejected = 24,
  kDurable = 25,
  kPublished = 26,
  kPublishedAck = 27,
  kCancelTransfer = 28,
  kTransferClosed = 29,
  kPhaseNotice = 34,
  kProgress = 35,
  kObjectsHeld = 37,
  kBaseLeaves = 38,
  kSameLeaves = 39,
  kRemoveTree = 40,
  kListRoots = 41,
};

struct MessageTypeRow {
  MessageType type;
  std::string_view name;
  size_t body_max;
};

inline constexpr size_t kSmallBodyMax = 64 << 10;
inline constexpr size_t kPageBodyMax = 1 << 20;  // also what a compressed page may unpack to

inline constexpr MessageTypeRow kMessageTypes[] = {
    {MessageType::kHello, "Hello", 16 << 10},  // read from peers that are not authorised yet
    {MessageType::kLanes, "Lanes", kSmallBodyMax},
    {MessageType::kKeepAlive, "KeepAlive", 64},
    {MessageType::kKeepAliveReply, "KeepAliveReply", 64},
    {MessageType::kGoodbye, "Goodbye", 4 << 10},
    {MessageType::kError, "Error", 4 << 10},
    {MessageType::kOpenTransfer, "OpenTransfer", kPageBodyMax},  // names, filters and the first page
    {MessageType::kTransferAccepted, "TransferAccepted", kSmallBodyMax},
    {MessageType::kManifestPage, "ManifestPage", kPageBodyMax},
    {MessageType::kNeeds, "Needs", kSmallBodyMax},
    {MessageType::kManifestEnd, "ManifestEnd", 4 << 10},
    {MessageType::kObjectEnds, "ObjectEnd", kSmallBodyMax},
    {MessageType::kTransferRoot, "TransferRoot", 4 << 10},
    {MessageType::kBlocksDelivered, "BlocksDelivered", kSmallBodyMax},
    {MessageType::kSegmentsRejected, "SegmentsRejected", kSmallBodyMax},
    {MessageType::kDurable, "Durable", kSmallBodyMax},
    {MessageType::kPublished, "Published", 4 << 10},
    {MessageType::kPublishedAck, "PublishedAck", 4 << 10},
    {MessageType::kCancelTransfer, "CancelTransfer", 4 << 10},
    {MessageType::kTransferClosed, "TransferClosed", 4 << 10},
    {MessageType::kPhaseNotice, "PhaseNotice", 256},
    {MessageType::kProgress, "Progress", 4 << 10},
    {MessageType::kObjectsHeld, "ObjectsHeld", kSmallBodyMax},
    {MessageType::kBaseLeaves, "BaseLeaves", kSmallBodyMax},
    {MessageType::kSameLeaves, "SameLeaves", kSmallBodyMax},
    {MessageType::kRemoveTree, "RemoveTree", kSmallBodyMax},
    {MessageType::kListRoots, "ListRoots", 4 << 10},
};

// Nothing: a number this version does not know, to be skipped by length, or refused when marked critical.
constexpr std::optional<MessageType> message_type(uint16_t number) {
  for (const MessageTypeRow& row : kMessageTypes)
    if (static_cast<uint16_t>(row.type) == number) return row.type;
  return std::nullopt;
}

constexpr const MessageTypeRow& row_of(MessageType type) {
  size_t i = 0;
  while (kMessageTypes[i].type != type) ++i;
  return kMessageTypes[i];
}
// Who does not know it must not go on: what follows would mean something else to it, or the other side would wait for an answer.
constexpr bool is_critical(MessageType type) { return type == MessageType::kObjectsHeld || type == MessageType::kListRoots; }
constexpr size_t body_max(MessageType type) { return row_of(type).body_max; }
constexpr std::string_view name_of(MessageType type) { return row_of(type).name; }

}  // namespace tideway::messages
