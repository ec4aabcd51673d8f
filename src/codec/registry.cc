// SPDX-License-Identifier: Apache-2.0
#include "codec/registry.h"

#include "codec/raw_codec.h"
#include "codec/zstd_codec.h"

namespace tideway::codec {
namespace {

constexpr CodecRow kRows[] = {
    {CodecId::kRaw, "raw", make_raw_codec},
    {CodecId::kZstd, "zstd", make_zstd_codec},
};

}  // namespace

std::span<const CodecRow> codec_rows() { return kRows; }

std::optional<CodecId> codec_from_number(uint8_t number) {
  for (const CodecRow& row : kRows)
    if (static_cast<uint8_t>(row.id) == number) return row.id;
  return std::nullopt;
}

CodecSet::CodecSet() {
  for (const CodecRow& row : kRows) codecs_.push_back(row.make());
}

Codec& CodecSet::at(CodecId id) {
  for (const auto& codec : codecs_)
    if (codec->id() == id) return *codec;
  fail_check(__FILE__, __LINE__, "a codec of this build");
}

}  // namespace tideway::codec
