// SPDX-License-Identifier: Apache-2.0
//
// The phase beacon: one datagram of 96 bytes with which a trainer on another host tells when it communicates, sealed with
// the site's key (docs/scheduling.md shows every field). A beacon can hold bulk back for a bounded time or let it go early;
// it can do nothing else, so it is authenticated and not encrypted.
// Pure.
#pragma once
#include "gate/phase_event.h"
#include <tideway/ids.h>
#include <tideway/result.h>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace tideway::gate {

inline constexpr size_t kBeaconSize = 96, kBeaconTagSize = 16;
inline constexpr uint16_t kBeaconPort = 7399;

struct BeaconKey {
  uint8_t id = 1;
  std::array<std::byte, 32> secret{};
};

// The text of a key file: a line per key, 64 hex digits, after an id and a blank when it is not 1. Two may be live, so that
// a key can be changed under way. Errors: config_invalid.
inline constexpr size_t kBeaconKeysMax = 2;
Result<std::vector<BeaconKey>> parse_beacon_keys(std::string_view text);

struct Beacon {
  uint64_t source = 0;          // random per process start
  uint64_t sequence = 1;        // rising from 1; a repeat keeps its number
  uint64_t sent_ns = 0;         // the sender's calendar clock, since 1970
  enum class Direction : uint8_t { kOutward = 0, kBoth = 1 } direction = Direction::kOutward;
  PhaseEvent event;
};

std::array<std::byte, kBeaconSize> write_beacon(const Beacon& beacon, const BeaconKey& key);

// Why a datagram is no beacon of ours; in the order of the checks.
enum class BeaconFate : uint8_t { kTaken, kLength, kMagic, kVersion, kKey, kTag, kTime, kRepeat, kRange };
inline constexpr size_t kBeaconFates = 9;
std::string_view name_of(BeaconFate fate);

// What the bytes say, checked up to the tag. Repeats and times are BeaconJudge's.
struct ReadBeacon {
  BeaconFate fate = BeaconFate::kTaken;
  Beacon beacon;                // of kTaken and kRange
};
ReadBeacon read_beacon(std::span<const std::byte> datagram, std::span<const BeaconKey> keys);

}  // namespace tideway::gate
