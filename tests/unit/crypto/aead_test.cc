// SPDX-License-Identifier: Apache-2.0
//
// What every AEAD provider must do, run for each one this machine has.
#include "crypto/aead_nonce.h"
#include "crypto/registry.h"

#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tideway::crypto {
namespace {

using ByteVector = std::vector<std::byte>;

ByteVector from_hex(std::string_view hex) {
  ByteVector bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

ByteVector random_text(Random& random, size_t size) {
  ByteVector bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  return bytes;
}

struct Key {
  std::array<std::byte, kAeadKeySize> key{};
  std::array<std::byte, kAeadIvSize> iv{};
};

Key random_key(Random& random) {
  Key key;
  for (std::byte& b : key.key) b = static_cast<std::byte>(random.next());
  for (std::byte& b : key.iv) b = static_cast<std::byte>(random.next());
  return key;
}

ByteVector seal(Aead& aead, uint64_t number, const ByteVector& header, const ByteVector& plain) {
  ByteVector out(plain.size() + kAeadTagSize);
  const SealJob job{number, header, plain, out};
  aead.seal(std::span(&job, 1));
  return out;
}

std::vector<std::string> provider_names() {
  std::vector<std::string> names;
  for (const AeadProvider& provider : aead_providers()) names.emplace_back(provider.name);
  return names;
}

class EveryAead : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Aead> make(const Key& key) { return aead_provider(GetParam()).value().make(key.key, key.iv); }
};

// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13 to 16 (those with a 256-bit key
// and a 96-bit IV). The nonce is the IV when the packet number is zero.
TEST_P(EveryAead, GivesThePublishedVectors) {
  struct Vector { std::string_view key, iv, header, plain, sealed; };
  constexpr std::string_view kZeroKey = "0000000000000000000000000000000000000000000000000000000000000000";
  constexpr std::string_view kKey = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
  constexpr std::string_view kPlain =
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
      "ba637b391aafd255";
  constexpr std::string_view kCipher =
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
      "bcc9f662";
  const Vector vectors[] = {
      {kZeroKey, "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      {kZeroKey, "000000000000000000000000", "", "00000000000000000000000000000000",
       "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
      {kKey, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2", kPlain.substr(0, 120),
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
       "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
      {kKey, "cafebabefacedbaddecaf888", "", kPlain,
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
       "bcc9f662898015adb094dac5d93471bdec1a502270e3cc6c"},
  };
  EXPECT_EQ(vectors[2].sealed.substr(0, kCipher.size()), kCipher);
  for (const Vector& vector : vectors) {
    Key key;
    std::ranges::copy(from_hex(vector.key), key.key.begin());
    std::ranges::copy(from_hex(vector.iv), key.iv.begin());
    EXPECT_EQ(seal(*make(key), 0, from_hex(vector.header), from_hex(vector.plain)), from_hex(vector.sealed))
        << vector.sealed;
  }
}

TEST_P(EveryAead, XorsThePacketNumberIntoTheEndOfTheIv) {
  Random random(1);
  Key key = random_key(random);
  const ByteVector header = random_text(random, 32), plain = random_text(random, 100);
  const ByteVector numbered = seal(*make(key), 0x0123456789abcdef, header, plain);
  key.iv = nonce_of(key.iv, 0x0123456789abcdef);
  EXPECT_EQ(seal(*make(key), 0, header, plain), numbered);
}

TEST_P(EveryAead, GivesTheSameBytesAsTheFirstProviderAtEveryLength) {
  Random random(2);
  const Key key = random_key(random);
  const auto mine = make(key), first = make_aead(key.key, key.iv);
  std::vector<size_t> lengths = {16 * 1024, 16 * 1024 - 1};
  for (size_t n = 0; n < 300; ++n) lengths.push_back(n);
  for (size_t n = 300; n < 16 * 1024; n += 97) lengths.push_back(n);
  const ByteVector all = random_text(random, 16 * 1024 + 1);
  for (const size_t length : lengths) {
    const size_t shift = length % 2;  // any alignment
    const ByteVector header = random_text(random, 20 + length % 45);
    const std::span<const std::byte> plain = std::span(all).subspan(shift, length);
    ByteVector a(length + kAeadTagSize), b(length + kAeadTagSize), opened(length);
    const SealJob job_a{length, header, plain, a}, job_b{length, header, plain, b};
    mine->seal(std::span(&job_a, 1));
    first->seal(std::span(&job_b, 1));
    ASSERT_EQ(a, b) << length;
    OpenJob open{length, header, b, opened, false};
    ASSERT_EQ(mine->open(std::span(&open, 1)), 1U) << length;
    ASSERT_TRUE(std::ranges::equal(opened, plain)) << length;
  }
}

TEST_P(EveryAead, TellsForEachPacketOfABurstWhetherItsTagIsRight) {
  Random random(3);
  const Key key = random_key(random);
  const auto aead = make(key);
  for (size_t count = 1; count <= 64; ++count) {
    std::vector<ByteVector> headers(count), plains(count), sealed(count), opened(count);
    std::vector<SealJob> seals;
    for (size_t i = 0; i < count; ++i) {
      headers[i] = random_text(random, 32);
      plains[i] = random_text(random, random.below(200));
      sealed[i].resize(plains[i].size() + kAeadTagSize);
      opened[i].resize(plains[i].size());
      seals.push_back({1000 + i, headers[i], plains[i], sealed[i]});
    }
    aead->seal(seals);
    std::vector<OpenJob> opens;
    for (size_t i = 0; i < count; ++i) {
      // Every fifth packet arrives damaged: in its header, its text or its tag, or under another number.
      uint64_t number = 1000 + i;
      if (i % 5 == 4) {
        const size_t choice = random.below(3);
        const std::byte flip{static_cast<unsigned char>(1U << random.below(8))};
        if (choice == 0) headers[i][random.below(headers[i].size())] ^= flip;
        if (choice == 1) sealed[i][random.below(sealed[i].size())] ^= flip;
        if (choice == 2) number ^= uint64_t{1} << random.below(64);
      }
      opens.push_back({number, headers[i], sealed[i], opened[i], i % 2 == 0});
    }
    ASSERT_EQ(aead->open(opens), count - count / 5);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(opens[i].authentic, i % 5 != 4) << i << " of " << count;
      if (i % 5 != 4) { ASSERT_EQ(opened[i], plains[i]); }
    }
  }
}

TEST_P(EveryAead, RefusesWhatIsShorterThanATag) {
  Random random(4);
  const auto aead = make(random_key(random));
  const ByteVector header(32), stub(kAeadTagSize - 1);
  OpenJob job{1, header, stub, {}, true};
  EXPECT_EQ(aead->open(std::span(&job, 1)), 0U);
  EXPECT_FALSE(job.authentic);
}

TEST_P(EveryAead, RefusesAnotherKeysPacket) {
  Random random(5);
  const auto one = make(random_key(random)), other = make(random_key(random));
  const ByteVector header(32), plain(64);
  const ByteVector sealed = seal(*one, 7, header, plain);
  ByteVector opened(plain.size());
  OpenJob job{7, header, sealed, opened, true};
  EXPECT_EQ(other->open(std::span(&job, 1)), 0U);
}

INSTANTIATE_TEST_SUITE_P(Providers, EveryAead, testing::ValuesIn(provider_names()),
                         [](const auto& tested) { return tested.param; });

TEST(AeadRegistry, EndsWithTheProviderThatIsAlwaysThere) {
  EXPECT_EQ(aead_providers().back().name, "evp");
}

TEST(AeadRegistry, NamesWhatThereIsWhenAskedForWhatIsNot) {
  const auto unknown = aead_provider("rot13");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(unknown.error().next.find("evp"), std::string::npos);
}

}  // namespace
}  // namespace tideway::crypto
