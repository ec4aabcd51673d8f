// SPDX-License-Identifier: Apache-2.0
//
// DPDK ports joined by rings join the packet backends.
#include "conformance/packet_io_suite.h"
#include "dpdk/ring_ports.h"

namespace tideway {
namespace {

struct RingKind {
  const char* a;
  const char* b;
  Bytes mtu = 1500_B;
  uint16_t vlan = 0;
};

PacketIoEnds ring(const RingKind& kind) {
  packet_io::DpdkPortConfig first = port_config(1, kind.mtu), second = port_config(2, kind.mtu);
  first.vlan = second.vlan = kind.vlan;
  RingPorts ports = make_ring_ports(first, second);
  PacketIoEnds ends;
  ends.a_address = Endpoint::parse(kind.a).value();
  ends.b_address = Endpoint::parse(kind.b).value();
  // The suite sends before it receives, and a host that knows nobody's MAC cannot.
  Endpoint to_a = ends.a_address, to_b = ends.b_address;
  to_a.port = to_b.port = 9;
  const Path a = ports.a->open_path({.local = ends.a_address, .remote = to_b}).value();
  const Path b = ports.b->open_path({.local = ends.b_address, .remote = to_a}).value();
  ports.settle();
  ports.a->close_path(a.id);
  ports.b->close_path(b.id);
  ends.a = std::move(ports.a);
  ends.b = std::move(ports.b);
  ends.under = std::shared_ptr<packet_io::DpdkRingPair>(std::move(ports.pair));
  return ends;
}

PacketIoKind dpdk(const char* name, const RingKind& kind) {
  return {.name = name, .make = [kind] { return ring(kind); }, .is_send_bounded = true};
}

constexpr const char *kA4 = "10.0.0.1:0", *kB4 = "10.0.0.2:0", *kA6 = "[fd00::1]:0", *kB6 = "[fd00::2]:0";

INSTANTIATE_TEST_SUITE_P(Dpdk, PacketIoSuite,
                         testing::Values(dpdk("RingIpv4", {kA4, kB4}), dpdk("RingIpv6Mtu9000", {kA6, kB6, 9000_B}),
                                         dpdk("RingIpv4Vlan", {kA4, kB4, 1500_B, 42})),
                         name_of);

}  // namespace
}  // namespace tideway
