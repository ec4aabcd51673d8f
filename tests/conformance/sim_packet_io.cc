// SPDX-License-Identifier: Apache-2.0
//
// The simulated port joins the packet backends.
#include "packet_io/sim_packet_io.h"

#include "conformance/packet_io_suite.h"

namespace tideway {
namespace {

PacketIoEnds sim(Bytes payload_max) {
  using packet_io::SimPacketIo;
  using packet_io::SimWire;
  using Wire = std::pair<std::unique_ptr<SimWire>, std::unique_ptr<SimWire>>;
  auto wire = std::make_shared<Wire>(packet_io::quiet_wire(150));
  PacketIoEnds ends;
  ends.a_address = Endpoint::parse("10.0.0.1:0").value();
  ends.b_address = Endpoint::parse("10.0.0.2:0").value();
  const auto port = [&](const Endpoint& address, SimWire& end) {
    return std::make_unique<SimPacketIo>(
        packet_io::SimConfig{.address = address, .payload_max = payload_max, .rooms = 600}, end);
  };
  ends.a = port(ends.a_address, *wire->first);
  ends.b = port(ends.b_address, *wire->second);
  ends.under = std::move(wire);
  return ends;
}

INSTANTIATE_TEST_SUITE_P(
    Sim, PacketIoSuite,
    testing::Values(PacketIoKind{.name = "Mtu1500", .make = [] { return sim(1472_B); }, .is_send_bounded = true},
                    PacketIoKind{.name = "Mtu9000", .make = [] { return sim(8972_B); }, .is_send_bounded = true}),
    name_of);

}  // namespace
}  // namespace tideway
