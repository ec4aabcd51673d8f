// SPDX-License-Identifier: Apache-2.0
//
// What every codec of the registry promises (include/tideway/codec.h); a new row is tested by being there.
#include "codec/registry.h"

#include "support/vectors.h"
#include <tideway/object_store.h>

#include <set>

namespace tideway::codec {
namespace {

using test::Octets;

Octets packed_by(Codec& codec, const Octets& raw, CodecLevel level = {}) {
  Octets packed(codec.packed_size_max(raw.size()));
  packed.resize(codec.pack(raw, packed, level).value());
  return packed;
}

class EveryCodec : public testing::TestWithParam<CodecRow> {
 protected:
  std::unique_ptr<Codec> codec_ = GetParam().make();
};

TEST_P(EveryCodec, SaysTheIdOfItsRow) { EXPECT_EQ(codec_->id(), GetParam().id); }

TEST_P(EveryCodec, GivesBackWhatItPackedAtAnyLevel) {
  for (const size_t size : {size_t{1}, size_t{5}, size_t{65'536}, size_t{kLeafSize.count()}}) {
    Octets raw = test::pattern(size);
    std::fill(raw.begin() + static_cast<long>(size / 3), raw.end(), std::byte{'x'});
    for (const int level : {-100, -5, 1, 3}) {
      const Octets packed = packed_by(*codec_, raw, CodecLevel{level});
      Octets unpacked(size);
      ASSERT_TRUE(codec_->unpack(packed, unpacked).ok()) << size;
      EXPECT_EQ(unpacked, raw) << size;
    }
  }
}

TEST_P(EveryCodec, SaysSoWhenTheRoomIsTooSmall) {
  const Octets raw = test::pattern(50'000);
  Octets room(40'000);
  const auto packed = codec_->pack(raw, room, CodecLevel{1});
  ASSERT_FALSE(packed.ok());
  EXPECT_EQ(packed.error().fault, Fault::kUnsupported);
  EXPECT_EQ(packed_by(*codec_, Octets(10)).size(), packed_by(*codec_, Octets(10)).size()) << "and works on";
}

TEST_P(EveryCodec, RefusesARawSizeThatIsNotTheTrueOne) {
  const Octets packed = packed_by(*codec_, test::pattern(1000));
  for (const size_t size : {size_t{0}, size_t{999}, size_t{1001}, size_t{100'000}}) {
    Octets raw(size);
    const auto status = codec_->unpack(packed, raw);
    ASSERT_FALSE(status.ok()) << size;
    EXPECT_EQ(status.error().fault, Fault::kBadCompression);
  }
}

TEST_P(EveryCodec, WorksOnAfterADamagedInput) {
  const Octets raw(3000, std::byte{'y'});
  Octets damaged = packed_by(*codec_, raw), unpacked(raw.size());
  const Octets good = damaged;
  damaged.pop_back();
  EXPECT_FALSE(codec_->unpack(damaged, unpacked).ok());
  ASSERT_TRUE(codec_->unpack(good, unpacked).ok());
  EXPECT_EQ(unpacked, raw);
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryCodec, testing::ValuesIn(codec_rows().begin(), codec_rows().end()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(ZstdCodec, RefusesAFrameWhoseDeclaredSizeIsWrongEvenWhenItsContentFits) {
  // "hi" in a frame with a window descriptor that claims three bytes.
  Octets raw(2);
  const auto codec = CodecSet().at(CodecId::kZstd).unpack(
      test::from_hex("28b52ffd c0 00 0300000000000000 110000 6869"), raw);
  EXPECT_FALSE(codec.ok());
}

TEST(ZstdCodec, UnpacksAFrameWithoutADeclaredSize) {
  Octets raw(2);
  ASSERT_TRUE(CodecSet().at(CodecId::kZstd).unpack(test::from_hex("28b52ffd 00 00 110000 6869"), raw).ok());
  EXPECT_EQ(test::to_hex(raw), "6869");
}

TEST(Registry, EveryNumberAndNameIsUsedOnceAndUnknownNumbersAreRefused) {
  std::set<std::string_view> names;
  std::set<CodecId> ids;
  for (const CodecRow& row : codec_rows()) {
    EXPECT_TRUE(names.insert(row.name).second && ids.insert(row.id).second) << row.name;
    EXPECT_EQ(codec_from_number(static_cast<uint8_t>(row.id)), row.id);
  }
  EXPECT_EQ(codec_from_number(2), std::nullopt) << "plane split is reserved, not there";
}

}  // namespace
}  // namespace tideway::codec
