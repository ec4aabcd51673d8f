// SPDX-License-Identifier: Apache-2.0
//
// Finds the entry of a block under way: a hash table with open addressing and a size fixed at the start, so that
// looking up, adding and removing never allocate. Runs of packets belong to one block, so the last answer is kept.
// Pure.
#pragma once
#include <tideway/check.h>
#include <tideway/ids.h>

#include <bit>
#include <cstdint>
#include <vector>

namespace tideway::flow {

class BlockIndex {
 public:
  static constexpr uint32_t kNone = 0xFFFF'FFFF;

  explicit BlockIndex(size_t blocks_max)
      : cells_(std::bit_ceil(blocks_max * 2 + 1)), mask_(cells_.size() - 1), blocks_max_(blocks_max) {}

  uint32_t find(BlockKey key) const {
    if (last_.entry != kNone && last_.key == key) return last_.entry;
    for (size_t i = home_of(key);; i = (i + 1) & mask_) {
      if (cells_[i].entry == kNone) return kNone;
      if (cells_[i].key == key) {
        last_ = cells_[i];
        return cells_[i].entry;
      }
    }
  }

  void add(BlockKey key, uint32_t entry) {
    TIDEWAY_CHECK(size_ < blocks_max_);  // so an empty cell always ends a search
    size_t i = home_of(key);
    while (cells_[i].entry != kNone) i = (i + 1) & mask_;
    cells_[i] = {key, entry};
    ++size_;
  }

  void remove(BlockKey key) {
    last_ = {};
    size_t hole = home_of(key);
    while (cells_[hole].entry != kNone && cells_[hole].key != key) hole = (hole + 1) & mask_;
    if (cells_[hole].entry == kNone) return;
    --size_;
    // Closes the gap: whatever further on would no longer be found from its home moves into the hole.
    for (size_t i = (hole + 1) & mask_; cells_[i].entry != kNone; i = (i + 1) & mask_) {
      const size_t home = home_of(cells_[i].key);
      if (((i - home) & mask_) < ((i - hole) & mask_)) continue;
      cells_[hole] = cells_[i];
      hole = i;
    }
    cells_[hole] = {};
  }

  size_t size() const { return size_; }

 private:
  struct Cell {
    BlockKey key;
    uint32_t entry = kNone;
  };
  size_t home_of(BlockKey key) const {
    const uint64_t mixed = (uint64_t{key.slot.value()} << 32 | key.block.value()) * 0x9E37'79B9'7F4A'7C15;
    return static_cast<size_t>(mixed >> 32) & mask_;
  }

  std::vector<Cell> cells_;
  size_t mask_;
  size_t blocks_max_;
  size_t size_ = 0;
  mutable Cell last_;
};

}  // namespace tideway::flow
