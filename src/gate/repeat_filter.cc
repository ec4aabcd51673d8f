// SPDX-License-Identifier: Apache-2.0
#include "gate/repeat_filter.h"

#include <algorithm>

namespace tideway::gate {

// Finds or makes room for it: the silent ones go, and if all talk, the one that has been silent longest, so that many
// short-lived senders do not fill the table.
RepeatFilter::Source& RepeatFilter::find(Time now, uint64_t source) {
  if (const auto found = sources_.find(source); found != sources_.end()) return found->second;
  if (sources_.size() == kSourcesMax) {
    std::erase_if(sources_, [now](const auto& entry) { return now - entry.second.last_at > kForgetAfter; });
    if (sources_.size() == kSourcesMax)
      sources_.erase(std::ranges::min_element(sources_, {}, [](const auto& entry) { return entry.second.last_at; }));
  }
  return sources_[source];
}

bool RepeatFilter::is_repeat(Time now, uint64_t source, uint64_t number) {
  Source& from = find(now, source);
  if (now - from.last_at > kForgetAfter) from = {};
  if (number > from.largest) {
    const uint64_t ahead = number - from.largest;
    from.seen = ahead >= kWindow ? 1 : from.seen << ahead | 1;
    from.largest = number;
  } else {
    const uint64_t behind = from.largest - number;
    if (behind >= kWindow || (from.seen >> behind & 1) != 0) return true;
    from.seen |= uint64_t{1} << behind;
  }
  from.last_at = now;
  return false;
}

}  // namespace tideway::gate
