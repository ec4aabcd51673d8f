// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_schedule.h"

#include "crypto/packet_sealer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tideway::crypto {
namespace {

std::string hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += kDigits[static_cast<size_t>(b) >> 4];
    text += kDigits[static_cast<size_t>(b) & 15];
  }
  return text;
}

std::vector<std::byte> from_hex(std::string_view text) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  return bytes;
}

Secret counting_exporter() {
  Secret exporter;
  for (size_t i = 0; i < exporter.size(); ++i) exporter[i] = static_cast<std::byte>(i);
  return exporter;
}

// The vector of the protocol: exporter 00..2f, direction 0, flow 7.
TEST(KeySchedule, GivesThePublishedSecrets) {
  const KeySchedule schedule(counting_exporter());
  const FlowSecret first = schedule.first_secret(FlowDirection::kFromDialling, FlowId(7));
  EXPECT_EQ(hex(first.bytes()),
            "efb45205a8fa98987ed838b87a2123c366bb089e19d3fc4f3e64bdbf0ddb2ce3747b84af7d33f0a4cc6b1fa1775cdd2f");
  EXPECT_EQ(hex(first.next().bytes()),
            "e741295038686190b012cb57625ded75ae2fffc8e848250e0c0b50c39eebc7645c42e5339d31f08056460209c8221463");
  EXPECT_EQ(first.next().epoch(), KeyEpoch(1));
  std::array<std::byte, 32> key;
  std::array<std::byte, 12> iv;
  expand_label(first.bytes(), "key", {}, key);
  expand_label(first.bytes(), "iv", {}, iv);
  EXPECT_EQ(hex(key), "108aa4385976ee2cf8f9982eb0d5a1583797835cf4b5a910178adfbe3f29ffae");
  EXPECT_EQ(hex(iv), "4cd4dc2977265c06e638e67d");
}

TEST(KeySchedule, SealsThePublishedPacket) {
  const FlowSecret secret = KeySchedule(counting_exporter()).first_secret(FlowDirection::kFromDialling, FlowId(7));
  const auto header = from_hex("91000007010002112233445500000000123456780005090100000009" "00000000");
  std::vector<std::byte> plain, out(32 + kAeadTagSize);
  for (int i = 0; i < 32; ++i) plain.push_back(static_cast<std::byte>(i));
  for (const AeadProvider& provider : aead_providers()) {
    const SealJob job{0x12345678, header, plain, out};
    secret.make_aead(provider)->seal(std::span(&job, 1));
    EXPECT_EQ(hex(out),
              "59b92b77c888bf4fc18f6fda511514910d17992a4fefd601d0f8d9237542340562228e8e24160fb75ab213cfc0fdf23c")
        << provider.name;
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
  EXPECT_EQ(hex(session_id({.dialling = a, .accepting = b})), "89f3466dde94371a7d35461dba8b5374");
}

TEST(ExporterContext, IsSessionIdThenVersion) {
  SessionId id{};
  id[15] = std::byte{0xAB};
  EXPECT_EQ(hex(exporter_context(id, 0x0102)), "000000000000000000000000000000ab0102");
}

class CountingAead final : public Aead {
 public:
  explicit CountingAead(size_t& sealed) : sealed_(sealed) {}
  void seal(std::span<const SealJob> burst) override { sealed_ += burst.size(); }
  size_t open(std::span<OpenJob>) override { return 0; }

 private:
  size_t& sealed_;
};

TEST(PacketSealer, CountsPerKeyAndGoesOnNumberingOverAChangeOfKey) {
  size_t sealed = 0;
  std::vector<std::byte> out(100);
  PacketSealer sealer;
  sealer.install(std::make_unique<CountingAead>(sealed));
  const SealJob burst[] = {{1, {}, {}, out}, {5, {}, {}, out}};
  sealer.seal(burst);
  EXPECT_EQ(sealer.sealed(), Bytes(200));
  EXPECT_EQ(sealer.packets(), 2U);
  sealer.install(std::make_unique<CountingAead>(sealed));
  EXPECT_EQ(sealer.sealed(), Bytes(0));
  const SealJob next{6, {}, {}, out};
  sealer.seal(std::span(&next, 1));
  EXPECT_EQ(sealed, 3U);
  EXPECT_DEATH(sealer.seal(std::span(&next, 1)), "check failed");
  sealer.install(std::make_unique<CountingAead>(sealed));
  EXPECT_DEATH(sealer.seal(burst), "check failed");  // a new key does not restart the numbers
}

}  // namespace
}  // namespace tideway::crypto
