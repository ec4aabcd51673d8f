// SPDX-License-Identifier: Apache-2.0
#include "engine/path_end.h"

#include "packet_io/sim_packet_io.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

using namespace std::chrono_literals;

constexpr size_t kWirePackets = 256;  // as a short ring of a port
constexpr int kTurnsMax = 200'000;

struct PathEnds : testing::Test {
  PathPattern sent{1}, expected{1};
  std::pair<std::unique_ptr<packet_io::SimWire>, std::unique_ptr<packet_io::SimWire>> wire =
      packet_io::quiet_wire(kWirePackets);
  Time now{1s};

  std::unique_ptr<PathEnd> make(PathEndConfig::Role role, uint32_t flows) {
    const bool is_source = role == PathEndConfig::Role::kSource;
    PathEndConfig config;
    config.role = role;
    config.local = Endpoint::parse(is_source ? "10.0.0.1:0" : "10.0.0.2:0").value();
    config.flows = flows;
    config.controller = congestion::find_controller("bbr", Rate()).value();
    config.pattern = is_source ? &sent : &expected;
    config.check = PathEndConfig::Check::kEvery;
    packet_io::SimConfig port;
    port.address = config.local;
    auto io =
        std::make_unique<packet_io::SimPacketIo>(port, is_source ? *wire.first : *wire.second);
    return PathEnd::create(config, std::move(io)).value();
  }

  // Until so many blocks have come home to the source.
  void run(uint64_t blocks, uint32_t flows) {
    source = make(PathEndConfig::Role::kSource, flows);
    sink = make(PathEndConfig::Role::kSink, flows);
    const auto from = source->bind(now), to = sink->bind(now);
    ASSERT_TRUE(from.ok() && to.ok());
    ASSERT_TRUE(sink->open(now, from.value()).ok());
    ASSERT_TRUE(source->open(now, to.value()).ok());
    for (int turn = 0; turn < kTurnsMax && source->counts().blocks < blocks; ++turn) {
      source->poll(now);
      sink->poll(now);
      now += 10us;
    }
    EXPECT_FALSE(source->failure() || sink->failure());
    source->close(now);
    sink->close(now);
  }
  std::unique_ptr<PathEnd> source, sink;
};

TEST_F(PathEnds, BlocksGoRoundAndArriveIntact) {
  run(3 * kPathSourceBlocks, 1);
  EXPECT_GE(source->counts().blocks, 3 * kPathSourceBlocks);
  EXPECT_GE(sink->counts().blocks, source->counts().blocks);
  EXPECT_EQ(sink->counts().payload, kLeafSize * sink->counts().blocks);
  EXPECT_EQ(sink->counts().damaged, 0U);
}

TEST_F(PathEnds, SeveralFlowsCarryThem) {
  run(kPathSourceBlocks, 4);
  EXPECT_GE(sink->counts().blocks, kPathSourceBlocks);
  EXPECT_EQ(sink->counts().damaged, 0U);
}

TEST_F(PathEnds, OtherBytesThanExpectedAreCounted) {
  expected = PathPattern(2);
  run(4, 1);
  EXPECT_GE(sink->counts().damaged, 4U);
}

}  // namespace
}  // namespace tideway::engine
