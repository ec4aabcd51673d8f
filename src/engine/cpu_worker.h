// SPDX-License-Identifier: Apache-2.0
//
// Hashes and compresses on the way out, decompresses and mostly hashes again on the way in. The layout leaves
// it two buffers beyond what blocks may hold, so scratch for compressed bytes is always there.
// Thread: cpu worker.
#pragma once
#include "block/effort.h"
#include "codec/registry.h"
#include "engine/rings.h"
#include "mem/buffer_pool.h"
#include <tideway/time.h>

#include <unordered_map>

namespace tideway::engine {

class CpuWorker {
 public:
  CpuWorker(Rings& rings, size_t index, BufferPool& pool);

  // Handles a bounded number of blocks; false: there was nothing to do.
  bool poll();
  bool is_idle() const;

 private:
  bool pack_one(IoCpuRings& io);
  bool unpack_one(NetCpuRings& net);
  block::Effort& effort_of(const BlockToPack& job);

  Rings& rings_;
  const size_t index_;
  BufferPool& pool_;
  codec::CodecSet codecs_;
  std::unordered_map<TransferHandle, std::unique_ptr<block::Effort>> efforts_;
};

}  // namespace tideway::engine
