// SPDX-License-Identifier: Apache-2.0
//
// Messages about trees that were published before: what of one need not be sent again, and that one is to go.
#include "messages/transfer_messages.h"

#include "messages/field_check.h"
#include <tideway/object_store.h>

#include <control.pb.h>

#include <cstring>

namespace tideway::messages {

Result<BaseLeaves> parse_base_leaves(Body body) {
  FieldCheck check(MessageType::kBaseLeaves);
  proto::BaseLeaves in;
  BaseLeaves out;
  if (!check.read(body, in)) return check.take_failure();
  check.copy(in.transfer(), out.transfer, "transfer");
  out.page = in.page();
  const auto count = static_cast<size_t>(in.run_size());
  if (!check.require(count >= 1 && count <= kBaseRunsMax, "run", "is not there 1 to 1024 times")) return check.take_failure();
  size_t hashes = 0;
  for (const proto::BaseRun& run : in.run()) {
    const std::string& bytes = run.hashes();
    if (!check.require(!bytes.empty() && bytes.size() % sizeof(Hash128) == 0, "run.hashes", "has the wrong length")) return check.take_failure();
    BaseRun& made = out.runs.emplace_back(BaseRun{ObjectId(run.object()), run.first(), std::vector<Hash128>(bytes.size() / sizeof(Hash128))});
    std::memcpy(made.hashes.data(), bytes.data(), made.hashes.size() * sizeof(Hash128));
    check.require(uint64_t{made.first} + made.hashes.size() <= uint64_t{1} << 32, "run.first", "is too high");
    hashes += made.hashes.size();
  }
  check.require(hashes <= kBaseHashesMax, "run", "has more than 2048 hashes in all");
  return check.finish(std::move(out));
}

std::string serialize(const BaseLeaves& message) {
  proto::BaseLeaves out;
  out.set_transfer(to_text(message.transfer));
  out.set_page(message.page);
  for (const BaseRun& run : message.runs) {
    proto::BaseRun& run_out = *out.add_run();
    run_out.set_object(run.object.value());
    run_out.set_first(run.first);
    for (const Hash128& hash : run.hashes) run_out.mutable_hashes()->append(to_text(hash));
  }
  return to_body(MessageType::kBaseLeaves, out);
}

Result<SameLeaves> parse_same_leaves(Body body) {
  FieldCheck check(MessageType::kSameLeaves);
  proto::SameLeaves in;
  SameLeaves out;
  if (!check.read(body, in)) return check.take_failure();
  check.copy(in.transfer(), out.transfer, "transfer");
  out.block = BlockId(in.block());
  const auto count = static_cast<size_t>(in.leaf_size());
  if (!check.require(count >= 1 && count <= kSameLeavesMax, "leaf", "is not there 1 to 1024 times")) return check.take_failure();
  for (const proto::SameLeaf& leaf : in.leaf()) {
    SameLeaf& made = out.leaves.emplace_back(SameLeaf{ObjectId(leaf.object()), leaf.leaf(), leaf.length(), {}});
    check.require(made.length >= 1 && made.length <= kLeafSize.count(), "leaf.length", "is not 1 to 4 MiB");
    check.copy(leaf.hash(), made.hash, "leaf.hash");
  }
  return check.finish(std::move(out));
}

std::string serialize(const SameLeaves& message) {
  proto::SameLeaves out;
  out.set_transfer(to_text(message.transfer));
  out.set_block(message.block.value());
  for (const SameLeaf& leaf : message.leaves) {
    proto::SameLeaf& leaf_out = *out.add_leaf();
    leaf_out.set_object(leaf.object.value());
    leaf_out.set_leaf(leaf.leaf);
    leaf_out.set_length(leaf.length);
    leaf_out.set_hash(to_text(leaf.hash));
  }
  return to_body(MessageType::kSameLeaves, out);
}

Result<RemoveTree> parse_remove_tree(Body body) {
  FieldCheck check(MessageType::kRemoveTree);
  proto::RemoveTree in;
  RemoveTree out;
  if (!check.read(body, in)) return check.take_failure();
  check.copy(in.transfer(), out.transfer, "transfer");
  out.root = in.root();
  check.require(is_root_name(out.root), "root", "is not 1 to 64 characters of A-Z, a-z, 0-9, _, . and -");
  out.name = check.name(in.name(), "name");
  check.require(!out.name.is_root(), "name", "is the root itself");
  check.copy(in.tree_root(), out.tree_root, "tree_root");
  return check.finish(std::move(out));
}

std::string serialize(const RemoveTree& message) {
  proto::RemoveTree out;
  out.set_transfer(to_text(message.transfer));
  out.set_root(message.root);
  out.set_name(encode_name(message.name));
  out.set_tree_root(to_text(message.tree_root));
  return to_body(MessageType::kRemoveTree, out);
}

}  // namespace tideway::messages
