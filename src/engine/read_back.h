// SPDX-License-Identifier: Apache-2.0
//
// What lies between the sync of a written leaf and its record in the ledger where a transfer is verified by reading back:
// each leaf is read from the device and hashed, and only what agrees counts as stored. What does not is asked for again,
// once; a device that gives a leaf back wrong twice is not to be trusted with it.
//
//   on_written ─▶ on_sync_begun ─▶ the store syncs ─▶ on_synced ─▶ submit, on_answer … ─▶ next_checked
//
// Bounded by what may be written and not durable, and by the objects that are open.
// Thread: io worker, the transfer's home.
#pragma once
#include "block/segment.h"
#include "engine/board.h"
#include <tideway/object_store.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace tideway::engine {

// Memory for leaves that are read back, shared by the transfers of one io worker. Taken from the system when first needed.
class LeafBuffers {
 public:
  // So many reads keep a device busy that writes at the same time: it serves what waits for it in turn, so that reading has as large a part of it as
  // it has of what waits (see ReadBack::kWritesBeside).
  static constexpr size_t kCount = 8;
  std::optional<size_t> take();
  void give_back(size_t index) { is_taken_[index] = false; }
  std::span<std::byte> at(size_t index) { return leaves_[index].bytes; }

 private:
  static constexpr size_t kAlignment = 4096;
  struct alignas(kAlignment) Leaf {
    std::array<std::byte, kLeafSize.count()> bytes;
  };
  std::unique_ptr<Leaf[]> leaves_;
  std::array<bool, kCount> is_taken_{};
};

class ReadBack {
 public:
  // The most that is written at once while a batch is synced and read: as much as is read. Behind more writes than that each read would wait for all of
  // them, and reading fall behind until writing has to wait for it: the device would do one after the other, and be idle in one direction.
  static constexpr Bytes kWritesBeside = kLeafSize * LeafBuffers::kCount;
  static constexpr size_t kWrongMax = 1024;  // leaves asked for again, of a transfer: behind them the device is broken

  ReadBack(LeafBuffers& buffers, Counter& bytes_read) : buffers_(buffers), bytes_read_(bytes_read) {}
  ~ReadBack();  // nothing of it may be at work in the store any more
  ReadBack(const ReadBack&) = delete;
  ReadBack& operator=(const ReadBack&) = delete;

  struct Block {
    BlockKey key;
    block::SegmentList good, bad;
  };
  void on_written(BlockKey key, block::SegmentList&& segments);
  // A sync begins, which covers all that was written, and has ended well. There is one at a time.
  void on_sync_begun();
  Status on_synced();
  bool is_over() const { return is_synced_ && checking_.empty(); }  // with all of that

  // Asks the store for leaves; their tokens are `tokens` and those behind it, as many as there are buffers.
  bool submit(ObjectStore& store, uint32_t tokens);
  // Errors: hash_mismatch, when a leaf was wrong again, or too many were wrong; verify_unavailable, and those of the store.
  Status on_answer(uint32_t index, const Status& status);
  // A block all of whose leaves were read, in any order.
  std::optional<Block> next_checked();

  bool has_written() const { return !written_.empty(); }  // and no sync covers it yet
  Bytes unchecked() const { return unchecked_; }

 private:
  struct Checking {
    BlockKey key;
    block::SegmentList segments;
    std::vector<size_t> bad;  // of the segments
    size_t asked = 0, answered = 0;
  };
  struct Read {
    Checking* block;  // a deque keeps its place
    size_t segment;
  };
  LeafBuffers& buffers_;
  Counter& bytes_read_;
  std::deque<Checking> written_, checking_;
  std::array<std::optional<Read>, LeafBuffers::kCount> reads_;  // by buffer
  std::set<std::pair<ObjectId, uint32_t>> wrong_;                // leaves that were asked for again
  Bytes unchecked_;
  bool is_synced_ = false;
};

}  // namespace tideway::engine
