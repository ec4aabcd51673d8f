// SPDX-License-Identifier: Apache-2.0
//
// Net workers take no memory for packets (docs/performance.md): two ends of the data path, sealing, pacing and acknowledging as in a copy,
// over a wire in memory and over sockets. What they take is for blocks and for the shares of rates.
#include "base/clock.h"
#include "engine/path_end.h"
#include "packet_io/sim_packet_io.h"
#include "packet_io/udp_packet_io.h"
#include "support/scarce_memory.h"

#include <gtest/gtest.h>

#include <string>

namespace tideway::test {
namespace {

using engine::PathEnd;
using engine::PathEndConfig;
using namespace std::chrono_literals;

constexpr uint64_t kBlocksBefore = 24;  // windows grow, and with them the rings of what is in flight
constexpr uint64_t kBlocksSent = 16;  // of 2,979 packets each
constexpr uint64_t kTakenPerBlock = 1;
constexpr uint64_t kTakenByTheClock = 300;  // per block, too: shares are dealt 50 times a second, and a slow machine takes seconds
constexpr int kTurnsMax = 2'000'000;

struct Ends {
  engine::PathPattern pattern{1};
  std::unique_ptr<PathEnd> source, sink;

  std::unique_ptr<PathEnd> make(PathEndConfig::Role role, uint32_t flows, const Endpoint& local, std::unique_ptr<PacketIo> io) {
    PathEndConfig config;
    config.role = role;
    config.local = local;
    config.flows = flows;
    config.controller = congestion::find_controller("bbr", Rate()).value();
    config.pattern = &pattern;
    return PathEnd::create(config, std::move(io)).value();
  }
  void open(Time now) {
    const auto from = source->bind(now), to = sink->bind(now);
    ASSERT_TRUE(from.ok() && to.ok());
    ASSERT_TRUE(sink->open(now, from.value()).ok() && source->open(now, to.value()).ok());
  }
  // Polls both until so many blocks have come home to the source. How often memory was taken meanwhile.
  template <typename Clock>
  unsigned long run_until(uint64_t blocks, Clock clock) {
    const unsigned long before = allocations();
    for (int turn = 0; turn < kTurnsMax && source->counts().blocks < blocks; ++turn) {
      const Time now = clock();
      source->poll(now);
      sink->poll(now);
    }
    EXPECT_GE(source->counts().blocks, blocks);
    return allocations() - before;
  }
};

TEST(PathMemory, NoPacketTakesAny) {
  for (const uint32_t flows : {1U, 4U}) {
    auto wire = packet_io::quiet_wire(256);
    Ends ends;
    const auto end = [&](PathEndConfig::Role role, const char* address, packet_io::SimWire& to) {
      const Endpoint local = Endpoint::parse(address).value();
      packet_io::SimConfig port;
      port.address = local;
      return ends.make(role, flows, local, std::make_unique<packet_io::SimPacketIo>(port, to));
    };
    ends.source = end(PathEndConfig::Role::kSource, "10.0.0.1:0", *wire.first);
    ends.sink = end(PathEndConfig::Role::kSink, "10.0.0.2:0", *wire.second);
    Time now(1s);
    const auto clock = [&now] { return now += 10us; };
    ends.open(now);
    ends.run_until(kBlocksBefore, clock);
    const unsigned long taken = ends.run_until(kBlocksBefore + kBlocksSent, clock);
    RecordProperty("taken_by_flows_" + std::to_string(flows), std::to_string(taken));
    EXPECT_LE(taken, kBlocksSent * kTakenPerBlock) << flows << " flows";
    ends.source->close(now);
    ends.sink->close(now);
  }
}

TEST(PathMemory, NoPacketOfTheKernelTakesAny) {
  Ends ends;
  const Endpoint local = Endpoint::parse("127.0.0.1:0").value();
  ends.source = ends.make(PathEndConfig::Role::kSource, 2, local, packet_io::UdpPacketIo::create({}).value());
  ends.sink = ends.make(PathEndConfig::Role::kSink, 2, local, packet_io::UdpPacketIo::create({}).value());
  ends.open(read_clock());
  ends.run_until(kBlocksBefore, read_clock);
  const unsigned long taken = ends.run_until(kBlocksBefore + kBlocksSent, read_clock);
  RecordProperty("taken", std::to_string(taken));
  EXPECT_LE(taken, kBlocksSent * kTakenByTheClock);
  ends.source->close(read_clock());
  ends.sink->close(read_clock());
}

}  // namespace
}  // namespace tideway::test
