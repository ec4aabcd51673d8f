// SPDX-License-Identifier: Apache-2.0
//
// Ports joined by rings, for tests: EAL as an ordinary user, a clock that tests move, and two backends that know each
// other's MAC already.
#pragma once
#include "packet_io/dpdk_packet_io.h"
#include "packet_io/dpdk_ring_pair.h"

#include <memory>

namespace tideway {

// Starts EAL in this process, the first time; fails the test when it cannot.
void start_test_eal();

// Each look at it moves it on by 100 µs.
struct TestClock {
  static Time now();
  static void advance(Duration by);
};

struct RingPorts {
  std::unique_ptr<packet_io::DpdkRingPair> pair;
  std::unique_ptr<packet_io::DpdkPacketIo> a, b;

  // Lets both do what hosts do for as long as a few questions and answers take.
  void settle();
};

// 10.0.0.1/24 and fd00::1/64 at `a`, .2 and ::2 at `b`.
packet_io::DpdkPortConfig port_config(int host, Bytes mtu);
RingPorts make_ring_ports(const packet_io::DpdkPortConfig& a, const packet_io::DpdkPortConfig& b, uint32_t slots = 256);

}  // namespace tideway
