// SPDX-License-Identifier: Apache-2.0
//
// Packets per second through the UDP backend over loopback, both ends in one thread: what a packet costs to write
// nothing into, send, and take in again. Args: payload in bytes, GSO and GRO on (1) or off (0), packets per burst.
// The null run is sim_packets: the same loop over a wire in memory.
#include "packet_io/sim_packet_io.h"
#include "packet_io/udp_packet_io.h"

#include <benchmark/benchmark.h>

#include <array>

namespace tideway::packet_io {
namespace {

// A burst there, until it has arrived or a bounded number of polls brought nothing more.
size_t pass_burst(PacketIo& a, PacketIo& b, PathId path, std::span<Packet> burst, Bytes payload) {
  std::span<Packet> rest = burst.first(a.allocate(path, payload, burst));
  const size_t offered = rest.size();
  rest = rest.subspan(a.send(rest));
  for (Packet& packet : rest) packet.reset();
  std::array<Packet, kBurstMax> in;
  size_t arrived = 0;
  for (int idle = 0; idle < 3 && arrived < offered;) {
    const size_t got = b.receive(in);
    for (Packet& packet : std::span(in).first(got)) {
      benchmark::DoNotOptimize(packet.bytes[0]);
      packet.reset();
    }
    arrived += got;
    idle = got == 0 ? idle + 1 : 0;
  }
  return arrived;
}

void run(benchmark::State& state, PacketIo& a, PacketIo& b, const Endpoint& from, const Endpoint& to) {
  const Path far = b.open_path({.local = to, .remote = {}}).value();
  const Path path = a.open_path({.local = from, .remote = far.local}).value();
  const auto payload = Bytes(static_cast<uint64_t>(state.range(0)));
  std::vector<Packet> burst(static_cast<size_t>(state.range(2)));
  size_t arrived = 0, turns = 0;
  for (auto _ : state) {
    arrived += pass_burst(a, b, path.id, burst, payload);
    ++turns;
  }
  state.SetItemsProcessed(static_cast<int64_t>(arrived));
  state.SetBytesProcessed(static_cast<int64_t>(arrived * payload.count()));
  state.counters["lost"] = static_cast<double>(turns * burst.size() - arrived);
}

void udp_packets(benchmark::State& state) {
  UdpConfig config;
  if (state.range(1) == 0) {
    config.gso = Gso::kOff;
    config.gro = Gro::kOff;
  }
  const auto a = UdpPacketIo::create(config).value(), b = UdpPacketIo::create(config).value();
  const Endpoint local = Endpoint::parse("127.0.0.1:0").value();
  run(state, *a, *b, local, local);
}
BENCHMARK(udp_packets)
    ->ArgNames({"payload", "gso", "burst"})
    ->ArgsProduct({{1472, 8972}, {0, 1}, {32, 64}});

void sim_packets(benchmark::State& state) {
  const Endpoint from = Endpoint::parse("10.0.0.1:0").value(), to = Endpoint::parse("10.0.0.2:0").value();
  auto wire = quiet_wire(kBurstMax);
  SimPacketIo a({.address = from, .payload_max = 9000_B, .rooms = 256}, *wire.first);
  SimPacketIo b({.address = to, .payload_max = 9000_B, .rooms = 256}, *wire.second);
  run(state, a, b, from, to);
}
BENCHMARK(sim_packets)->ArgNames({"payload", "none", "burst"})->ArgsProduct({{1472, 8972}, {0}, {64}});

}  // namespace
}  // namespace tideway::packet_io
