// SPDX-License-Identifier: Apache-2.0
//
// Whether the messages of examples.h are, byte for byte, those of docs/vectors, and the bad ones are refused.
#include "unit/messages/examples.h"

#include <functional>

namespace tideway::messages {
namespace {

struct Row {
  const char* name;
  std::function<std::string()> serialized;
  std::function<bool(Body)> parses_back;
};

template <typename Message>
Row row(const char* name, const Message& message, Result<Message> (*parse)(Body)) {
  return {name, [=] { return serialize(message); },
          [=](Body body) {
            const auto parsed = parse(body);
            return parsed.ok() && parsed.value() == message;
          }};
}

const Hash128 kLeaf = counted<16>(0x20);

std::vector<Row> rows() {
  return {
      row("hello", example_hello(), parse_hello),
      row("lanes", example_lanes(), parse_lanes),
      row("keep_alive", KeepAlive{300}, parse_keep_alive),
      row("keep_alive_reply", KeepAliveReply{300}, parse_keep_alive_reply),
      row("goodbye", Goodbye{"overloaded", "restart", 10'000}, parse_goodbye),
      row("error", example_error(), parse_error),
      row("open_transfer_push", example_push(), parse_open_transfer),
      row("open_transfer_pull", example_pull(), parse_open_transfer),
      row("open_transfer_list", example_list(), parse_open_transfer),
      row("transfer_accepted",
          TransferAccepted{kTransfer, SlotId(9), 64 << 20, true, name_of_path("a/b"), PublishForm::kMarker},
          parse_transfer_accepted),
      row("manifest_page", example_page(), parse_manifest_page),
      row("needs", Needs{kTransfer, 7, NeedsKind::kAllBut, {ObjectId(1), ObjectId(500)}}, parse_needs),
      row("manifest_end", ManifestEnd{kTransfer, 4, Bytes((8 << 20) + 1), 2}, parse_manifest_end),
      row("object_end", ObjectEnds{kTransfer, {{ObjectId(1), 2, Bytes((8 << 20) + 1), kRoot}}}, parse_object_ends),
      row("transfer_root", TransferRoot{kTransfer, kRoot}, parse_transfer_root),
      row("blocks_delivered", BlocksDelivered{kTransfer, {{BlockId(0), 3}, {BlockId(5), 1}}}, parse_blocks_delivered),
      row("segments_rejected", SegmentsRejected{kTransfer, BlockId(8), {{ObjectId(1), 2}}, "hash_mismatch"},
          parse_segments_rejected),
      row("durable", Durable{kTransfer, {{0, 3}, {5, 1}}, Bytes((8 << 20) + 1)}, parse_durable),
      row("published", Published{kTransfer, kRoot, 4, Bytes((8 << 20) + 1)}, parse_published),
      row("published_ack", PublishedAck{kTransfer}, parse_published_ack),
      row("cancel_transfer", CancelTransfer{kTransfer, "cancelled", true}, parse_cancel_transfer),
      row("transfer_closed", TransferClosed{kTransfer, "", false}, parse_transfer_closed),
      row("phase_notice", PhaseNotice{0xea9e24ad81d9b0fd, PhaseNotice::Kind::kBegin, 300, 400'000, 1'000'000, 5'000, 900'000, 40'000'000}, parse_phase_notice),
      row("progress", Progress{kTransfer, 3_GiB, 2_GiB, 1_GiB, "store"}, parse_progress),
      row("objects_held", example_held(), parse_objects_held),
      row("base_leaves", BaseLeaves{kTransfer, 7, {{ObjectId(1), 2, {kLeaf, kLeaf}}, {ObjectId(500), 0, {kLeaf}}}}, parse_base_leaves),
      row("same_leaves", SameLeaves{kTransfer, BlockId(5), {{ObjectId(1), 2, 4 << 20, kLeaf}}}, parse_same_leaves),
      row("remove_tree", RemoveTree{kTransfer, "ckpt", name_of_path("runs/llm7/step-100"), kRoot}, parse_remove_tree),
      row("list_roots", ListRoots{kTransfer}, parse_list_roots),
  };
}

TEST(ControlVectors, EveryExampleIsWrittenAndReadAsInTheFile) {
  auto vectors = test::load_vectors("control_messages.txt");
  for (const Row& row : rows()) {
    EXPECT_EQ(test::to_hex(body_of(row.serialized())), test::to_hex(vectors[row.name])) << row.name;
    EXPECT_TRUE(row.parses_back(vectors[row.name])) << row.name;
  }
  EXPECT_EQ(vectors.size(), rows().size());
}

TEST(ControlVectors, BadMessagesAreRefused) {
  auto vectors = test::load_vectors("refused_control_messages.txt");
  const auto page = parse_manifest_page(vectors["good_page"]);
  const auto open = parse_open_transfer(vectors["good_open"]);
  ASSERT_TRUE(page.ok() && open.ok()) << "else the bad ones are bad for another reason";
  vectors.erase("good_page");
  vectors.erase("good_open");
  for (const auto& [name, bytes] : vectors) {
    const bool is_refused = name.starts_with("hello")  ? !parse_hello(bytes).ok()
                            : name.starts_with("page") ? !parse_manifest_page(bytes).ok()
                                                       : !parse_open_transfer(bytes).ok();
    EXPECT_TRUE(is_refused) << name;
  }
}

}  // namespace
}  // namespace tideway::messages
