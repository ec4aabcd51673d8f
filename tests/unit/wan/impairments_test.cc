// SPDX-License-Identifier: Apache-2.0
#include "wan/impairments.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <vector>

namespace tideway::wan {
namespace {

// An Ethernet frame with a 20-byte IPv4 header whose checksum is right.
std::vector<std::byte> ipv4_frame(uint8_t tos) {
  std::vector<std::byte> frame(14 + 20 + 8);
  const auto set = [&](size_t at, unsigned value) { frame[at] = static_cast<std::byte>(value); };
  set(12, 0x08);
  set(14, 0x45), set(15, tos), set(17, 28), set(22, 64), set(23, 17);
  set(26, 10), set(27, 77), set(29, 1), set(30, 10), set(31, 77), set(33, 2);
  uint32_t sum = 0;
  for (size_t i = 14; i < 34; i += 2)
    sum += static_cast<uint32_t>(frame[i]) << 8 | static_cast<uint32_t>(frame[i + 1]);
  sum = (sum & 0xFFFF) + (sum >> 16);
  set(24, (~sum >> 8) & 0xFF), set(25, ~sum & 0xFF);
  return frame;
}

uint32_t header_sum(const std::vector<std::byte>& frame) {
  uint32_t sum = 0;
  for (size_t i = 14; i < 34; i += 2)
    sum += static_cast<uint32_t>(frame[i]) << 8 | static_cast<uint32_t>(frame[i + 1]);
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return sum;
}

TEST(MarkCongestion, SetsTheMarkAndKeepsTheIpv4ChecksumRight) {
  for (unsigned tos = 0; tos < 256; ++tos) {
    auto frame = ipv4_frame(static_cast<uint8_t>(tos));
    ASSERT_EQ(header_sum(frame), 0xFFFFU);
    EXPECT_EQ(mark_congestion(frame), (tos & 3) != 0) << tos;
    EXPECT_EQ(static_cast<unsigned>(frame[15]), (tos & 3) != 0 ? (tos | 3) : tos);
    EXPECT_EQ(header_sum(frame), 0xFFFFU) << tos;
  }
}

TEST(MarkCongestion, MarksIpv6) {
  std::vector<std::byte> frame(14 + 40);
  frame[12] = std::byte{0x86}, frame[13] = std::byte{0xDD}, frame[14] = std::byte{0x60};
  EXPECT_FALSE(mark_congestion(frame));
  frame[15] = std::byte{0x20};  // ECT(0)
  EXPECT_TRUE(mark_congestion(frame));
  EXPECT_EQ(frame[14], std::byte{0x60});
  EXPECT_EQ(frame[15], std::byte{0x30});
}

TEST(MarkCongestion, LeavesShortAndForeignFramesAlone) {
  auto frame = ipv4_frame(2);
  for (size_t size = 0; size < 34; ++size) EXPECT_FALSE(mark_congestion(std::span(frame).first(size))) << size;
  frame[12] = std::byte{0x12};
  EXPECT_FALSE(mark_congestion(frame));
}

TEST(FlipBits, ChangesOneToFourBitsAndAlwaysTheSameOnes) {
  for (uint64_t choice = 0; choice < 200; ++choice) {
    std::array<std::byte, 64> bytes{}, again{};
    flip_bits(bytes, choice);
    flip_bits(again, choice);
    EXPECT_EQ(bytes, again);
    int bits = 0;
    for (const std::byte byte : bytes) bits += std::popcount(static_cast<uint8_t>(byte));
    EXPECT_LE(bits, 4);
  }
  flip_bits({}, 1);
}

TEST(LossProcess, LosesAllOrNothingAtTheEnds) {
  Random random(1);
  LossProcess none(0, 10), all(1, 10);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(none.next_is_lost(random));
    EXPECT_TRUE(all.next_is_lost(random));
  }
}

}  // namespace
}  // namespace tideway::wan
