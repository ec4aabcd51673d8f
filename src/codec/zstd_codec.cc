// SPDX-License-Identifier: Apache-2.0
#include "codec/zstd_codec.h"

#include "codec/zstd_frame.h"
#include <tideway/object_store.h>

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

namespace tideway::codec {
namespace {

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Error bad_content(std::string why) {
  return {Fault::kBadCompression, "the compressed bytes do not unpack: " + std::move(why), ""};
}

class ZstdCodec final : public Codec {
 public:
  CodecId id() const override { return CodecId::kZstd; }
  size_t packed_size_max(size_t raw_size) const override { return ZSTD_compressBound(raw_size); }

  Result<size_t> pack(std::span<const std::byte> raw, std::span<std::byte> out, CodecLevel level) override {
    TIDEWAY_CHECK(packer_ != nullptr && raw.size() <= kLeafSize.count());
    const int clamped = std::clamp(level.value, kZstdLevelMin, kZstdLevelMax);
    ZSTD_CCtx_setParameter(packer_.get(), ZSTD_c_compressionLevel, clamped);
    const size_t packed = ZSTD_compress2(packer_.get(), out.data(), out.size(), raw.data(), raw.size());
    if (!ZSTD_isError(packed)) return packed;
    TIDEWAY_CHECK(ZSTD_getErrorCode(packed) == ZSTD_error_dstSize_tooSmall);
    return Error{Fault::kUnsupported, "too little room", ""};
  }

  Status unpack(std::span<const std::byte> packed, std::span<std::byte> raw) override {
    TIDEWAY_CHECK(unpacker_ != nullptr);
    const auto frame = parse_zstd_frame(packed);
    if (!frame.ok()) return frame.error();
    if (frame.value().content_size.value_or(raw.size()) != raw.size())
      return bad_content("the frame declares " + std::to_string(*frame.value().content_size) + " bytes, the block " +
                         std::to_string(raw.size()));
    const size_t size =
        ZSTD_decompressDCtx(unpacker_.get(), raw.data(), raw.size(), packed.data(), packed.size());
    if (ZSTD_isError(size)) return bad_content(ZSTD_getErrorName(size));
    if (size != raw.size())
      return bad_content(std::to_string(size) + " bytes came out of " + std::to_string(raw.size()));
    return success();
  }

 private:
  std::unique_ptr<ZSTD_CCtx, Free> packer_{ZSTD_createCCtx()};
  std::unique_ptr<ZSTD_DCtx, Free> unpacker_{ZSTD_createDCtx()};
};

}  // namespace

std::unique_ptr<Codec> make_zstd_codec() { return std::make_unique<ZstdCodec>(); }

}  // namespace tideway::codec
