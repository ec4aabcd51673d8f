// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_schedule.h"

#include "crypto/aead_nonce.h"
#include "support/vectors.h"

#include <utility>

namespace tideway::crypto {
namespace {

using test::to_hex;

Secret counting_exporter() {
  Secret exporter;
  for (size_t i = 0; i < exporter.size(); ++i) exporter[i] = static_cast<std::byte>(i);
  return exporter;
}

FlowSecret secret_of(const Secret& exporter, uint16_t direction, uint16_t flow, uint64_t epoch) {
  FlowSecret secret = KeySchedule(exporter).first_secret(static_cast<FlowDirection>(direction), FlowId(flow));
  while (secret.epoch().value() < epoch) secret = secret.next();
  return secret;
}

TEST(KeySchedule, GivesTheSecretsKeysAndIvsOfTheVectors) {
  auto vectors = test::load_vectors("key_schedule.txt");
  Secret exporter;
  ASSERT_EQ(vectors["exporter"].size(), exporter.size());
  std::ranges::copy(vectors["exporter"], exporter.begin());
  size_t count = 0;
  for (const auto& [name, bytes] : vectors) {
    unsigned direction = 0, flow = 0, epoch = 0;
    if (std::sscanf(name.c_str(), "secret_%u_%u_%u", &direction, &flow, &epoch) != 3) continue;
    SCOPED_TRACE(name);
    const FlowSecret secret = secret_of(exporter, static_cast<uint16_t>(direction), static_cast<uint16_t>(flow), epoch);
    EXPECT_EQ(secret.epoch(), KeyEpoch(epoch));
    EXPECT_EQ(to_hex(secret.bytes()), to_hex(bytes));
    std::array<std::byte, kAeadKeySize> key;
    std::array<std::byte, kAeadIvSize> iv;
    expand_label(secret.bytes(), "key", {}, key);
    expand_label(secret.bytes(), "iv", {}, iv);
    EXPECT_EQ(to_hex(key), to_hex(vectors["key" + name.substr(6)]));
    EXPECT_EQ(to_hex(iv), to_hex(vectors["iv" + name.substr(6)]));
    ++count;
  }
  EXPECT_EQ(count, 7U);
}

TEST(KeySchedule, SealsTheVectorsWithEveryProvider) {
  auto vectors = test::load_vectors("sealed_packets.txt");
  const Secret exporter = counting_exporter();
  const auto& header = vectors["data_header"];
  const auto& plain = vectors["data_plain"];
  for (const AeadProvider& provider : aead_providers()) {
    auto packet = header;
    packet.resize(header.size() + plain.size() + kAeadTagSize);
    const SealJob job{0x12345678, header, plain, std::span(packet).subspan(header.size())};
    secret_of(exporter, 0, 7, 0).make_aead(provider)->seal(std::span(&job, 1));
    EXPECT_EQ(to_hex(packet), to_hex(vectors["data_packet"])) << provider.name;
  }
}

TEST(AeadNonce, IsThatOfTheVectors) {
  auto vectors = test::load_vectors("key_schedule.txt");
  AeadIv iv;
  std::ranges::copy(vectors["iv_0_7_0"], iv.begin());
  for (const uint64_t number : {uint64_t{0}, uint64_t{0x12345678}, ~uint64_t{0}}) {
    char name[32];
    std::snprintf(name, sizeof name, "nonce_%llx", static_cast<unsigned long long>(number));
    EXPECT_EQ(to_hex(nonce_of(iv, number)), to_hex(vectors[name])) << name;
  }
}

TEST(KeySchedule, GivesEveryFlowAndDirectionItsOwnSecret) {
  const KeySchedule schedule(counting_exporter());
  const auto one = schedule.first_secret(FlowDirection::kFromDialling, FlowId(1));
  const auto other_flow = schedule.first_secret(FlowDirection::kFromDialling, FlowId(256));
  const auto other_direction = schedule.first_secret(FlowDirection::kFromAccepting, FlowId(1));
  EXPECT_NE(one.bytes(), other_flow.bytes());
  EXPECT_NE(one.bytes(), other_direction.bytes());
  EXPECT_NE(other_flow.bytes(), other_direction.bytes());
}

TEST(FlowSecret, IsWipedWhenItIsMovedAway) {
  FlowSecret secret = KeySchedule(counting_exporter()).first_secret(FlowDirection::kFromDialling, FlowId(7));
  const FlowSecret taken = std::move(secret);
  EXPECT_NE(taken.bytes(), Secret{});
  EXPECT_EQ(secret.bytes(), Secret{});  // NOLINT(bugprone-use-after-move): that is the claim
}

TEST(SessionId, DependsOnWhoDialled) {
  HelloRandom a{}, b{};
  b[0] = std::byte{1};
  EXPECT_EQ(session_id({.dialling = a, .accepting = b}), session_id({.dialling = a, .accepting = b}));
  EXPECT_NE(session_id({.dialling = a, .accepting = b}), session_id({.dialling = b, .accepting = a}));
  // SHA-256("tideway session" || 16 zero bytes || 01 and 15 zero bytes), computed with sha256sum.
  EXPECT_EQ(to_hex(session_id({.dialling = a, .accepting = b})), "89f3466dde94371a7d35461dba8b5374");
}

TEST(SessionId, AndTheExporterContextAreThoseOfTheVectors) {
  auto vectors = test::load_vectors("key_schedule.txt");
  HelloRandoms randoms;
  std::ranges::copy(vectors["random_of_dialling_side"], randoms.dialling.begin());
  std::ranges::copy(vectors["random_of_accepting_side"], randoms.accepting.begin());
  EXPECT_EQ(to_hex(session_id(randoms)), to_hex(vectors["session_id"]));
  EXPECT_EQ(to_hex(exporter_context(session_id(randoms), 1)), to_hex(vectors["exporter_context"]));
}

TEST(ExporterContext, IsSessionIdThenVersion) {
  SessionId id{};
  id[15] = std::byte{0xAB};
  EXPECT_EQ(to_hex(exporter_context(id, 0x0102)), "000000000000000000000000000000ab0102");
}

}  // namespace
}  // namespace tideway::crypto
