// SPDX-License-Identifier: Apache-2.0
#include "transfer/block_builder.h"

#include <bit>

namespace tideway::transfer {
namespace {

constexpr uint64_t kLeaf = kLeafSize.count();
constexpr uint64_t kFirstShared = (256_KiB).count();  // what a lane sends before it knows its rate
constexpr uint32_t kSmallBlocks = std::countr_zero(kLeaf / kFirstShared);  // each twice as large as the one before

}  // namespace

uint64_t BlockBuilder::Queued::bytes_left() const {
  return (left.end - left.first - 1) * kLeaf + leaf_length(size, left.end - 1);
}

void BlockBuilder::add_leaves(ObjectId object, Bytes size, Leaves leaves) {
  TIDEWAY_CHECK(leaves.first < leaves.end && leaves.end <= leaf_count(size));
  queue_.push_back({object, size, leaves});
  queued_bytes_ += queue_.back().bytes_left();
  queued_leaves_ += leaves.end - leaves.first;
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
    queued_bytes_ -= front.bytes_left();
    queued_leaves_ -= front.left.end - front.left.first;
  }
}

std::optional<LeafRead> BlockBuilder::peek() const {
  if (!again_.empty()) return again_.front();
  if (queue_.empty()) return std::nullopt;
  const Queued& front = queue_.front();
  return LeafRead{front.object, front.left.first, leaf_length(front.size, front.left.first), 0};
}

void BlockBuilder::take() {
  const LeafRead leaf = *peek();
  queued_bytes_ -= leaf.length;
  queued_leaves_ -= 1;
  if (!again_.empty()) {
    again_.pop_front();
  } else if (++queue_.front().left.first == queue_.front().left.end) {
    queue_.pop_front();
  }
}

uint64_t BlockBuilder::shared_max() const { return kFirstShared << std::min(next_block_, kSmallBlocks); }

bool BlockBuilder::is_worth_closing() const { return queued_bytes_ >= shared_max() || queued_leaves_ >= kSegmentsMax; }

std::optional<BlockPlan> BlockBuilder::next(More more, const Wanted& wanted) {
  drop_unwanted(wanted);
  if (is_empty() || (more == More::kComing && !is_worth_closing())) return std::nullopt;
  const uint64_t bytes_max = shared_max();
  BlockPlan plan;
  plan.key.block = BlockId(next_block_++);
  for (; const auto leaf = peek(); drop_unwanted(wanted)) {
    const bool fits = plan.leaves.empty() || plan.raw_size + leaf->length <= bytes_max;
    if (!fits || plan.leaves.size() == kSegmentsMax) break;
    plan.leaves.push_back(*leaf);
    plan.leaves.back().at = plan.raw_size;
    plan.raw_size += leaf->length;
    take();
  }
  return plan;
}

}  // namespace tideway::transfer
