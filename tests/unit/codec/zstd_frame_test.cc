// SPDX-License-Identifier: Apache-2.0
#include "codec/zstd_frame.h"

#include "codec/zstd_codec.h"
#include "support/vectors.h"

namespace tideway::codec {
namespace {

using test::from_hex;

// A single-segment frame of two raw bytes "hi".
constexpr const char* kHi = "28b52ffd 20 02 110000 6869";

TEST(ZstdFrame, ReadsTheContentSizeInEachOfItsForms) {
  EXPECT_EQ(parse_zstd_frame(from_hex(kHi)).value(), (ZstdFrame{.window_size = 2, .content_size = 2}));
  EXPECT_EQ(parse_zstd_frame(from_hex("28b52ffd 60 0001 010000")).value(),
            (ZstdFrame{.window_size = 512, .content_size = 512}))
      << "two bytes count from 256";
  EXPECT_EQ(parse_zstd_frame(from_hex("28b52ffd a0 00004000 010000")).value(),
            (ZstdFrame{.window_size = 4 << 20, .content_size = 4 << 20}));
  EXPECT_EQ(parse_zstd_frame(from_hex("28b52ffd c0 60 0100000000000000 010000")).value(),
            (ZstdFrame{.window_size = 4 << 20, .content_size = 1}));
  EXPECT_EQ(parse_zstd_frame(from_hex("28b52ffd 00 00 010000")).value(),
            (ZstdFrame{.window_size = 1024, .content_size = std::nullopt}));
  EXPECT_EQ(parse_zstd_frame(from_hex("28b52ffd 00 0b 010000")).value().window_size, 2048U + 3 * 256);
}

TEST(ZstdFrame, AcceptsEachBlockTypeAndAChecksum) {
  EXPECT_TRUE(parse_zstd_frame(from_hex("28b52ffd 20 0a 520000 61 010000")).ok() ) << "repeated byte, then empty";
  EXPECT_TRUE(parse_zstd_frame(from_hex("28b52ffd 24 02 110000 6869 01020304")).ok());
}

TEST(ZstdFrame, RefusesWhatTheVectorsCallBad) {
  for (const auto& [name, bytes] : test::load_vectors("refused_zstd_frames.txt")) {
    const auto frame = parse_zstd_frame(bytes);
    ASSERT_FALSE(frame.ok()) << name;
    EXPECT_EQ(frame.error().fault, Fault::kBadCompression) << name;
  }
}

TEST(ZstdFrame, RefusesEveryPrefixOfAGoodFrame) {
  const auto codec = make_zstd_codec();
  const auto raw = test::Octets(100'000, std::byte{7});
  test::Octets packed(codec->packed_size_max(raw.size()));
  packed.resize(codec->pack(raw, packed, CodecLevel{3}).value());
  ASSERT_TRUE(parse_zstd_frame(packed).ok());
  for (size_t size = 0; size < packed.size(); ++size)
    EXPECT_FALSE(parse_zstd_frame(std::span(packed).first(size)).ok()) << size;
}

}  // namespace
}  // namespace tideway::codec
