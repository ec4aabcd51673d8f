// SPDX-License-Identifier: Apache-2.0
//
// Whether an address is this machine's own loopback: 127.0.0.0/8 or ::1.
// Thread: any. Pure.
#pragma once
#include <tideway/packet_io.h>

#include <algorithm>

namespace tideway {

inline bool is_loopback(const Endpoint& endpoint) {
  if (endpoint.is_ipv4()) return endpoint.address[12] == std::byte{127};
  const auto last = endpoint.address.end() - 1;
  return *last == std::byte{1} && std::all_of(endpoint.address.begin(), last, [](std::byte part) { return part == std::byte{0}; });
}

}  // namespace tideway
