// SPDX-License-Identifier: Apache-2.0
//
// Decides for each block whether to compress it, and how hard. In `auto`, a few samples tell whether a block would
// shrink; once many in a row would not, only one block in several is looked at, so that checkpoints of random-looking
// weights cost next to nothing. A block of zeros, as holes are read, is always worth it, also when compression is off: to
// see that it is one takes a byte, or the time of a copy. The level follows the pipeline: packed blocks waiting for the
// wire mean that there is time to try harder, a wire waiting while blocks wait for us means the opposite, down to not
// compressing at all.
// Thread: one cpu worker per object. Pure.
#pragma once
#include "block/raw_block.h"
#include <tideway/codec.h>

#include <array>
#include <optional>

namespace tideway::block {

enum class EffortMode : uint8_t { kAuto, kOff, kFixed };
struct EffortConfig {
  EffortMode mode = EffortMode::kAuto;
  CodecLevel level;  // of kFixed, always tried
};

// Where blocks pile up.
enum class Pressure : uint8_t {
  kSteady,
  kFilling,   // behind us: the wire is slower than we are
  kStarving,  // in front of us, and none are behind: the wire waits for us
};
// Of a transfer that reads `ahead_max` blocks ahead of the wire at most: how many wait to be packed, and for the wire.
Pressure pressure_of(size_t to_pack, size_t packed, size_t ahead_max);

class Effort {
 public:
  explicit Effort(const EffortConfig& config) : config_(config) {}

  // The level to try, or nothing: send it raw. May pack a few samples with `codec`.
  std::optional<CodecLevel> choose(const RawBlock& block, Codec& codec);
  // How the try went: packed size, or the raw size when it did not pay.
  void on_packed(size_t raw_size, size_t packed_size);
  // Once per block, from the pipeline.
  void on_pressure(Pressure pressure);

  // Below this many bytes a packed form is worth sending; at or above, the block goes raw.
  static size_t worthwhile_below(size_t raw_size);
  bool is_skipping() const { return incompressible_ >= kIncompressibleMax; }

 private:
  static constexpr uint32_t kIncompressibleMax = 8;  // in a row, then only one block in kSkippedPerSample is sampled
  static constexpr size_t kSampleSize = 16 << 10;
  bool is_compressed_already(const RawBlock& block);
  bool would_shrink(std::span<const std::byte> raw, Codec& codec);
  void note(bool shrinks) { incompressible_ = shrinks ? 0 : incompressible_ + 1; }

  EffortConfig config_;
  uint32_t incompressible_ = 0;   // blocks in a row
  uint32_t skipped_ = 0;          // since the last sample
  std::optional<ObjectId> compressed_;  // the last object that began as a compressed format does
  size_t rung_ = kRungFirst;      // of the ladder of levels in effort.cc
  uint32_t blocks_on_rung_ = 0;
  std::array<std::byte, kSampleSize> scratch_;
  static constexpr size_t kRungFirst = 3;
};

// Whether these first bytes of a file are those of a format that is compressed already.
bool is_compressed_format(std::span<const std::byte> start);

}  // namespace tideway::block
