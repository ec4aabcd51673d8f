// SPDX-License-Identifier: Apache-2.0
#include "flow/packet_opener.h"

#include "crypto/registry.h"
#include "support/test_aead.h"
#include "support/vectors.h"
#include "wire/packet_header.h"

namespace tideway::flow::packet_opener_test {
namespace {

using std::chrono::milliseconds;
using test::Octets;
using test::to_hex;

constexpr Duration kProbeTimeout = milliseconds(10);
const Time kStart = Time{} + std::chrono::seconds(1);

std::unique_ptr<Aead> key_of(uint64_t epoch) { return std::make_unique<test::TestAead>(epoch * 0x9E37 + 1); }

struct PacketOpenerTest : testing::Test {
  PacketOpener opener{{.forgeries = 3}};
  uint64_t next_number = 1;

  PacketOpenerTest() {
    opener.install(KeyEpoch(0), key_of(0));
    opener.install(KeyEpoch(1), key_of(1));
  }
  // One packet sealed under `sealed_epoch` that claims to be of `epoch`. True: it opened.
  bool open(uint64_t epoch, uint64_t sealed_epoch) {
    const Octets header(20), plain = test::pattern(50);
    Octets sealed(plain.size() + kAeadTagSize), opened(plain.size());
    const SealJob job{next_number, header, plain, sealed};
    key_of(sealed_epoch)->seal(std::span(&job, 1));
    OpenJob again{next_number++, header, sealed, opened, false};
    const size_t count = opener.open(epoch, std::span(&again, 1));
    EXPECT_EQ(count, again.authentic ? 1U : 0U);
    EXPECT_TRUE(!again.authentic || opened == plain);
    return again.authentic;
  }
  bool open(uint64_t epoch) { return open(epoch, epoch); }
  bool forge(uint64_t epoch) { return open(epoch, epoch + 1000); }
};

TEST_F(PacketOpenerTest, MatchesTheEpochsItHoldsAndNoOthers) {
  EXPECT_EQ(opener.match(0), 0U);
  EXPECT_EQ(opener.match(1), 1U);
  EXPECT_FALSE(opener.match(2));
  EXPECT_FALSE(opener.match(255)) << "there is none before the first";
}

TEST_F(PacketOpenerTest, APacketOfTheNextEpochChangesTheEpoch) {
  EXPECT_TRUE(open(0));
  EXPECT_EQ(opener.epoch(), KeyEpoch(0));
  EXPECT_FALSE(opener.needs_key());
  EXPECT_TRUE(open(1));
  EXPECT_EQ(opener.epoch(), KeyEpoch(1));
  EXPECT_TRUE(opener.needs_key());
  EXPECT_EQ(opener.next_to_install(), KeyEpoch(2));
  EXPECT_FALSE(opener.match(2)) << "not installed yet";
  EXPECT_TRUE(open(0)) << "what was under way still opens";
  EXPECT_EQ(opener.epoch(), KeyEpoch(1));
}

TEST_F(PacketOpenerTest, AForgedPacketOfTheNextEpochChangesNothing) {
  EXPECT_FALSE(forge(1));
  EXPECT_EQ(opener.epoch(), KeyEpoch(0));
  EXPECT_FALSE(open(1, 0)) << "the key of one epoch opens no packet of another";
  EXPECT_EQ(opener.epoch(), KeyEpoch(0));
}

TEST_F(PacketOpenerTest, TheLastKeyIsErasedThreeProbeTimeoutsAfterTheChange) {
  ASSERT_TRUE(open(1));
  opener.on_deadline(kStart, kProbeTimeout);
  opener.on_deadline(kStart + 3 * kProbeTimeout - milliseconds(1), kProbeTimeout);
  ASSERT_EQ(opener.match(0), 0U);
  EXPECT_TRUE(open(0));
  opener.on_deadline(kStart + 3 * kProbeTimeout, kProbeTimeout);
  EXPECT_FALSE(opener.match(0));
  EXPECT_EQ(opener.match(1), 1U);
}

TEST_F(PacketOpenerTest, AnEpochThatFellBehindWithinABurstOpensNothing) {
  ASSERT_TRUE(open(1));
  opener.install(KeyEpoch(2), key_of(2));
  ASSERT_EQ(opener.match(0), 0U) << "all of a burst are matched before the first is opened";
  ASSERT_TRUE(open(2));
  EXPECT_FALSE(open(0));
  EXPECT_TRUE(open(1));
}

TEST_F(PacketOpenerTest, EightBitsTellTheEpochsApartForever) {
  for (uint64_t epoch = 1; epoch < 700; ++epoch) {
    ASSERT_TRUE(open(epoch));
    ASSERT_EQ(opener.epoch(), KeyEpoch(epoch));
    if (opener.needs_key()) opener.install(opener.next_to_install(), key_of(epoch + 1));
    ASSERT_EQ(opener.match(static_cast<uint8_t>(epoch - 1)), epoch - 1);
    ASSERT_EQ(opener.match(static_cast<uint8_t>(epoch)), epoch);
    ASSERT_EQ(opener.match(static_cast<uint8_t>(epoch + 1)), epoch + 1);
    ASSERT_FALSE(opener.match(static_cast<uint8_t>(epoch + 2)));
    ASSERT_FALSE(opener.match(static_cast<uint8_t>(epoch - 2)));
  }
}

TEST_F(PacketOpenerTest, ForgeriesUnderOneKeyAskForTheNextOneAgainAndAgain) {
  forge(0);
  forge(0);
  EXPECT_FALSE(opener.is_change_due());
  forge(0);
  EXPECT_TRUE(opener.is_change_due());
  opener.on_change_asked(kStart, kProbeTimeout);
  EXPECT_FALSE(opener.is_change_due());
  opener.on_deadline(kStart + milliseconds(1), kProbeTimeout);
  EXPECT_FALSE(opener.is_change_due()) << "the peer had no time to answer";
  opener.on_deadline(kStart + 20 * kProbeTimeout, kProbeTimeout);
  EXPECT_TRUE(opener.is_change_due()) << "the peer did not answer";
  ASSERT_TRUE(open(1));
  EXPECT_FALSE(opener.is_change_due()) << "a new key counts from zero";
}

TEST(PacketOpener, OpensThePacketsOfTheVectorsWithEveryProvider) {
  auto keys = test::load_vectors("key_schedule.txt");
  auto vectors = test::load_vectors("sealed_packets.txt");
  for (const crypto::AeadProvider& provider : crypto::aead_providers()) {
    PacketOpener opener({});
    for (const uint64_t epoch : {0U, 1U})
      opener.install(KeyEpoch(epoch),
                     provider.make(std::span(keys["key_0_7_" + std::to_string(epoch)]).first<kAeadKeySize>(),
                                   std::span(keys["iv_0_7_" + std::to_string(epoch)]).first<kAeadIvSize>()));
    size_t count = 0;
    for (const auto& [name, packet] : vectors) {
      if (!name.ends_with("_packet")) continue;
      SCOPED_TRACE(std::string(provider.name) + " " + name);
      const auto header = wire::parse_header(packet).value();
      const auto clear = std::span(packet).first(header.size()), sealed = std::span(packet).subspan(header.size());
      Octets opened(sealed.size() - kAeadTagSize);
      OpenJob job{header.packet_number, clear, sealed, opened, false};
      EXPECT_EQ(opener.open(opener.match(header.key_epoch_low).value(), std::span(&job, 1)), 1U);
      EXPECT_TRUE(job.authentic);
      EXPECT_EQ(to_hex(opened), to_hex(vectors[name.substr(0, name.size() - 6) + "plain"]));

      Octets changed(clear.begin(), clear.end());  // the whole header is authenticated
      changed.back() ^= std::byte{1};
      job = {header.packet_number, changed, sealed, opened, true};
      EXPECT_EQ(opener.open(opener.match(header.key_epoch_low).value(), std::span(&job, 1)), 0U);
      EXPECT_FALSE(job.authentic);
      ++count;
    }
    EXPECT_EQ(count, 7U);
    EXPECT_EQ(opener.epoch(), KeyEpoch(1));
  }
}

}  // namespace
}  // namespace tideway::flow::packet_opener_test
