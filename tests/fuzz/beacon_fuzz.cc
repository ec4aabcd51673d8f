// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a datagram on the beacon port: what is taken is what a holder of the key wrote, and is written again as the
// same bytes but for flags and times that have no meaning. The first byte says whether the bytes get a true tag, so that the
// fields behind it are reached, too.
#include "gate/beacon.h"

#include "crypto/hmac.h"

#include <tideway/check.h>

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const auto input = std::as_bytes(std::span(data, size));
  const gate::BeaconKey key;
  static_cast<void>(gate::parse_beacon_keys({reinterpret_cast<const char*>(data), size}));
  if (input.empty()) return 0;
  std::vector<std::byte> datagram(input.begin() + 1, input.end());
  const bool is_sealed = input.front() != std::byte{0} && datagram.size() == gate::kBeaconSize;
  if (is_sealed) {
    const size_t sealed = gate::kBeaconSize - gate::kBeaconTagSize;
    const Hash256 tag = crypto::hmac_sha256(key.secret, std::span(datagram).first(sealed));
    std::ranges::copy(std::span(tag).first(gate::kBeaconTagSize), datagram.begin() + static_cast<std::ptrdiff_t>(sealed));
  }
  const gate::ReadBeacon read = gate::read_beacon(datagram, std::span(&key, 1));
  if (read.fate != gate::BeaconFate::kTaken) return 0;
  TIDEWAY_CHECK(is_sealed);
  TIDEWAY_CHECK(read.beacon.event.member < read.beacon.event.members);
  const auto again = gate::write_beacon(read.beacon, key);
  const gate::ReadBeacon back = gate::read_beacon(again, std::span(&key, 1));
  TIDEWAY_CHECK(back.fate == gate::BeaconFate::kTaken);
  TIDEWAY_CHECK(gate::write_beacon(back.beacon, key) == again);
  return 0;
}
