// SPDX-License-Identifier: Apache-2.0
#include "block/effort.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace tideway::block {
namespace {

constexpr size_t kSamples = 4;
constexpr CodecLevel kSampleLevel{-1};  // fast, and shrinks what any level would shrink
constexpr CodecLevel kZerosLevel{-5};  // the cheapest: a hole shrinks to next to nothing at any
constexpr uint32_t kSkippedPerSample = 16;
constexpr uint32_t kRungBlocks = 32;  // no change of level before so many blocks, so that it does not oscillate

// From no compression up. Each rung costs about 1.3 to 2 times the CPU of the one below.
constexpr std::array<std::optional<CodecLevel>, 9> kRungs = {
    std::nullopt,  CodecLevel{-5}, CodecLevel{-1}, CodecLevel{1}, CodecLevel{2},
    CodecLevel{3}, CodecLevel{5},  CodecLevel{7},  CodecLevel{9}};

using namespace std::string_view_literals;
struct Magic {
  size_t at;
  std::string_view bytes;
};
constexpr Magic kCompressed[] = {
    {0, "\x1F\x8B"sv},              // gzip
    {0, "\x28\xB5\x2F\xFD"sv},      // zstd
    {0, "\xFD\x37zXZ\0"sv},         // xz
    {0, "BZh"sv},                   // bzip2
    {0, "\x04\x22\x4D\x18"sv},      // lz4
    {0, "7z\xBC\xAF\x27\x1C"sv},    // 7-Zip
    {0, "\x89PNG\r\n\x1A\n"sv},     // PNG
    {0, "\xFF\xD8\xFF"sv},          // JPEG
    {0, "GIF8"sv},                  // GIF
    {8, "WEBP"sv},                  // WebP, in RIFF
    {4, "ftyp"sv},                  // MP4 and its family
    {0, "\x1A\x45\xDF\xA3"sv},      // Matroska, WebM
    {0, "OggS"sv},                  // Ogg
    {0, "fLaC"sv},                  // FLAC
};

// A zip archive counts only when its first member is deflated: torch.save writes tensors into zip files uncompressed.
bool is_deflated_zip(std::string_view text) {
  constexpr size_t kMethodAt = 8;
  return text.size() > kMethodAt && text.starts_with("PK\x03\x04"sv) && text[kMethodAt] == 8;
}

// Whether at least half of the block is the beginning of files in compressed formats.
bool starts_compressed(const RawBlock& block) {
  size_t compressed = 0, at = 0;
  for (const Segment& segment : block.segments) {
    const auto bytes = block.raw().subspan(at, segment.length);
    if (segment.leaf == 0 && is_compressed_format(bytes)) compressed += segment.length;
    at += segment.length;
  }
  return compressed * 2 >= block.raw_size;
}

bool is_all_zero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

bool is_compressed_format(std::span<const std::byte> start) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), std::min<size_t>(start.size(), 16));
  return is_deflated_zip(text) || std::ranges::any_of(kCompressed, [&](const Magic& magic) {
    return text.size() > magic.at && text.substr(magic.at).starts_with(magic.bytes);
  });
}

Pressure pressure_of(size_t to_pack, size_t packed, size_t ahead_max) {
  if (packed * 2 >= ahead_max) return Pressure::kFilling;
  return packed == 0 && to_pack > 0 ? Pressure::kStarving : Pressure::kSteady;
}

size_t Effort::worthwhile_below(size_t raw_size) {
  return static_cast<size_t>(static_cast<uint64_t>(raw_size) * 97 / 100);
}

std::optional<CodecLevel> Effort::choose(const RawBlock& block, Codec& codec) {
  if (config_.mode != EffortMode::kFixed && is_all_zero(block.raw())) return kZerosLevel;
  if (config_.mode == EffortMode::kOff) return std::nullopt;
  if (config_.mode == EffortMode::kFixed) return config_.level;
  if (is_compressed_already(block)) return std::nullopt;  // which says nothing about other files
  if (!kRungs[rung_]) return std::nullopt;
  if (is_skipping() && ++skipped_ < kSkippedPerSample) return std::nullopt;
  skipped_ = 0;
  const bool shrinks = would_shrink(block.raw(), codec);
  if (!shrinks) note(false);
  return shrinks ? kRungs[rung_] : std::nullopt;
}

// The beginning of a file in a compressed format, or what follows in a file that began so.
bool Effort::is_compressed_already(const RawBlock& block) {
  if (starts_compressed(block)) {
    compressed_ = block.segments.back().object;  // the others end in this block
    return true;
  }
  const auto is_of_it = [&](const Segment& segment) { return segment.object == compressed_ && segment.leaf > 0; };
  return compressed_ && std::ranges::all_of(block.segments, is_of_it);
}

bool Effort::would_shrink(std::span<const std::byte> raw, Codec& codec) {
  if (raw.size() <= kSamples * kSampleSize) return true;  // the try itself is the sample
  size_t packed = 0;
  const size_t stride = (raw.size() - kSampleSize) / (kSamples - 1);
  for (size_t i = 0; i < kSamples; ++i) {
    const auto result = codec.pack(raw.subspan(i * stride, kSampleSize), scratch_, kSampleLevel);
    packed += result.ok() ? result.value() : kSampleSize;
  }
  return packed * 100 <= kSamples * kSampleSize * 95;
}

void Effort::on_packed(size_t raw_size, size_t packed_size) { note(packed_size < worthwhile_below(raw_size)); }

void Effort::on_pressure(Pressure pressure) {
  if (++blocks_on_rung_ < kRungBlocks || pressure == Pressure::kSteady) return;
  const bool may_move = pressure == Pressure::kFilling ? rung_ + 1 < kRungs.size() : rung_ > 0;
  if (!may_move) return;
  rung_ = pressure == Pressure::kFilling ? rung_ + 1 : rung_ - 1;
  blocks_on_rung_ = 0;
}

}  // namespace tideway::block
