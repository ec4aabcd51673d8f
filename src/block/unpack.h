// SPDX-License-Identifier: Apache-2.0
//
// From a block as it arrived to bytes that may be stored: head checked, decompressed, and, where it is asked for, every leaf hashed again.
// Thread: cpu worker. Pure.
#pragma once
#include "block/segment.h"
#include "codec/registry.h"
#include "mem/packed_block.h"
#include <tideway/result.h>

namespace tideway::block {

// kTrusted: the hashes in the head, which came sealed, are taken for those of the leaves. What was damaged behind the seal is not found.
enum class LeafHashes : uint8_t { kCompared, kTrusted };

struct UnpackedBlock {
  BlockKey key;
  SegmentList segments;
  Buffer bytes;
  std::span<const std::byte> raw;  // the segments end to end, within `bytes`; 4,096-byte aligned
  // Indices of segments that must not be stored, ascending, and why: hash_mismatch, or bad_compression for all of
  // them. One damaged segment costs no other.
  std::vector<uint32_t> bad;
  Fault bad_because = Fault::kHashMismatch;
  LeafHashes hashes = LeafHashes::kCompared;
};

// Whether unpack will want a scratch buffer for it. A guess from a byte that is not checked yet: a wrong one gives an
// error, never wrong bytes.
bool needs_scratch(const PackedBlock& block);

// `scratch` takes the raw bytes of a compressed block; the buffer that is not used goes home, in case of an error both.
// Errors: those of parse_head, and protocol_error when the lengths in head and packets differ. no_memory when scratch
//         is needed and empty.
Result<UnpackedBlock> unpack(PackedBlock&& packed, codec::CodecSet& codecs, Buffer scratch, LeafHashes hashes = LeafHashes::kCompared);

}  // namespace tideway::block
