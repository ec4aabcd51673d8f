// SPDX-License-Identifier: Apache-2.0
#include "transfer/block_builder.h"

#include <algorithm>

namespace tideway::transfer {
namespace {

constexpr uint64_t kLeaf = kLeafSize.count();

uint64_t bytes_left(Bytes size, uint32_t next_leaf) { return size.count() - next_leaf * kLeaf; }

}  // namespace

void BlockBuilder::add_object(ObjectId object, Bytes size) {
  TIDEWAY_CHECK(size > 0_B);
  queue_.push_back({object, size});
  queued_bytes_ += size.count();
  queued_leaves_ += leaf_count(size);
}

void BlockBuilder::add_again(const LeafRead& leaf) {
  again_.push_back(leaf);
  queued_bytes_ += leaf.length;
  queued_leaves_ += 1;
}

void BlockBuilder::drop_object(ObjectId object) {
  std::erase_if(queue_, [&](const Queued& queued) {
    if (queued.object != object) return false;
    queued_bytes_ -= bytes_left(queued.size, queued.next_leaf);
    queued_leaves_ -= leaf_count(queued.size) - queued.next_leaf;
    return true;
  });
  std::erase_if(again_, [&](const LeafRead& leaf) {
    if (leaf.object != object) return false;
    queued_bytes_ -= leaf.length;
    queued_leaves_ -= 1;
    return true;
  });
}

std::optional<LeafRead> BlockBuilder::peek() const {
  if (!again_.empty()) return again_.front();
  if (queue_.empty()) return std::nullopt;
  const Queued& front = queue_.front();
  return LeafRead{front.object, front.next_leaf, leaf_length(front.size, front.next_leaf), 0};
}

void BlockBuilder::take() {
  const LeafRead leaf = *peek();
  queued_bytes_ -= leaf.length;
  queued_leaves_ -= 1;
  if (!again_.empty()) {
    again_.pop_front();
  } else if (++queue_.front().next_leaf == leaf_count(queue_.front().size)) {
    queue_.pop_front();
  }
}

bool BlockBuilder::is_worth_closing() const { return queued_bytes_ >= kLeaf || queued_leaves_ >= kSegmentsMax; }

std::optional<BlockPlan> BlockBuilder::next(More more) {
  if (is_empty() || (more == More::kComing && !is_worth_closing())) return std::nullopt;
  BlockPlan plan;
  plan.key.block = BlockId(next_block_++);
  while (const auto leaf = peek()) {
    if (plan.raw_size + leaf->length > kLeaf || plan.leaves.size() == kSegmentsMax) break;
    plan.leaves.push_back(*leaf);
    plan.leaves.back().at = plan.raw_size;
    plan.raw_size += leaf->length;
    take();
  }
  return plan;
}

}  // namespace tideway::transfer
