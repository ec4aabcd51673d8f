// SPDX-License-Identifier: Apache-2.0
//
// A captured backend is still a packet backend.
#include "packet_io/capture_packet_io.h"

#include "conformance/packet_io_suite.h"
#include "packet_io/sim_packet_io.h"

namespace tideway {
namespace {

PacketIoEnds captured() {
  using namespace packet_io;
  using Wire = std::pair<std::unique_ptr<SimWire>, std::unique_ptr<SimWire>>;
  auto wire = std::make_shared<Wire>(quiet_wire(150));
  PacketIoEnds ends;
  ends.a_address = Endpoint::parse("10.0.0.1:0").value();
  ends.b_address = Endpoint::parse("10.0.0.2:0").value();
  const auto port = [](const Endpoint& address, SimWire& end) {
    auto inner = std::make_unique<SimPacketIo>(SimConfig{.address = address, .rooms = 600}, end);
    return std::make_unique<CapturePacketIo>(std::move(inner), std::make_shared<CaptureRing>(32), [] { return Time(); });
  };
  ends.a = port(ends.a_address, *wire->first);
  ends.b = port(ends.b_address, *wire->second);
  ends.under = std::move(wire);
  return ends;
}

INSTANTIATE_TEST_SUITE_P(Captured, PacketIoSuite,
                         testing::Values(PacketIoKind{.name = "Sim", .make = captured, .is_send_bounded = true}), name_of);

}  // namespace
}  // namespace tideway
