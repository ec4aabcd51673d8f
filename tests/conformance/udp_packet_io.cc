// SPDX-License-Identifier: Apache-2.0
//
// Kernel UDP over loopback, with and without the kernel's help, joins the packet backends.
#include "packet_io/udp_packet_io.h"

#include "conformance/packet_io_suite.h"

namespace tideway {
namespace {

PacketIoKind udp(const char* name, const char* address, packet_io::UdpConfig config) {
  // Few enough buffers that running dry is cheap.
  config.send_buffers = 40;
  config.receive_buffers = 80;
  const auto make = [address, config] {
    PacketIoEnds ends;
    ends.a = packet_io::UdpPacketIo::create(config).value();
    ends.b = packet_io::UdpPacketIo::create(config).value();
    ends.a_address = ends.b_address = Endpoint::parse(address).value();
    return ends;
  };
  return {.name = name, .make = make, .is_send_bounded = false};
}

using enum packet_io::Gso;
constexpr auto kGroOff = packet_io::Gro::kOff;

INSTANTIATE_TEST_SUITE_P(Udp, PacketIoSuite,
                         testing::Values(udp("Ipv4", "127.0.0.1:0", {}), udp("Ipv6", "[::1]:0", {}),
                                         udp("Ipv4WithoutGso", "127.0.0.1:0", {.gso = kOff}),
                                         udp("Ipv4WithoutGro", "127.0.0.1:0", {.gro = kGroOff}),
                                         udp("Ipv6WithoutEither", "[::1]:0", {.gso = kOff, .gro = kGroOff})),
                         name_of);

}  // namespace
}  // namespace tideway
