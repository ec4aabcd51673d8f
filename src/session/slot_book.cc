// SPDX-License-Identifier: Apache-2.0
#include "session/slot_book.h"

#include <limits>

namespace tideway::session {

std::optional<SlotId> SlotBook::take(Time now) {
  for (uint32_t tries = 0; tries <= std::numeric_limits<uint16_t>::max(); ++tries) {
    const SlotId slot(next_++);
    if (claim(now, slot)) return slot;
  }
  return std::nullopt;
}

bool SlotBook::claim(Time now, SlotId slot) {
  const auto [entry, is_new] = free_at_.try_emplace(slot.value(), kNever);
  if (!is_new && entry->second > now) return false;
  entry->second = kNever;
  return true;
}

void SlotBook::give_back(Time now, SlotId slot) {
  if (free_at_.size() >= tidy_at_) {
    std::erase_if(free_at_, [now](const auto& entry) { return entry.second <= now; });
    tidy_at_ = 2 * free_at_.size() + kTidyMin;
  }
  if (const auto entry = free_at_.find(slot.value()); entry != free_at_.end()) entry->second = now + kRest;
}

}  // namespace tideway::session
