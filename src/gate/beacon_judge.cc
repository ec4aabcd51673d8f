// SPDX-License-Identifier: Apache-2.0
#include "gate/beacon_judge.h"

#include <algorithm>

namespace tideway::gate {

std::optional<Beacon> BeaconJudge::take(Time now, Duration calendar, std::span<const std::byte> datagram) {
  const ReadBeacon read = read_beacon(datagram, keys_);
  const BeaconFate fate = judge(now, calendar, read);
  ++counts_[static_cast<size_t>(fate)];
  if (fate != BeaconFate::kTaken) return std::nullopt;
  return read.beacon;
}

BeaconFate BeaconJudge::judge(Time now, Duration calendar, const ReadBeacon& read) {
  if (read.fate != BeaconFate::kTaken && read.fate != BeaconFate::kRange) return read.fate;
  const auto ours = static_cast<uint64_t>(calendar.count());
  const uint64_t apart = std::max(read.beacon.sent_ns, ours) - std::min(read.beacon.sent_ns, ours);
  if (apart > static_cast<uint64_t>(kClockSkewMax.count())) return BeaconFate::kTime;
  if (is_repeat(now, read.beacon)) return BeaconFate::kRepeat;
  return read.fate;
}

// Finds or makes room for it: the silent ones go, and if all talk, the one that has been silent longest, so that many
// short-lived senders do not fill the table.
BeaconJudge::Source& BeaconJudge::source(Time now, uint64_t id) {
  if (const auto found = sources_.find(id); found != sources_.end()) return found->second;
  if (sources_.size() == kSourcesMax) {
    std::erase_if(sources_, [now](const auto& entry) { return now - entry.second.last_at > kForgetAfter; });
    if (sources_.size() == kSourcesMax)
      sources_.erase(std::ranges::min_element(sources_, {}, [](const auto& entry) { return entry.second.last_at; }));
  }
  return sources_[id];
}

bool BeaconJudge::is_repeat(Time now, const Beacon& beacon) {
  Source& from = source(now, beacon.source);
  if (now - from.last_at > kForgetAfter) from = {};
  if (beacon.sequence > from.largest) {
    const uint64_t ahead = beacon.sequence - from.largest;
    from.seen = ahead >= kWindow ? 1 : from.seen << ahead | 1;
    from.largest = beacon.sequence;
  } else {
    const uint64_t behind = from.largest - beacon.sequence;
    if (behind >= kWindow || (from.seen >> behind & 1) != 0) return true;
    from.seen |= uint64_t{1} << behind;
  }
  from.last_at = now;
  return false;
}

}  // namespace tideway::gate
