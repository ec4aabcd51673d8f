// SPDX-License-Identifier: Apache-2.0
#include "engine/block_writes.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr uint32_t kWritingsMax = 1 << 14;  // numbers of blocks being written; far more than buffers
static_assert(kWritingsMax << 16 == kWriteTokens);

}  // namespace

void tell_freed(Rings& rings, const BufferFreed& freed) {
  const uint32_t net_worker = net_worker_of(freed.lane);
  pass_on(rings.io_net[net_worker]->freed, BufferFreed(freed), *rings.net_bells[net_worker]);
}

void give_home(Rings& rings, BlockUnpacked&& block, Bytes credit_max) {
  if (block.block.ok()) block.block.value().bytes.reset();
  tell_freed(rings, {block.lane, block.key.slot, credit_max});
}

Status claim_segments(BlockUnpacked&& received, transfer::Receiver& receiver, Writing& writing) {
  writing.lane = received.lane;
  writing.transfer = received.transfer;
  writing.block = std::move(received.block).value();
  const block::SegmentList& segments = writing.block.segments;
  block::SegmentList bad;
  uint32_t offset = 0;
  Status status = success();
  for (size_t i = 0; i < segments.size() && status.ok(); offset += segments[i].length, ++i) {
    if (std::binary_search(writing.block.bad.begin(), writing.block.bad.end(), static_cast<uint32_t>(i))) {
      bad.push_back(segments[i]);
      continue;
    }
    const auto claimed = receiver.claim(segments[i]);
    if (!claimed.ok()) status = claimed.error();
    if (!claimed.ok() || !claimed.value()) continue;
    writing.good.push_back(segments[i]);
    writing.offsets.push_back(offset);
  }
  if (!bad.empty() && status.ok()) status = receiver.on_damaged(writing.block.key, bad, writing.block.bad_because);
  return status;
}

void note_written(Time now, const Writing& writing, SyncPace& pace) {
  const Bytes bytes(writing.block.raw.size());
  if (writing.has_begun) pace.on_write_ended(bytes);
  pace.on_written(now, bytes);
}

void BlockWrites::add(std::unique_ptr<Writing> writing) {
  while (writings_.contains(next_)) next_ = (next_ + 1) % kWritingsMax;
  writings_[next_] = std::move(writing);
  order_.push_back(next_);
  next_ = (next_ + 1) % kWritingsMax;
}

bool BlockWrites::submit(ObjectStore& store, SyncPace& pace, const MayWrite& may_write) {
  bool worked = false;
  for (const uint32_t number : order_) {
    Writing& writing = *writings_[number];
    while (writing.submitted < writing.good.size() && may_write(writing)) {
      const block::Segment& segment = writing.good[writing.submitted];
      const auto bytes = writing.block.raw.subspan(writing.offsets[writing.submitted], segment.length);
      const StoreRequest request{StoreOp::kWrite, number << 16 | static_cast<uint32_t>(writing.submitted), segment.object,
                                 kLeafSize * segment.leaf, {const_cast<std::byte*>(bytes.data()), bytes.size()}};
      if (store.submit({&request, 1}) == 0) return worked;
      if (!std::exchange(writing.has_begun, true)) pace.on_write_begun(Bytes(writing.block.raw.size()));
      writing.submitted += 1;
      worked = true;
    }
  }
  return worked;
}

std::unique_ptr<Writing> BlockWrites::take(size_t place) {
  const auto found = writings_.find(order_[place]);
  std::unique_ptr<Writing> writing = std::move(found->second);
  writings_.erase(found);
  order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(place));
  return writing;
}

std::unique_ptr<Writing> BlockWrites::next_written() {
  const auto is_through = [this](uint32_t number) { return writings_[number]->answered == writings_[number]->good.size(); };
  const auto found = std::ranges::find_if(order_, is_through);
  return found == order_.end() ? nullptr : take(static_cast<size_t>(found - order_.begin()));
}

std::unique_ptr<Writing> BlockWrites::take_any() { return order_.empty() ? nullptr : take(0); }

bool BlockWrites::has_any_of(TransferHandle transfer) const {
  return std::ranges::any_of(writings_, [&](const auto& one) { return one.second->transfer == transfer; });
}

}  // namespace tideway::engine
