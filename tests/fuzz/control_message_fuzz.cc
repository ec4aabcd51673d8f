// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the body of a control message; the first byte picks the type. What parses can be written, and is the
// same when it is read again.
#include "messages/transfer_messages.h"

namespace {

using namespace tideway;
using namespace tideway::messages;

template <typename Message>
void check(Result<Message> (*parse)(Body), Body body) {
  const auto parsed = parse(body);
  if (!parsed.ok()) {
    TIDEWAY_CHECK(parsed.error().fault == Fault::kProtocolError && !parsed.error().what.empty());
    return;
  }
  const std::string again = serialize(parsed.value());
  TIDEWAY_CHECK(parse(std::as_bytes(std::span(again))).value() == parsed.value());
}

void check_type(MessageType type, Body body) {
  switch (type) {
    case MessageType::kHello: return check(parse_hello, body);
    case MessageType::kLanes: return check(parse_lanes, body);
    case MessageType::kKeepAlive: return check(parse_keep_alive, body);
    case MessageType::kKeepAliveReply: return check(parse_keep_alive_reply, body);
    case MessageType::kGoodbye: return check(parse_goodbye, body);
    case MessageType::kError: return check(parse_error, body);
    case MessageType::kOpenTransfer: return check(parse_open_transfer, body);
    case MessageType::kTransferAccepted: return check(parse_transfer_accepted, body);
    case MessageType::kManifestPage: return check(parse_manifest_page, body);
    case MessageType::kNeeds: return check(parse_needs, body);
    case MessageType::kManifestEnd: return check(parse_manifest_end, body);
    case MessageType::kObjectEnds: return check(parse_object_ends, body);
    case MessageType::kTransferRoot: return check(parse_transfer_root, body);
    case MessageType::kBlocksDelivered: return check(parse_blocks_delivered, body);
    case MessageType::kSegmentsRejected: return check(parse_segments_rejected, body);
    case MessageType::kDurable: return check(parse_durable, body);
    case MessageType::kPublished: return check(parse_published, body);
    case MessageType::kPublishedAck: return check(parse_published_ack, body);
    case MessageType::kCancelTransfer: return check(parse_cancel_transfer, body);
    case MessageType::kTransferClosed: return check(parse_transfer_closed, body);
    case MessageType::kPhaseNotice: return check(parse_phase_notice, body);
    case MessageType::kProgress: return check(parse_progress, body);
    case MessageType::kObjectsHeld: return check(parse_objects_held, body);
    case MessageType::kBaseLeaves: return check(parse_base_leaves, body);
    case MessageType::kSameLeaves: return check(parse_same_leaves, body);
    case MessageType::kRemoveTree: return check(parse_remove_tree, body);
    case MessageType::kListRoots: return check(parse_list_roots, body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  if (const auto type = message_type(data[0])) check_type(*type, std::as_bytes(std::span(data, size)).subspan(1));
  return 0;
}
