// SPDX-License-Identifier: Apache-2.0
#include "storage/descriptor_cache.h"

#include "base/log.h"

#include <algorithm>

namespace tideway::storage {

DescriptorCache::Open* DescriptorCache::find(ObjectId id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return nullptr;
  opens_.splice(opens_.begin(), opens_, found->second);
  return &opens_.front();
}

DescriptorCache::Open& DescriptorCache::add(ObjectId id, Descriptor buffered) {
  if (opens_.size() >= open_max_) {
    for (auto idle = std::prev(opens_.end()); idle != opens_.begin(); --idle) {
      if (idle->in_flight > 0) continue;
      places_.erase(idle->id);
      opens_.erase(idle);
      break;
    }
  }
  opens_.push_front(Open{id, std::move(buffered), Descriptor()});
  places_[id] = opens_.begin();
  return opens_.front();
}

void DescriptorCache::drop(ObjectId id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  opens_.erase(found->second);
  places_.erase(found);
}

bool DescriptorCache::make_do_with_less() {
  const size_t before = opens_.size();
  std::erase_if(opens_, [&](const Open& open) {
    if (open.in_flight > 0) return false;
    places_.erase(open.id);
    return true;
  });
  if (open_max_ == kOpenMax) log::warning("descriptors_short", "open=" + std::to_string(before) + " next=\"raise LimitNOFILE, or run fewer transfers\"");
  open_max_ = std::min(open_max_, std::max(kOpenLeast, before / 2));
  return opens_.size() < before;
}

bool DescriptorCache::is_busy(ObjectId id) const {
  const auto found = places_.find(id);
  return found != places_.end() && found->second->in_flight > 0;
}

}  // namespace tideway::storage
