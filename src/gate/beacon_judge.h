// SPDX-License-Identifier: Apache-2.0
//
// Which datagrams on the beacon port are taken: sealed with a key of ours, of now, and not seen before. The others are
// counted by reason and never answered, so that the port tells a stranger nothing.
// Thread: beacon. Pure.
#pragma once
#include "gate/beacon.h"

#include <optional>
#include <unordered_map>

namespace tideway::gate {

class BeaconJudge {
 public:
  static constexpr Duration kClockSkewMax = std::chrono::seconds(2);
  static constexpr uint64_t kWindow = 64;           // sequence numbers of a source that are told apart
  static constexpr size_t kSourcesMax = 1024;
  // A source that is silent for so long is forgotten. That lets no repeat in: by then its old beacons fail for their time.
  static constexpr Duration kForgetAfter = std::chrono::seconds(10);

  explicit BeaconJudge(std::vector<BeaconKey> keys) : keys_(std::move(keys)) {}

  // `calendar` is now since 1970, on the clock that senders use.
  std::optional<Beacon> take(Time now, Duration calendar, std::span<const std::byte> datagram);
  uint64_t count(BeaconFate fate) const { return counts_[static_cast<size_t>(fate)]; }
  size_t sources() const { return sources_.size(); }

 private:
  struct Source {
    uint64_t largest = 0, seen = 0;  // bit i: largest - i came
    Time last_at{};
  };
  BeaconFate judge(Time now, Duration calendar, const ReadBeacon& read);
  bool is_repeat(Time now, const Beacon& beacon);
  Source& source(Time now, uint64_t id);

  std::vector<BeaconKey> keys_;
  std::unordered_map<uint64_t, Source> sources_;  // bounded by kSourcesMax; only who holds a key gets in
  std::array<uint64_t, kBeaconFates> counts_{};
};

}  // namespace tideway::gate
