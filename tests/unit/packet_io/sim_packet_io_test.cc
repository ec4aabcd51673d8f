// SPDX-License-Identifier: Apache-2.0
#include "packet_io/sim_packet_io.h"

#include <gtest/gtest.h>

#include <array>

namespace tideway::packet_io {
namespace {

// A wire end that brings what the test laid on it, and takes nothing.
class LaidWire final : public SimWire {
 public:
  bool offer(const SimFrame&) override { return false; }
  std::optional<SimFrame> take() override {
    if (frames.empty()) return std::nullopt;
    const SimFrame frame = frames.front();
    frames.erase(frames.begin());
    return frame;
  }
  std::vector<SimFrame> frames;
};

struct SimPort : testing::Test {
  static inline const Endpoint kHere = Endpoint::parse("10.0.0.1:0").value();
  static inline const Endpoint kThere = Endpoint::parse("10.0.0.2:7401").value();
  LaidWire wire;
  SimPacketIo io{{.address = kHere, .payload_max = 1472_B, .rooms = 4}, wire};
  Path path = io.open_path({.local = kHere, .remote = kThere}).value();
  std::array<std::byte, 2000> bytes{};
  std::array<Packet, 8> burst;

  SimFrame frame(size_t size) {
    return {.from = kThere, .to = path.local, .ecn = Ecn::kCe, .bytes = std::span(bytes).first(size)};
  }
};

TEST_F(SimPort, WhatIsNotForAnOpenPathIsDroppedAndCounted) {
  SimFrame stray = frame(100);
  stray.to.port = static_cast<uint16_t>(stray.to.port + 1);
  wire.frames = {stray, frame(100)};
  EXPECT_EQ(io.receive(burst), 1U);
  EXPECT_EQ(burst[0].ecn, Ecn::kCe);
  EXPECT_EQ(io.stats().dropped_not_ours, 1U);
}

TEST_F(SimPort, WhatExceedsTheMtuIsDroppedAndCounted) {
  wire.frames = {frame(1473), frame(1472)};
  EXPECT_EQ(io.receive(burst), 1U);
  EXPECT_EQ(io.stats().dropped_too_big, 1U);
}

TEST_F(SimPort, APoolThatIsDryMissesPackets) {
  wire.frames.assign(6, frame(100));
  EXPECT_EQ(io.receive(burst), 4U);
  EXPECT_EQ(io.stats().dropped_no_room, 2U);
  for (Packet& packet : burst) packet.reset();
  EXPECT_EQ(io.rooms_free(), 4U);
}

TEST_F(SimPort, AWireThatTakesNothingLeavesThePacketWithTheCaller) {
  ASSERT_EQ(io.allocate(path.id, 100_B, std::span(burst).first(2)), 2U);
  EXPECT_EQ(io.send(std::span(burst).first(2)), 0U);
  EXPECT_FALSE(burst[0].is_empty());
  EXPECT_EQ(io.stats().send_full, 1U);
}

TEST_F(SimPort, PickedPortsDiffer) {
  const Path other = io.open_path({.local = kHere, .remote = {}}).value();
  EXPECT_NE(other.local, path.local);
  EXPECT_TRUE(other.local.is_set());
}

}  // namespace
}  // namespace tideway::packet_io
