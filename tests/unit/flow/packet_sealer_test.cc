// SPDX-License-Identifier: Apache-2.0
#include "flow/packet_sealer.h"

#include "crypto/registry.h"
#include "support/vectors.h"
#include "wire/packet_header.h"

#include <utility>

namespace tideway::flow::packet_sealer_test {
namespace {

using std::chrono::minutes;
using test::Octets;
using test::to_hex;

const Time kStart = Time{} + std::chrono::seconds(1);

class NullAead final : public Aead {
 public:
  void seal(std::span<const SealJob>) override {}
  size_t open(std::span<OpenJob>) override { return 0; }
};

struct PacketSealerTest : testing::Test {
  std::vector<std::byte> plain = std::vector<std::byte>(84), out = std::vector<std::byte>(100);
  PacketSealer sealer{{.bytes = 1'000'000, .packets = 10, .packets_hard = 20}};

  void install(uint64_t epoch) { sealer.install(KeyEpoch(epoch), std::make_unique<NullAead>()); }
  void seal(std::initializer_list<uint64_t> numbers) {
    std::vector<SealJob> burst;
    for (const uint64_t number : numbers) burst.push_back({number, {}, plain, out});
    sealer.seal(burst);
  }
  void seal_from_to(uint64_t first, uint64_t end) { while (first < end) seal({first++}); }
};

// The nonce rule: a packet number at or below the last one ends the process.
using PacketSealerDeathTest = PacketSealerTest;

TEST_F(PacketSealerDeathTest, ANumberThatWasSealedIsNotSealedAgain) {
  install(0);
  seal({5});
  EXPECT_DEATH(seal({5}), "check failed");
  EXPECT_DEATH(seal({4}), "check failed");
  EXPECT_DEATH(seal({0}), "check failed");
  seal({6});
}

TEST_F(PacketSealerDeathTest, NumbersRiseWithinABurst) {
  install(0);
  EXPECT_DEATH(seal({1, 1}), "check failed");
  EXPECT_DEATH(seal({2, 1}), "check failed");
  seal({1, 5, 6});
  EXPECT_DEATH(seal({5, 7}), "check failed");
}

TEST_F(PacketSealerDeathTest, ANewKeyDoesNotRestartTheNumbers) {
  install(0);
  install(1);
  seal({100});
  sealer.on_acked(100);
  sealer.on_key_request();
  ASSERT_TRUE(sealer.prepare(kStart));
  EXPECT_DEATH(seal({1}), "check failed");
  EXPECT_DEATH(seal({100}), "check failed");
  seal({101});
}

TEST_F(PacketSealerTest, WithoutAKeyNothingIsSealed) {
  EXPECT_FALSE(sealer.can_seal());
  EXPECT_TRUE(sealer.needs_key());
  EXPECT_EQ(sealer.next_to_install(), KeyEpoch(0));
  install(0);
  EXPECT_TRUE(sealer.can_seal());
  EXPECT_TRUE(sealer.needs_key());
  EXPECT_EQ(sealer.next_to_install(), KeyEpoch(1));
  install(1);
  EXPECT_FALSE(sealer.needs_key());
  EXPECT_EQ(sealer.epoch(), KeyEpoch(0));
}

TEST_F(PacketSealerTest, TheKeyChangesAfterItsPacketsAndNotBefore) {
  install(0);
  install(1);
  for (uint64_t number = 1; number <= 10; ++number) {
    EXPECT_FALSE(sealer.prepare(kStart)) << number;
    seal({number});
    sealer.on_acked(number);
  }
  EXPECT_TRUE(sealer.prepare(kStart));
  EXPECT_EQ(sealer.epoch(), KeyEpoch(1));
  EXPECT_EQ(sealer.next_to_install(), KeyEpoch(2));
  EXPECT_FALSE(sealer.prepare(kStart)) << "the new key is not worn";
}

TEST_F(PacketSealerTest, TheKeyChangesAfterItsBytesAndNotBefore) {
  sealer = PacketSealer({.bytes = 1000});
  install(0);
  install(1);
  seal_from_to(1, 10);  // 900 bytes with tags
  sealer.on_acked(1);
  EXPECT_FALSE(sealer.prepare(kStart));
  seal_from_to(10, 13);  // over 1,000 even without
  EXPECT_TRUE(sealer.prepare(kStart));
}

TEST_F(PacketSealerTest, TheKeyChangesAnHourAfterItsFirstUse) {
  install(0);
  install(1);
  EXPECT_FALSE(sealer.prepare(kStart));
  seal({1});
  sealer.on_acked(1);
  EXPECT_FALSE(sealer.prepare(kStart + minutes(59)));
  EXPECT_TRUE(sealer.prepare(kStart + minutes(60)));
}

TEST_F(PacketSealerTest, AKeyRequestChangesTheKeyOnce) {
  install(0);
  install(1);
  seal({1});
  sealer.on_acked(1);
  EXPECT_FALSE(sealer.prepare(kStart));
  sealer.on_key_request();
  EXPECT_TRUE(sealer.prepare(kStart));
  install(2);
  seal({2});
  sealer.on_acked(2);
  EXPECT_FALSE(sealer.prepare(kStart));
}

TEST_F(PacketSealerTest, TheSecondChangeWaitsForAnAckUnderTheFirst) {
  install(0);
  install(1);
  seal_from_to(1, 11);
  sealer.on_acked(10);
  ASSERT_TRUE(sealer.prepare(kStart));
  install(2);
  seal_from_to(11, 21);
  sealer.on_acked(5);  // of the epoch before: says nothing about this one
  EXPECT_FALSE(sealer.prepare(kStart));
  sealer.on_acked(11);
  EXPECT_TRUE(sealer.prepare(kStart));
  EXPECT_EQ(sealer.epoch(), KeyEpoch(2));
}

TEST_F(PacketSealerTest, AKeyThatCannotBeChangedStopsAtTheHardLimit) {
  install(0);
  uint64_t number = 0;
  while (number < 100 && sealer.can_seal()) {
    EXPECT_FALSE(sealer.prepare(kStart)) << "there is no next key";
    seal({++number});
  }
  EXPECT_EQ(number, 20U);
  sealer.on_acked(number);
  install(1);
  EXPECT_TRUE(sealer.prepare(kStart));
  EXPECT_TRUE(sealer.can_seal());
}

TEST_F(PacketSealerTest, BytesHaveAHardLimitToo) {
  sealer = PacketSealer({.bytes = 500, .bytes_hard = 1000});
  install(0);
  uint64_t number = 0;
  while (number < 100 && sealer.can_seal()) seal({++number});
  EXPECT_GE(number, 10U);
  EXPECT_LE(number, 12U);
}

TEST(PacketSealer, SealsThePacketsOfTheVectors) {
  auto keys = test::load_vectors("key_schedule.txt");
  auto vectors = test::load_vectors("sealed_packets.txt");
  const auto make = [&](const crypto::AeadProvider& provider, const std::string& epoch) {
    return provider.make(std::span(keys["key_0_7_" + epoch]).first<kAeadKeySize>(),
                         std::span(keys["iv_0_7_" + epoch]).first<kAeadIvSize>());
  };
  std::map<uint64_t, std::string> by_number;
  for (const auto& [name, packet] : vectors)
    if (name.ends_with("_packet")) by_number[wire::parse_header(packet)->packet_number] = name.substr(0, name.size() - 7);
  ASSERT_EQ(by_number.size(), 7U);

  for (const crypto::AeadProvider& provider : crypto::aead_providers()) {
    PacketSealer sealer({});
    sealer.install(KeyEpoch(0), make(provider, "0"));
    sealer.install(KeyEpoch(1), make(provider, "1"));
    for (const auto& [number, name] : by_number) {
      SCOPED_TRACE(std::string(provider.name) + " " + name);
      const Octets& header = vectors[name + "_header"];
      const Octets& plain = vectors[name + "_plain"];
      if (header[1] == std::byte{1} && sealer.epoch() == KeyEpoch(0)) {
        sealer.on_acked(number - 1);
        sealer.on_key_request();
        ASSERT_TRUE(sealer.prepare(kStart));
      }
      Octets packet = header;
      packet.resize(header.size() + plain.size() + kAeadTagSize);
      const SealJob job{number, header, plain, std::span(packet).subspan(header.size())};
      sealer.seal(std::span(&job, 1));
      EXPECT_EQ(to_hex(packet), to_hex(vectors[name + "_packet"]));
    }
    EXPECT_EQ(sealer.epoch(), KeyEpoch(1));
  }
}

}  // namespace
}  // namespace tideway::flow::packet_sealer_test
