// SPDX-License-Identifier: Apache-2.0
//
// Compression by zstd (RFC 8878): one frame per block, no dictionary, no checksum of its own, because leaf hashes
// cover the raw bytes.
// Thread: one cpu worker per object.
#pragma once
#include <tideway/codec.h>

#include <memory>

namespace tideway::codec {

// CodecLevel is zstd's: 1 to 19 trade speed for size, below zero is faster still; others are clamped to that.
inline constexpr int kZstdLevelMin = -7;
inline constexpr int kZstdLevelMax = 19;  // higher ones need windows a block cannot fill

std::unique_ptr<Codec> make_zstd_codec();

}  // namespace tideway::codec
