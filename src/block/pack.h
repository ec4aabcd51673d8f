// SPDX-License-Identifier: Apache-2.0
//
// From a block as it was read to a block as it is sent: every segment hashed, compressed where that pays, with a head
// in front. The only way to a PackedBlock on the sending side.
// Thread: cpu worker. Pure.
#pragma once
#include "block/effort.h"
#include "block/raw_block.h"
#include "mem/packed_block.h"

#include <span>

namespace tideway::block {

void hash(RawBlock& block);  // its segments

// Hashes the segments, and says whether each is the one of `base`: one hash for each segment.
bool hash_and_compare(RawBlock& block, std::span<const Hash128> base);

// `scratch` takes the compressed form. When that does not pay, or `scratch` is empty, the block is sent from the
// buffer it was read into, and never moves. The buffer that is not used goes home.
//
// Shapes:  the raw block keeps the rules of raw_block.h; one that does not is a failed check.
// Errors:  none.
PackedBlock pack(RawBlock&& raw, Codec& codec, Effort& effort, Buffer scratch);

}  // namespace tideway::block
