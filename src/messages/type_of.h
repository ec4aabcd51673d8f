// SPDX-License-Identifier: Apache-2.0
//
// The number of each message struct, for templates that frame any of them.
// Pure.
#pragma once
#include "messages/transfer_messages.h"

namespace tideway::messages {

constexpr MessageType type_of(const Hello&) { return MessageType::kHello; }
constexpr MessageType type_of(const Lanes&) { return MessageType::kLanes; }
constexpr MessageType type_of(const KeepAlive&) { return MessageType::kKeepAlive; }
constexpr MessageType type_of(const KeepAliveReply&) { return MessageType::kKeepAliveReply; }
constexpr MessageType type_of(const Goodbye&) { return MessageType::kGoodbye; }
constexpr MessageType type_of(const PeerError&) { return MessageType::kError; }
constexpr MessageType type_of(const OpenTransfer&) { return MessageType::kOpenTransfer; }
constexpr MessageType type_of(const TransferAccepted&) { return MessageType::kTransferAccepted; }
constexpr MessageType type_of(const ManifestPage&) { return MessageType::kManifestPage; }
constexpr MessageType type_of(const Needs&) { return MessageType::kNeeds; }
constexpr MessageType type_of(const ManifestEnd&) { return MessageType::kManifestEnd; }
constexpr MessageType type_of(const ObjectEnds&) { return MessageType::kObjectEnds; }
constexpr MessageType type_of(const TransferRoot&) { return MessageType::kTransferRoot; }
constexpr MessageType type_of(const BlocksDelivered&) { return MessageType::kBlocksDelivered; }
constexpr MessageType type_of(const SegmentsRejected&) { return MessageType::kSegmentsRejected; }
constexpr MessageType type_of(const Durable&) { return MessageType::kDurable; }
constexpr MessageType type_of(const Published&) { return MessageType::kPublished; }
constexpr MessageType type_of(const PublishedAck&) { return MessageType::kPublishedAck; }
constexpr MessageType type_of(const CancelTransfer&) { return MessageType::kCancelTransfer; }
constexpr MessageType type_of(const TransferClosed&) { return MessageType::kTransferClosed; }
constexpr MessageType type_of(const PhaseNotice&) { return MessageType::kPhaseNotice; }
constexpr MessageType type_of(const Progress&) { return MessageType::kProgress; }
constexpr MessageType type_of(const ObjectsHeld&) { return MessageType::kObjectsHeld; }
constexpr MessageType type_of(const BaseLeaves&) { return MessageType::kBaseLeaves; }
constexpr MessageType type_of(const SameLeaves&) { return MessageType::kSameLeaves; }
constexpr MessageType type_of(const RemoveTree&) { return MessageType::kRemoveTree; }
constexpr MessageType type_of(const ListRoots&) { return MessageType::kListRoots; }

}  // namespace tideway::messages
