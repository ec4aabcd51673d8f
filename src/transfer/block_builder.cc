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

void BlockBuilder::drop_unwanted(const Wanted& wanted) {
  for (; !again_.empty() && !wanted(again_.front().object); again_.pop_front()) {
    queued_bytes_ -= again_.front().length;
    queued_leaves_ -= 1;
  }
  for (; !queue_.empty() && !wanted(queue_.front().object); queue_.pop_front()) {
    const Queued& front = queue_.front();
    queued_bytes_ -= bytes_left(front.size, front.next_leaf);
    queued_leaves_ -= leaf_count(front.size) - front.next_leaf;
  }
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

std::optional<BlockPlan> BlockBuilder::next(More more, const Wanted& wanted) {
  drop_unwanted(wanted);
  if (is_empty() || (more == More::kComing && !is_worth_closing())) return std::nullopt;
  BlockPlan plan;
  plan.key.block = BlockId(next_block_++);
  for (; const auto leaf = peek(); drop_unwanted(wanted)) {
    if (plan.raw_size + leaf->length > kLeaf || plan.leaves.size() == kSegmentsMax) break;
    plan.leaves.push_back(*leaf);
    plan.leaves.back().at = plan.raw_size;
    plan.raw_size += leaf->length;
    take();
  }
  return plan;
}

}  // namespace tideway::transfer
