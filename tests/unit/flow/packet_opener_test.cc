// SPDX-License-Identifier: Apache-2.0
#include "flow/packet_opener.h"

#include "support/test_aead.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace tideway::flow {
namespace {

using test::TestAead;

constexpr std::array<std::byte, 20> kHeader{};

// Opens one packet that was sealed under the key of `sealed` as one of `epoch`.
size_t open_one(PacketOpener& opener, uint64_t epoch, uint64_t sealed, bool* authentic = nullptr) {
  std::vector<std::byte> packet(kAeadTagSize), plain;
  const SealJob seal{.packet_number = 100 + epoch, .header = kHeader, .plain = {}, .out = packet};
  TestAead(sealed).seal(std::span(&seal, 1));
  OpenJob open{.packet_number = 100 + epoch, .header = kHeader, .sealed = packet, .out = plain, .authentic = false};
  const size_t opened = opener.open(epoch, std::span(&open, 1));
  if (authentic != nullptr) *authentic = open.authentic;
  return opened;
}

PacketOpener opener_in_epoch_one() {
  PacketOpener opener{KeyLimits{}};
  for (uint64_t epoch = 0; epoch < 2; ++epoch) opener.install(KeyEpoch(epoch), std::make_unique<TestAead>(epoch));
  EXPECT_EQ(open_one(opener, 1, 1), 1U);
  opener.install(KeyEpoch(2), std::make_unique<TestAead>(2));
  return opener;
}

TEST(PacketOpener, AnAuthenticPacketOfTheNextEpochChangesTheEpoch) {
  PacketOpener opener = opener_in_epoch_one();
  EXPECT_EQ(opener.epoch(), KeyEpoch(1));
  EXPECT_EQ(open_one(opener, 2, 99), 0U);  // a forged one does not
  EXPECT_EQ(opener.epoch(), KeyEpoch(1));
  EXPECT_EQ(open_one(opener, 2, 2), 1U);
  EXPECT_EQ(opener.epoch(), KeyEpoch(2));
}

// A burst is matched before it is opened, and whoever sits on the path can put any epoch into a header.
TEST(PacketOpener, APacketOfTheLastEpochBehindOneOfTheNextInABurstIsDropped) {
  PacketOpener opener = opener_in_epoch_one();
  ASSERT_EQ(opener.match(0), 0U);
  ASSERT_EQ(opener.match(2), 2U);
  EXPECT_EQ(open_one(opener, 2, 2), 1U);
  bool authentic = true;
  EXPECT_EQ(open_one(opener, 0, 0, &authentic), 0U);
  EXPECT_FALSE(authentic);
}

}  // namespace
}  // namespace tideway::flow
