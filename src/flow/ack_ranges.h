// SPDX-License-Identifier: Apache-2.0
//
// Which packet numbers have arrived: one bit each, in a ring. It refuses replays and is the source of the ranges of ACK
// frames. A wide ring on purpose: at 2 million packets a second, 100 ms of reordering leaves 200,000 numbers open, and
// what falls out of the ring is data thrown away.
// Thread: net worker. Pure.
#pragma once
#include "wire/frames.h"

#include <cstdint>
#include <vector>

namespace tideway::flow {

class AckRanges {
 public:
  static constexpr size_t kBitsMin = 8192;
  static constexpr size_t kBitsDefault = size_t{1} << 19;  // 64 KiB
  static constexpr size_t kNewestAlways = 192;  // of 256; the rest of a frame rotates through the older ranges

  explicit AckRanges(size_t bits);  // a power of two, at least kBitsMin

  // Whether a packet of this number would be news. Says nothing about its tag.
  bool is_new(uint64_t number) const;
  // Its tag is right. False: it had arrived before (twice in one burst).
  bool on_received(uint64_t number);
  void forget_below(uint64_t number);  // the peer wants no reports below; replays are refused all the same

  bool is_empty() const { return next_ == 0; }
  uint64_t largest() const { return next_ - 1; }
  uint64_t floor() const;              // of reports
  // Fills largest, floor and ranges.
  void write(wire::AckFrame& frame);

 private:
  bool bit(uint64_t number) const { return words_[(number & mask_) >> 6] >> (number & 63) & 1; }
  void clear_from_to(uint64_t first, uint64_t end);
  // The highest number in [floor, from] that is there (or, for kMissing, that is not); floor - 1 if none.
  enum class Looking : uint8_t { kThere, kMissing };
  uint64_t find_down(uint64_t from, uint64_t floor, Looking looking) const;
  // Ranges downwards from `from`, at most until frame.ranges_count is `limit`; returns where it stopped, or `from` if it
  // found none.
  uint64_t collect(wire::AckFrame& frame, uint64_t from, size_t limit) const;

  std::vector<uint64_t> words_;
  uint64_t mask_;
  uint64_t next_ = 0;          // the largest plus one; 0: nothing yet
  uint64_t report_floor_ = 0;
  uint64_t rotate_from_ = 0;   // where the next frame goes on among the older ranges; 0: from their start
};

}  // namespace tideway::flow
