// SPDX-License-Identifier: Apache-2.0
#include "flow/send_window.h"

#include <tideway/check.h>

#include <algorithm>
#include <utility>

namespace tideway::flow {
namespace {

constexpr size_t kSetRoom = 16;  // room a block's sets start with; they seldom need more than three

Interval interval_of(const Range& range) {
  return {range.offset, uint64_t{range.offset} + range.length};
}

}  // namespace

SendWindow::SendWindow() : index_(kBlocksMax) {
  entries_.reserve(kBlocksMax);
  unused_.reserve(kBlocksMax);
  with_lost_.reserve(kBlocksMax);
  done_.reserve(kBlocksMax);
  resent_.resize(kResentMax);
}

bool SendWindow::is_full() const { return index_.size() >= kBlocksMax; }

// An entry used before has its memory already; a new one gets it here, once.
uint32_t SendWindow::add_entry() {
  if (!unused_.empty()) {
    const uint32_t entry = unused_.back();
    unused_.pop_back();
    return entry;
  }
  Block& block = entries_.emplace_back();
  block.acked.reserve(kSetRoom);
  block.lost.reserve(kSetRoom);
  block.marks.reserve(kBufferSize / kMarkSize + 1);
  return static_cast<uint32_t>(entries_.size() - 1);
}

bool SendWindow::offer(PackedBlock&& packed) {
  TIDEWAY_CHECK(packed.length > 0 && packed.head_units > 0 && packed.head_units <= kHeadUnitsMax);
  TIDEWAY_CHECK(packed.length <= packed.head_units * kHeadUnit + (kBufferSize - kHeadRoom));
  TIDEWAY_CHECK(!contains(packed.key));  // a block built again gets a new number
  if (is_full()) return false;
  const uint32_t entry = add_entry();
  Block& block = entries_[entry];
  index_.add(packed.key, entry);
  block.packed = std::move(packed);
  block.marks.assign((block.packed.length + kMarkSize - 1) / kMarkSize, Mark{});
  block.sent_end = 0;
  block.turn = turn_++;
  block.older = newest_;
  block.newer = kNone;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = entry;
  newest_ = entry;
  if (next_new_ == kNone) next_new_ = entry;
  unacked_bytes_ += block.packed.length;
  unsent_bytes_ += block.packed.length;
  return true;
}

bool SendWindow::has_work() const { return !with_lost_.empty() || next_new_ != kNone; }

SendRange SendWindow::range_of(const Block& block, Interval part, bool is_resent) {
  return {.range = {block.packed.key, static_cast<uint32_t>(part.begin), static_cast<uint32_t>(part.length())},
          .bytes = block.packed.bytes().subspan(part.begin, part.length()),
          .head_units = block.packed.head_units,
          .is_last_in_block = part.end == block.packed.length,
          .is_resent = is_resent,
          .account = block.packed.account};
}

void SendWindow::mark_sent(Block& block, Interval sent, Time now) {
  for (size_t mark = sent.begin / kMarkSize; mark <= (sent.end - 1) / kMarkSize; ++mark)
    block.marks[mark].sent_at = std::max(block.marks[mark].sent_at, now);
  repair_min_ = std::min(repair_min_, now);
  repair_none_before_ = std::min(repair_none_before_, now);
}

std::optional<SendRange> SendWindow::take(Time now, size_t payload_max) {
  TIDEWAY_DCHECK(payload_max > 0);
  if (!with_lost_.empty()) [[unlikely]] return take_lost(now, payload_max);
  if (next_new_ == kNone) return std::nullopt;
  return take_new(now, payload_max);
}

SendRange SendWindow::take_new(Time now, size_t payload_max) {
  Block& block = entries_[next_new_];
  const Interval part{block.sent_end, std::min<uint64_t>(block.packed.length, block.sent_end + payload_max)};
  block.sent_end = static_cast<uint32_t>(part.end);
  unsent_bytes_ -= part.length();
  if (part.end == block.packed.length) next_new_ = block.newer;
  is_ahead_new_ = true;
  mark_sent(block, part, now);
  return range_of(block, part, false);
}

SendRange SendWindow::take_lost(Time now, size_t payload_max) {
  const uint32_t entry = with_lost_.front();
  Block& block = entries_[entry];
  Interval part = block.lost.intervals().front();
  part.end = std::min<uint64_t>(part.end, part.begin + payload_max);
  block.lost.subtract(part);
  unqueue_lost(entry);
  mark_sent(block, part, now);
  const SendRange range = range_of(block, part, true);
  remember_resent(now, range.range, kCopies);
  return range;
}

void SendWindow::queue_lost(uint32_t entry) {
  const auto is_older = [this](uint32_t a, uint32_t b) { return entries_[a].turn < entries_[b].turn; };
  const auto at = std::lower_bound(with_lost_.begin(), with_lost_.end(), entry, is_older);
  if (at == with_lost_.end() || *at != entry) with_lost_.insert(at, entry);
}

// Takes a block without lost ranges off the queue.
void SendWindow::unqueue_lost(uint32_t entry) {
  if (with_lost_.empty() || !entries_[entry].lost.is_empty()) return;
  const auto at = std::find(with_lost_.begin(), with_lost_.end(), entry);
  if (at != with_lost_.end()) with_lost_.erase(at);
}

SendWindow::Block* SendWindow::find(const Range& range) {
  const uint32_t entry = index_.find(range.key);
  if (entry == kNone || range.length == 0) return nullptr;
  Block& block = entries_[entry];
  TIDEWAY_CHECK(uint64_t{range.offset} + range.length <= block.sent_end);  // flows report what they have sent
  return &block;
}

void SendWindow::on_acked(const Range& range) {
  Block* const block = find(range);
  if (block == nullptr) return;
  const uint32_t entry = static_cast<uint32_t>(block - entries_.data());
  const Interval acked = interval_of(range);
  unacked_bytes_ -= block->acked.add(acked);
  if (!block->lost.is_empty()) [[unlikely]] {
    block->lost.subtract(acked);
    unqueue_lost(entry);
  }
  if (block->acked.count() < block->packed.length) return;
  done_.push_back(block->packed.key);
  remove(entry);
}

void SendWindow::on_lost(const Range& range) {
  Block* const block = find(range);
  if (block == nullptr) return;
  const Interval lost = interval_of(range);
  for (Interval part = block->acked.first_gap(lost); part.length() != 0;
       part = block->acked.first_gap({part.end, lost.end}))
    block->lost.add(part);
  if (!block->lost.is_empty()) queue_lost(static_cast<uint32_t>(block - entries_.data()));
}

void SendWindow::on_found(const Range& range) {
  Block* const block = find(range);
  if (block == nullptr || block->lost.subtract(interval_of(range)) == 0) return;
  unqueue_lost(static_cast<uint32_t>(block - entries_.data()));
  repair_min_ = repair_none_before_ = Time::min();  // the range is on its way since long ago
}

// ---- tail repair ---------------------------------------------------------------------------------------------------

// The first piece that is neither acked nor queued to be sent again.
Interval SendWindow::first_unacked(const Block& block, Interval within) {
  for (;;) {
    const Interval gap = block.acked.first_gap(within);
    if (gap.length() == 0) return {};
    const Interval queued = block.lost.first_inside(gap);
    if (queued.length() == 0) return gap;
    if (queued.begin > gap.begin) return {gap.begin, queued.begin};
    within.begin = queued.end;
  }
}

// What a repair may send of these bytes now.
std::optional<Interval> SendWindow::next_repair(Block& block, size_t mark_number, Time sent_before) {
  Mark& mark = block.marks[mark_number];
  const uint64_t begin = mark_number * kMarkSize;
  const uint64_t end = std::min<uint64_t>(begin + kMarkSize, block.sent_end);
  const Interval part = first_unacked(block, {std::max<uint64_t>(begin, mark.repaired), end});
  if (part.length() == 0 && mark.repaired != 0) {  // the pass is over; the next one waits for a later `sent_before`
    mark.repaired = 0;
    mark.sent_at = std::max(mark.sent_at, mark.repaired_at);
    if (first_unacked(block, {begin, end}).length() != 0) repair_min_ = std::min(repair_min_, mark.sent_at);
    return std::nullopt;
  }
  if (part.length() == 0) return std::nullopt;
  if (mark.sent_at < sent_before) return part;
  repair_min_ = std::min(repair_min_, mark.sent_at);
  return std::nullopt;
}

std::optional<SendRange> SendWindow::take_tail(Time now, Time sent_before, size_t payload_max) {
  TIDEWAY_DCHECK(payload_max > 0);
  while (sent_before > repair_none_before_) {
    if (repair_block_ == kNone) {
      repair_block_ = oldest_;
      repair_mark_ = 0;
      repair_min_ = kNever;
    }
    while (repair_block_ != kNone) {
      Block& block = entries_[repair_block_];
      for (; repair_mark_ * kMarkSize < block.sent_end; ++repair_mark_) {
        std::optional<Interval> part = next_repair(block, repair_mark_, sent_before);
        if (!part) continue;
        part->end = std::min<uint64_t>(part->end, part->begin + payload_max);
        Mark& mark = block.marks[repair_mark_];
        mark.repaired = static_cast<uint32_t>(part->end);
        mark.repaired_at = now;
        const SendRange range = range_of(block, *part, true);
        remember_resent(now, range.range, kCopies);
        return range;
      }
      repair_block_ = block.newer;
      repair_mark_ = 0;
    }
    repair_none_before_ = repair_min_;  // the round is over
  }
  return std::nullopt;
}

void SendWindow::remember_resent(Time now, const Range& range, uint8_t copies) {
  if (copies == 0) return;
  resent_[resent_end_++ % kResentMax] = {range, now, copies};
  if (resent_end_ - resent_first_ > kResentMax) ++resent_first_;
}

std::optional<SendRange> SendWindow::take_copy(Time now, Sent sent, size_t payload_max) {
  while (resent_first_ != resent_end_ && resent_[resent_first_ % kResentMax].sent_at < sent.before) {
    const Resent resent = resent_[resent_first_++ % kResentMax];
    const Block* const block = resent.sent_at < sent.from ? nullptr : find(resent.range);
    if (block == nullptr) continue;
    Interval part = first_unacked(*block, interval_of(resent.range));
    part.end = std::min<uint64_t>(part.end, part.begin + payload_max);
    if (part.length() == 0) continue;
    const SendRange range = range_of(*block, part, true);
    remember_resent(now, range.range, static_cast<uint8_t>(resent.copies - 1));
    return range;
  }
  return std::nullopt;
}

void SendWindow::put_ahead(uint32_t entry) {
  ahead_block_ = entry;
  ahead_marks_ = entry == kNone ? 0 : (entries_[entry].sent_end + kMarkSize - 1) / kMarkSize;
  ahead_offset_ = 0;
}

std::optional<SendRange> SendWindow::take_ahead(Time now, Time sent_after, size_t payload_max) {
  if (std::exchange(is_ahead_new_, false)) {
    put_ahead(newest_);
    ahead_after_ = std::exchange(ahead_from_, now);
  }
  while (ahead_block_ != kNone) {
    const Block& block = entries_[ahead_block_];
    for (; ahead_marks_ > 0; --ahead_marks_, ahead_offset_ = 0) {
      const uint64_t begin = (ahead_marks_ - 1) * kMarkSize, end = std::min<uint64_t>(begin + kMarkSize, block.sent_end);
      if (block.marks[ahead_marks_ - 1].sent_at <= std::max(sent_after, ahead_after_)) return std::nullopt;
      Interval part = first_unacked(block, {std::max<uint64_t>(begin, ahead_offset_), std::max<uint64_t>(end, ahead_offset_)});
      if (part.length() == 0) continue;
      part.end = std::min<uint64_t>(part.end, part.begin + payload_max);
      ahead_offset_ = static_cast<uint32_t>(part.end);
      return range_of(block, part, true);
    }
    put_ahead(block.older);
  }
  return std::nullopt;
}

// ---- the end of a block --------------------------------------------------------------------------------------------

PackedBlock SendWindow::unlink(uint32_t entry) {
  Block& block = entries_[entry];
  index_.remove(block.packed.key);
  unacked_bytes_ -= block.packed.length - block.acked.count();
  unsent_bytes_ -= block.packed.length - block.sent_end;
  block.acked.clear();
  block.lost.clear();
  unqueue_lost(entry);
  if (next_new_ == entry) next_new_ = block.newer;
  if (repair_block_ == entry) {
    repair_block_ = block.newer;
    repair_mark_ = 0;
  }
  if (ahead_block_ == entry) put_ahead(block.older);
  (block.older == kNone ? oldest_ : entries_[block.older].newer) = block.newer;
  (block.newer == kNone ? newest_ : entries_[block.newer].older) = block.older;
  unused_.push_back(entry);
  return std::move(block.packed);
}

void SendWindow::remove(uint32_t entry) {
  const PackedBlock gone = unlink(entry);  // its buffer goes home here
}

bool SendWindow::abandon(BlockKey key) {
  const uint32_t entry = index_.find(key);
  if (entry == kNone) return false;
  remove(entry);
  return true;
}

void SendWindow::abandon_slot(SlotId slot) {
  resent_first_ = resent_end_;  // its number may come again, and with it its blocks' keys
  for (uint32_t entry = oldest_; entry != kNone;) {
    const uint32_t newer = entries_[entry].newer;
    if (entries_[entry].packed.key.slot == slot) remove(entry);
    entry = newer;
  }
}

std::optional<BlockKey> SendWindow::take_done() {
  if (done_taken_ == done_.size()) return std::nullopt;
  const BlockKey key = done_[done_taken_++];
  if (done_taken_ == done_.size()) {
    done_.clear();
    done_taken_ = 0;
  }
  return key;
}

std::optional<PackedBlock> SendWindow::take_back() {
  if (oldest_ == kNone) return std::nullopt;
  return unlink(oldest_);
}

}  // namespace tideway::flow
