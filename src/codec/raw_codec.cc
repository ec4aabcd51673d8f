// SPDX-License-Identifier: Apache-2.0
#include "codec/raw_codec.h"

#include <algorithm>
#include <string>

namespace tideway::codec {
namespace {

class RawCodec final : public Codec {
 public:
  CodecId id() const override { return CodecId::kRaw; }
  size_t packed_size_max(size_t raw_size) const override { return raw_size; }

  Result<size_t> pack(std::span<const std::byte> raw, std::span<std::byte> out, CodecLevel) override {
    if (out.size() < raw.size()) return Error{Fault::kUnsupported, "too little room", ""};
    std::copy(raw.begin(), raw.end(), out.begin());
    return raw.size();
  }

  Status unpack(std::span<const std::byte> packed, std::span<std::byte> raw) override {
    if (packed.size() != raw.size())
      return Error{Fault::kBadCompression,
                   "a raw block of " + std::to_string(raw.size()) + " bytes came as " + std::to_string(packed.size()),
                   ""};
    std::copy(packed.begin(), packed.end(), raw.begin());
    return success();
  }
};

}  // namespace

std::unique_ptr<Codec> make_raw_codec() { return std::make_unique<RawCodec>(); }

}  // namespace tideway::codec
