// SPDX-License-Identifier: Apache-2.0
//
// Whether the sink says for each page what it needs, or said once that it needs everything because nothing is there.
// Pure.
#pragma once
#include <cstdint>

namespace tideway::transfer {

enum class Answers : uint8_t { kEverythingNeeded, kPerPage };

// Blocks that come damaged in spite of their seal: memory errs now and then, and they are sent again. Beyond so many, and one in so many
// that are sound, the source means it, or its memory is broken.
inline constexpr uint64_t kDamagedBlocksMax = 64, kSoundBlocksEach = 64;
// What a source takes of that: more, for a sink also refuses what its device gave back wrong (engine::ReadBack::kWrongMax).
inline constexpr uint64_t kRefusedBlocksMax = 2048;

}  // namespace tideway::transfer
