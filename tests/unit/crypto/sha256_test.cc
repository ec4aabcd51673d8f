// SPDX-License-Identifier: Apache-2.0
#include "crypto/sha256.h"

#include "crypto/random_bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace tideway::crypto {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string hex(const Hash256& hash) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : hash) {
    text += kDigits[static_cast<size_t>(b) >> 4];
    text += kDigits[static_cast<size_t>(b) & 15];
  }
  return text;
}

TEST(Sha256, GivesThePublishedHashes) {  // FIPS 180-4 examples
  EXPECT_EQ(hex(sha256(bytes(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256(bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, TakesAMessageInPiecesAndStartsAnewAfterEach) {
  Sha256 hasher;
  for (int turn = 0; turn < 2; ++turn) {
    hasher.update(bytes("a"));
    hasher.update(bytes(""));
    hasher.update(bytes("bc"));
    EXPECT_EQ(hasher.finish(), sha256(bytes("abc")));
  }
}

TEST(Sha256, IsReadAsItIsWrittenAndNothingElseIs) {
  const Hash256 hash = sha256(bytes("abc"));
  const std::string text = to_sha256_text(hash);
  EXPECT_EQ(text, "sha256:" + hex(hash));
  EXPECT_EQ(parse_sha256_text(text), hash);
  const std::string shorter = text.substr(0, text.size() - 1);
  for (const std::string& other : {hex(hash), "sha512:" + hex(hash), text + '0', shorter, shorter + 'g', "sha256:" + text, std::string("sha256:"), std::string()})
    EXPECT_FALSE(parse_sha256_text(other)) << other;
}

TEST(RandomBytes, FillsAllOfTheRoomDifferentlyEachTime) {
  std::array<std::byte, 64> a{}, b{};
  random_bytes(a);
  random_bytes(b);
  EXPECT_NE(a, b);
  std::array<std::byte, 8> zeros{};
  EXPECT_FALSE(std::equal(a.end() - 8, a.end(), zeros.begin()));
}

}  // namespace
}  // namespace tideway::crypto
