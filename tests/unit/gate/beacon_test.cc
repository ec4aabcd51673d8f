// SPDX-License-Identifier: Apache-2.0
#include "gate/beacon.h"

#include "crypto/sha256.h"

#include <gtest/gtest.h>

namespace tideway::gate {
namespace {

using std::chrono::milliseconds;

// The key 00..1f, and the beacon that docs/scheduling.md shows byte by byte.
BeaconKey key() {
  BeaconKey key;
  for (size_t i = 0; i < key.secret.size(); ++i) key.secret[i] = std::byte{static_cast<uint8_t>(i)};
  return key;
}

Beacon example() {
  Beacon beacon;
  beacon.source = 0x1122'3344'5566'7788;
  beacon.sent_ns = 1'700'000'000'000'000'000;
  beacon.direction = Beacon::Direction::kBoth;
  beacon.event.training = training_id("llm7");
  beacon.event.destination = site_id("wisconsin");
  beacon.event.details = {Bytes(40'000'000), milliseconds(400), milliseconds(1000), milliseconds(5), milliseconds(900)};
  return beacon;
}

constexpr std::string_view kVector =
    "544457420101010111223344556677880000000000000001ea9e24ad81d9b0fd9e014ea40000000117979cfe362a0000"
    "17979cfe362a00000000000002625a0000061a80000f424000001388000dbba06fbb4981502d9b74b1c098cd78cd4b83";

ReadBeacon read(std::span<const std::byte> datagram) {
  const BeaconKey ours = key();
  return read_beacon(datagram, std::span(&ours, 1));
}

TEST(Beacon, AgreesWithTheVectorOfTheDocument) {
  EXPECT_EQ(crypto::to_hex(write_beacon(example(), key())), kVector);
  const ReadBeacon back = read(write_beacon(example(), key()));
  EXPECT_EQ(back.fate, BeaconFate::kTaken);
  EXPECT_EQ(back.beacon.source, example().source);
  EXPECT_EQ(back.beacon.direction, Beacon::Direction::kBoth);
  EXPECT_EQ(back.beacon.event.kind, PhaseKind::kBegin);
  EXPECT_EQ(back.beacon.event.destination, site_id("wisconsin"));
  EXPECT_EQ(back.beacon.event.details.bytes, Bytes(40'000'000));
  EXPECT_EQ(back.beacon.event.details.duration, milliseconds(400));
  EXPECT_EQ(back.beacon.event.details.ttl, milliseconds(900));
}

TEST(Beacon, APredictionSaysHowFarAheadTheBeginIs) {
  Beacon beacon = example();
  beacon.event.kind = PhaseKind::kPredict;
  beacon.event.ahead = milliseconds(300);
  EXPECT_EQ(read(write_beacon(beacon, key())).beacon.event.ahead, milliseconds(300));
}

TEST(Beacon, EveryChangedByteIsSeen) {
  const auto good = write_beacon(example(), key());
  for (size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= std::byte{1};
    const BeaconFate fate = read(bad).fate;
    EXPECT_NE(fate, BeaconFate::kTaken) << i;
    EXPECT_NE(fate, BeaconFate::kRange) << i;
  }
}

TEST(Beacon, ChecksInTheOrderThatTellsStrangersLeast) {
  auto datagram = write_beacon(example(), key());
  EXPECT_EQ(read(std::span(datagram).first(95)).fate, BeaconFate::kLength);
  datagram[0] = std::byte{0};
  EXPECT_EQ(read(datagram).fate, BeaconFate::kMagic);
  datagram = write_beacon(example(), key());
  datagram[4] = std::byte{2};
  EXPECT_EQ(read(datagram).fate, BeaconFate::kVersion);
  BeaconKey other = key();
  other.id = 9;
  EXPECT_EQ(read(write_beacon(example(), other)).fate, BeaconFate::kKey);
  other = key();
  other.secret[0] = std::byte{7};
  EXPECT_EQ(read(write_beacon(example(), other)).fate, BeaconFate::kTag);
}

TEST(Beacon, RefusesWhatNoTrainerMeans) {
  Beacon beacon = example();
  beacon.event.member = 1;
  EXPECT_EQ(read(write_beacon(beacon, key())).fate, BeaconFate::kRange);
  beacon = example();
  beacon.event.kind = static_cast<PhaseKind>(6);
  EXPECT_EQ(read(write_beacon(beacon, key())).fate, BeaconFate::kRange);
  beacon = example();
  beacon.sequence = 0;
  EXPECT_EQ(read(write_beacon(beacon, key())).fate, BeaconFate::kRange);
  beacon = example();
  beacon.event.kind = PhaseKind::kPredict;
  beacon.event.ahead = std::chrono::hours(2);
  EXPECT_EQ(read(write_beacon(beacon, key())).fate, BeaconFate::kRange);
  beacon.event.ahead = std::chrono::seconds(1);
  beacon.event.details.jitter = beacon.event.details.period / 5;
  EXPECT_EQ(read(write_beacon(beacon, key())).fate, BeaconFate::kTaken);
  beacon.event.details.jitter += std::chrono::microseconds(1);
  EXPECT_EQ(read(write_beacon(beacon, key())).fate, BeaconFate::kRange);
  beacon.event.kind = PhaseKind::kBegin;  // which guards nothing
  EXPECT_EQ(read(write_beacon(beacon, key())).fate, BeaconFate::kTaken);
}

TEST(BeaconKeys, AreALineEachWithAnIdInFront) {
  const std::string hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
  auto one = parse_beacon_keys("# made in June\n" + hex + "\n");
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one.value().front().id, 1);
  EXPECT_EQ(one.value().front().secret, key().secret);
  auto two = parse_beacon_keys(hex + "\n7 " + hex);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two.value().back().id, 7);
  for (const std::string& bad : {std::string(), hex.substr(1), hex + "0", "256 " + hex, "x " + hex, hex + "\n" + hex,
                                hex + "\n2 " + hex + "\n3 " + hex, "zz" + hex.substr(2)}) {
    const auto keys = parse_beacon_keys(bad);
    ASSERT_FALSE(keys.ok()) << bad;
    EXPECT_EQ(keys.error().fault, Fault::kConfigInvalid);
  }
}

}  // namespace
}  // namespace tideway::gate
