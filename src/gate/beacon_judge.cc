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
  if (seen_.is_repeat(now, read.beacon.source, read.beacon.sequence)) return BeaconFate::kRepeat;
  return read.fate;
}

}  // namespace tideway::gate
