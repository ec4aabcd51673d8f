// SPDX-License-Identifier: Apache-2.0
#include "flow/reassembler.h"

#include <tideway/check.h>
#include <tideway/packet_io.h>

#include <algorithm>
#include <cstring>

namespace tideway::flow {
namespace {

constexpr size_t kIntervalsUsual = 16;  // room a block's list starts with; it seldom needs more than three
constexpr uint64_t kPackedMax = kBufferSize - kHeadRoom;

// 64 bits wide on purpose: offset and length together may pass 2^32.
Interval interval_of(const DataPlace& place) {
  return {place.offset, uint64_t{place.offset} + place.length};
}

// What must hold whatever the block is.
bool is_sane(const DataPlace& place) {
  if (place.head_units == 0 || place.head_units > kHeadUnitsMax || place.length == 0) return false;
  const uint64_t head = uint64_t{place.head_units} * kHeadUnit;
  const uint64_t end = interval_of(place).end;
  if (end > head + kPackedMax) return false;
  return !place.is_last_in_block || end > head;  // a block has packed bytes
}

// The next of a queue that is a vector, so that its memory stays.
template <typename T>
std::optional<T> take_front(std::vector<T>& queue, size_t& taken) {
  if (taken == queue.size()) return std::nullopt;
  std::optional<T> front(std::move(queue[taken++]));
  if (taken == queue.size()) {
    queue.clear();
    taken = 0;
  }
  return front;
}

}  // namespace

Reassembler::Reassembler(const ReassemblerConfig& config, BufferPool& pool)
    : pool_(pool), slot_at_(size_t{1} << 16, kNoSlot), entries_(config.blocks_max), index_(config.blocks_max) {
  unused_.reserve(config.blocks_max);
  for (size_t i = config.blocks_max; i-- > 0;) {
    entries_[i].received.reserve(kIntervalsUsual);
    unused_.push_back(static_cast<uint32_t>(i));
  }
  pending_.reserve(kBurstMax);
  unconfirmed_.reserve(kBurstMax);
  complete_.reserve(config.blocks_max);
  started_.reserve(config.blocks_max);
}

// ---- slots ---------------------------------------------------------------------------------------------------------

Reassembler::Slot* Reassembler::find_slot(SlotId slot) {
  const uint16_t at = slot_at_[slot.value()];
  return at == kNoSlot ? nullptr : &slots_[at];
}

void Reassembler::open_slot(SlotId id) {
  TIDEWAY_CHECK(find_slot(id) == nullptr);
  auto at = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.is_open; });
  if (at == slots_.end()) {
    TIDEWAY_CHECK(slots_.size() < kNoSlot);
    at = slots_.emplace(slots_.end());
    at->finished.reserve(kFinishedMax + 1);
  }
  at->id = id;
  at->is_open = true;
  at->started = at->started_max = at->finished_floor = 0;
  at->finished.clear();
  slot_at_[id.value()] = static_cast<uint16_t>(at - slots_.begin());
}

size_t Reassembler::close_slot(SlotId id) {
  Slot* const slot = find_slot(id);
  if (slot == nullptr) return 0;
  size_t freed = 0;
  for (uint32_t entry = 0; entry < entries_.size(); ++entry) {
    Block& block = entries_[entry];
    if (block.packed.buffer.is_empty() || block.packed.key.slot != id) continue;
    if (block.is_confirmed) ++freed;
    unlink(entry).buffer.reset();
  }
  const auto waiting = complete_.begin() + static_cast<std::ptrdiff_t>(complete_taken_);
  const auto gone = std::stable_partition(waiting, complete_.end(),
                                          [id](const PackedBlock& block) { return block.key.slot != id; });
  freed += static_cast<size_t>(complete_.end() - gone);
  complete_.erase(gone, complete_.end());
  slot->is_open = false;
  slot_at_[id.value()] = kNoSlot;
  return freed;
}

void Reassembler::on_credit(SlotId id, uint64_t blocks_started_max) {
  if (Slot* const slot = find_slot(id)) slot->started_max = std::max(slot->started_max, blocks_started_max);
}

void Reassembler::finish(Slot& slot, BlockId block) {
  slot.finished.add({block.value(), uint64_t{block.value()} + 1});
  if (slot.finished.intervals().size() <= kFinishedMax) return;
  slot.finished.drop_lowest(kFinishedMax / 2);
  slot.finished_floor = slot.finished.intervals().front().begin;
}

// ---- packets -------------------------------------------------------------------------------------------------------

// Whether the packet agrees with what is known of its block.
bool Reassembler::fits(const Block& block, const DataPlace& place) {
  if (block.packed.head_units != place.head_units) return false;
  const uint64_t end = interval_of(place).end;
  if (const uint64_t length = block.packed.length; length != 0)
    return end <= length && place.is_last_in_block == (end == length);
  return !place.is_last_in_block || block.received.is_empty() || block.received.intervals().back().end <= end;
}

bool Reassembler::is_pending(uint32_t entry, Interval bytes) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const Pending& other) {
    return other.entry == entry && other.bytes.begin < bytes.end && bytes.begin < other.bytes.end;
  });
}

Placement Reassembler::place(const DataPlace& place) {
  Slot* const slot = find_slot(place.key.slot);
  if (slot == nullptr || !is_sane(place)) return {Verdict::kRefused, {}};
  uint32_t entry = index_.find(place.key);
  if (entry == kNone) {
    const Start begun = start(*slot, place);
    if (begun.verdict != Verdict::kPlace) return {begun.verdict, {}};
    entry = begun.entry;
  }
  Block& block = entries_[entry];
  if (!fits(block, place)) return {Verdict::kRefused, {}};
  const Interval bytes = interval_of(place);
  if (block.received.intersects(bytes)) return {Verdict::kDuplicate, {}};
  if (block.received.intervals().size() + pending_.size() >= kIntervalsMax) [[unlikely]] {
    const bool touches =
        (bytes.begin > 0 && block.received.contains(bytes.begin - 1)) || block.received.contains(bytes.end);
    if (!touches) return {Verdict::kRefused, {}};
  }
  if (is_pending(entry, bytes)) return {Verdict::kDuplicate, {}};
  if (!pending_.empty() && pending_.back().entry == entry && pending_.back().bytes.end == bytes.begin)
    pending_.back().bytes.end = bytes.end;
  else
    pending_.push_back({entry, bytes});
  // The whole block's room, length not known yet: bytes() starts where the head starts.
  const auto room = block.packed.buffer.whole().subspan(kHeadRoom - place.head_units * kHeadUnit);
  return {Verdict::kPlace, room.subspan(place.offset, place.length)};
}

Reassembler::Start Reassembler::start(Slot& slot, const DataPlace& place) {
  const uint64_t number = place.key.block.value();
  if (slot.finished.contains(number)) return {Verdict::kDuplicate, kNone};
  if (number < slot.finished_floor || slot.started >= slot.started_max) return {Verdict::kRefused, kNone};
  if (unused_.empty()) return {Verdict::kNoBuffer, kNone};
  Buffer buffer = pool_.take();
  if (buffer.is_empty()) return {Verdict::kNoBuffer, kNone};
  const uint32_t entry = unused_.back();
  unused_.pop_back();
  entries_[entry].packed = {.key = place.key, .head_units = place.head_units, .length = 0, .buffer = std::move(buffer)};
  entries_[entry].is_confirmed = false;
  index_.add(place.key, entry);
  unconfirmed_.push_back(place.key);
  ++slot.started;
  return {Verdict::kPlace, entry};
}

uint32_t Reassembler::on_placed(const DataPlace& place, std::span<const std::byte> elsewhere) {
  const uint32_t entry = index_.find(place.key);
  if (entry == kNone) return 0;  // finished before
  Block& block = entries_[entry];
  if (!fits(block, place)) return 0;  // two packets of one burst that contradict each other: the first one counts
  if (!block.is_confirmed) {
    block.is_confirmed = true;
    started_.push_back(place.key.slot);
  }
  const Interval bytes = interval_of(place);
  if (!elsewhere.empty()) [[unlikely]] {
    TIDEWAY_CHECK(elsewhere.size() == place.length);
    std::byte* const room = block.packed.buffer.whole().data() + (kHeadRoom - place.head_units * kHeadUnit);
    for (Interval part = block.received.first_gap(bytes); part.length() != 0;
         part = block.received.first_gap({part.end, bytes.end}))
      std::memcpy(room + part.begin, elsewhere.data() + (part.begin - bytes.begin), part.length());
  }
  const uint64_t gained = block.received.add(bytes);
  if (place.is_last_in_block) block.packed.length = static_cast<uint32_t>(bytes.end);
  if (block.packed.length != 0 && block.received.count() == block.packed.length) complete(entry);
  return static_cast<uint32_t>(gained);
}

void Reassembler::settle() {
  pending_.clear();
  for (const BlockKey key : unconfirmed_) {
    const uint32_t entry = index_.find(key);
    if (entry == kNone || entries_[entry].is_confirmed) continue;
    if (Slot* const slot = find_slot(key.slot)) --slot->started;
    unlink(entry).buffer.reset();
  }
  unconfirmed_.clear();
}

// ---- the end of a block --------------------------------------------------------------------------------------------

void Reassembler::complete(uint32_t entry) {
  complete_.push_back(unlink(entry));
  finish(*find_slot(complete_.back().key.slot), complete_.back().key.block);
}

PackedBlock Reassembler::unlink(uint32_t entry) {
  Block& block = entries_[entry];
  index_.remove(block.packed.key);
  block.received.clear();
  unused_.push_back(entry);
  return std::move(block.packed);
}

bool Reassembler::abandon(BlockKey key) {
  Slot* const slot = find_slot(key.slot);
  const uint64_t number = key.block.value();
  if (slot == nullptr || slot->finished.contains(number) || number < slot->finished_floor) return false;
  if (const uint32_t entry = index_.find(key); entry != kNone) {
    if (!entries_[entry].is_confirmed) started_.push_back(key.slot);
    unlink(entry).buffer.reset();
  } else {  // the sender was charged for it, though no packet of it came here
    if (slot->started >= slot->started_max) return false;
    ++slot->started;
    started_.push_back(key.slot);
  }
  finish(*slot, key.block);
  return true;
}

std::optional<PackedBlock> Reassembler::take_complete() {
  // A packet of this burst may still be opened into a block that another one has completed.
  if (!pending_.empty()) return std::nullopt;
  return take_front(complete_, complete_taken_);
}

std::optional<SlotId> Reassembler::take_started() { return take_front(started_, started_taken_); }

}  // namespace tideway::flow
