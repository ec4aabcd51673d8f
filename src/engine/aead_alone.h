// SPDX-License-Identifier: Apache-2.0
//
// How fast one core seals and opens when it does nothing else: what a data path can reach at best.
// Plain bytes lie in block buffers that are walked through as blocks are, because a cache that
// holds them all would flatter; sealed ones in one burst's rooms. Thread: any; each object its own.
#pragma once
#include <tideway/aead.h>
#include <tideway/result.h>
#include <tideway/units.h>
#include "mem/buffer_pool.h"

#include <memory>
#include <vector>

namespace tideway::engine {

class AeadAlone {
 public:
  enum class Work : uint8_t { kSeal, kOpen };
  // `payload`: the plain bytes of a packet. Errors: no_memory.
  static Result<std::unique_ptr<AeadAlone>> create(Work work, Bytes payload);
  ~AeadAlone();

  // Works for about `time` and says how many plain bytes that were.
  Bytes run(Duration time);

 private:
  AeadAlone(Work work, Bytes payload, std::unique_ptr<BufferPool> pool);
  void work_on(Buffer& block);
  void work_on(std::span<std::byte> plain);

  const Work work_;
  const size_t payload_;
  std::unique_ptr<BufferPool> pool_;
  std::vector<Buffer> blocks_;
  std::unique_ptr<Aead> aead_;
  std::vector<std::byte> rooms_;
  uint64_t next_number_ = 0;
};

}  // namespace tideway::engine
