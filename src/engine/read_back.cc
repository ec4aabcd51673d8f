// SPDX-License-Identifier: Apache-2.0
#include "engine/read_back.h"

#include "base/log.h"
#include "digest/leaf_hash.h"
#include <tideway/check.h>

#include <algorithm>

namespace tideway::engine {

std::optional<size_t> LeafBuffers::take() {
  const auto free = std::ranges::find(is_taken_, false);
  if (free == is_taken_.end()) return std::nullopt;
  if (!leaves_) leaves_ = std::make_unique_for_overwrite<Leaf[]>(kCount);
  *free = true;
  return static_cast<size_t>(free - is_taken_.begin());
}

ReadBack::~ReadBack() {
  for (size_t i = 0; i < reads_.size(); ++i)
    if (reads_[i]) buffers_.give_back(i);
}

void ReadBack::on_written(BlockKey key, block::SegmentList&& segments) {
  for (const block::Segment& segment : segments) unchecked_ += Bytes(segment.length);
  written_.push_back({key, std::move(segments), {}});
}

void ReadBack::on_sync_begun() {
  TIDEWAY_CHECK(checking_.empty());
  is_synced_ = false;
  checking_ = std::exchange(written_, {});
}

Status ReadBack::on_synced() {
  is_synced_ = true;
  return success();
}

bool ReadBack::submit(ObjectStore& store, uint32_t tokens) {
  if (!is_synced_) return false;
  bool worked = false;
  for (Checking& block : checking_) {
    while (block.asked < block.segments.size()) {
      const auto buffer = buffers_.take();
      if (!buffer) return worked;
      const block::Segment& segment = block.segments[block.asked];
      const StoreRequest request{StoreOp::kReadBack, tokens + static_cast<uint32_t>(*buffer), segment.object,
                                 kLeafSize * segment.leaf, buffers_.at(*buffer).first(segment.length)};
      if (store.submit({&request, 1}) == 0) {
        buffers_.give_back(*buffer);
        return worked;
      }
      reads_[*buffer] = Read{&block, block.asked};
      block.asked += 1;
      worked = true;
    }
  }
  return worked;
}

Status ReadBack::on_answer(uint32_t index, const Status& status) {
  TIDEWAY_CHECK(index < reads_.size() && reads_[index]);
  const Read read = *std::exchange(reads_[index], std::nullopt);
  const block::Segment& segment = read.block->segments[read.segment];
  const bool is_right = status.ok() && digest::leaf_hash(buffers_.at(index).first(segment.length)) == segment.hash;
  buffers_.give_back(index);
  if (!status.ok()) return status;
  bytes_read_.add(segment.length);
  read.block->answered += 1;
  if (is_right) return success();
  read.block->bad.push_back(read.segment);
  const std::string leaf = "leaf " + std::to_string(segment.leaf) + " of object " + std::to_string(segment.object.value());
  log::warning("read_back_wrong", "leaf=" + std::to_string(segment.leaf) + " object=" + std::to_string(segment.object.value()) +
                                      " why=\"the device holds other bytes than were written to it\"");
  if (wrong_.insert({segment.object, segment.leaf}).second && wrong_.size() <= kWrongMax) return success();
  return Error{Fault::kHashMismatch, leaf + " came back from the destination's device with other bytes than were written to it, after " +
                                         std::to_string(wrong_.size()) + " such leaves",
               "look at the kernel log, replace the device, or copy somewhere else"};
}

std::optional<ReadBack::Block> ReadBack::next_checked() {
  if (!is_synced_ || checking_.empty() || checking_.front().answered < checking_.front().segments.size()) return std::nullopt;
  Checking& front = checking_.front();
  Block block{front.key, {}, {}};
  std::ranges::sort(front.bad);
  for (size_t i = 0; i < front.segments.size(); ++i) {
    unchecked_ -= Bytes(front.segments[i].length);
    const bool is_bad = std::ranges::binary_search(front.bad, i);
    (is_bad ? block.bad : block.good).push_back(front.segments[i]);
  }
  checking_.pop_front();
  return block;
}

}  // namespace tideway::engine
