// SPDX-License-Identifier: Apache-2.0
//
// Which datagrams on the beacon port are taken: sealed with a key of ours, of now, and not seen before. The others are
// counted by reason and never answered, so that the port tells a stranger nothing.
// Thread: beacon. Pure.
#pragma once
#include "gate/beacon.h"
#include "gate/repeat_filter.h"

#include <optional>

namespace tideway::gate {

class BeaconJudge {
 public:
  // Far below RepeatFilter::kForgetAfter: by the time a source is forgotten, its old beacons fail for their time.
  static constexpr Duration kClockSkewMax = std::chrono::seconds(2);

  explicit BeaconJudge(std::vector<BeaconKey> keys) : keys_(std::move(keys)) {}

  // `calendar` is now since 1970, on the clock that senders use.
  std::optional<Beacon> take(Time now, Duration calendar, std::span<const std::byte> datagram);
  uint64_t count(BeaconFate fate) const { return counts_[static_cast<size_t>(fate)]; }
  size_t sources() const { return seen_.sources(); }

 private:
  BeaconFate judge(Time now, Duration calendar, const ReadBeacon& read);

  std::vector<BeaconKey> keys_;
  RepeatFilter seen_;  // only who holds a key gets in
  std::array<uint64_t, kBeaconFates> counts_{};
};

}  // namespace tideway::gate
