// SPDX-License-Identifier: Apache-2.0
//
// Where a training's bytes are counted, as `counters` of a [[training]] names it:
//
//   iface:eth1                  a network interface of this host
//   nft:inet/filter/training    a named counter of nftables: family, table, counter
//   tc:eth1/1:10                a queue discipline (1:) or class (1:10) of an interface
//   dpdk:0000:81:00.0           a port of [data_plane.dpdk]
// Thread: any. Pure.
#pragma once
#include <tideway/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tideway::daemon {

struct CounterName {
  enum class Kind : uint8_t { kInterface, kNft, kTc, kDpdk } kind = Kind::kInterface;
  std::string device;            // of all but kNft
  uint8_t family = 0;            // kNft: NFPROTO_*
  std::string table, counter;    // kNft
  uint32_t handle = 0;           // kTc: major above minor
  std::string text;              // as it was written
  bool operator==(const CounterName&) const = default;
};
// Errors: config_invalid.
Result<CounterName> parse_counter_name(std::string_view text);

}  // namespace tideway::daemon
