// SPDX-License-Identifier: Apache-2.0
#include "ip/checksum.h"

#include "base/random.h"
#include "frames.h"

#include <gtest/gtest.h>

namespace tideway::ip {
namespace {

using namespace frames;

// As RFC 1071, 4.1 writes it, two bytes at a time.
uint16_t slow_sum(std::span<const std::byte> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += static_cast<uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

// RFC 1071, 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
TEST(Checksum, MatchesTheExampleOfTheRfc) {
  const Octets bytes = from_hex("0001f203f4f5f6f7");
  EXPECT_EQ(Checksum().add(bytes).sum(), 0xDDF2);
  EXPECT_EQ(Checksum().add(bytes).value(), 0x220D);
}

TEST(Checksum, OfNothingIsAllOnes) {
  EXPECT_EQ(Checksum().sum(), 0);
  EXPECT_EQ(Checksum().add({}).value(), 0xFFFF);
}

TEST(Checksum, IsZeroOverBytesThatHoldTheirOwn) {
  EXPECT_EQ(Checksum().add(std::span(kUdp4).subspan(14, 20)).value(), 0);
}

TEST(Checksum, MatchesTheSlowOneAtEveryLengthAndAlignment) {
  const Octets bytes = test::pattern(700);
  for (size_t at = 0; at < 9; ++at)
    for (size_t size = 0; size + at <= bytes.size(); ++size) {
      const auto part = std::span(bytes).subspan(at, size);
      ASSERT_EQ(Checksum().add(part).sum(), slow_sum(part)) << at << ' ' << size;
    }
}

TEST(Checksum, MatchesTheSlowOneWhereEveryStepCarries) {
  const Octets ones(65535, std::byte{0xFF});
  EXPECT_EQ(Checksum().add(ones).sum(), slow_sum(ones));
  EXPECT_EQ(Checksum().add(std::span(ones).first(9000)).sum(), 0xFFFF);
}

TEST(Checksum, PartsOfEvenLengthAddUpToTheWhole) {
  Random random(7);
  const Octets bytes = test::pattern(4001, 3);
  for (int round = 0; round < 200; ++round) {
    const size_t cut = random.below(2000) * 2;
    Checksum parts;
    parts.add(std::span(bytes).first(cut)).add(std::span(bytes).subspan(cut));
    ASSERT_EQ(parts.sum(), slow_sum(bytes)) << cut;
  }
  EXPECT_EQ(Checksum().add_u16(0xFFFF).add_u16(0x0002).sum(), 2);
}

TEST(Checksum, PseudoHeadersMakeUdpOfBothFamiliesComeOutRight) {
  Checksum v4 = checksum_of({kPeer4, kOurs4, 17, 15});
  EXPECT_EQ(v4.sum(), 0x14DB);
  EXPECT_EQ(v4.add(std::span(kUdp4).subspan(34)).value(), 0);
  EXPECT_EQ(checksum_of({kPeer6, kOurs6, 17, 15}).add(std::span(kUdp6).subspan(54)).value(), 0);
}

}  // namespace
}  // namespace tideway::ip
