// SPDX-License-Identifier: Apache-2.0
//
// What a file sink remembers of one object between its first write and its close: how far it is written, what of a
// large one is reserved, and where zeros came, so that holes stay holes.
// Thread: io worker.
#pragma once
#include <tideway/object_store.h>

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace tideway::storage {

// Above this a file gets its size and, piece by piece, its space before its bytes: writes that extend a file run one
// after the other on ext4 and XFS.
inline constexpr Bytes kReserveSizeMin = 64_MiB;
inline constexpr Bytes kReservePiece = 64_MiB;  // the most a sparse file of one written byte per piece costs too much
inline constexpr size_t kHoleMin = 4096;        // the block size of the file systems we know
inline constexpr size_t kRunGrain = 64 << 10;   // holes inside a write are looked for in steps of this
inline constexpr size_t kRunsMax = 8;           // I/O requests one write may become

// The non-zero runs of `bytes`, in order; none: all of it is zeros. What does not fit into kRunsMax runs stays in the
// last one, zeros and all.
struct Runs {
  struct Run { size_t begin, end; };
  std::array<Run, kRunsMax> list{};
  size_t count = 0;
};
Runs find_runs(std::span<const std::byte> bytes);

class SinkObject {
 public:
  // `there`: bytes that stand in the file already, from an earlier process.
  explicit SinkObject(Bytes size, Bytes there = {}) : size_(size), written_end_(there.count()) {}
  bool is_large() const { return size_ > kReserveSizeMin; }

  // Before the bytes [begin, end) are written: reserves the pieces they touch. 0 or an errno; file systems that cannot
  // reserve are no error.
  int reserve(int fd, uint64_t begin, uint64_t end);
  void on_write(uint64_t begin, uint64_t end);
  // Zeros came for [begin, end): makes sure that they read as zeros. False: they have to be written like other bytes.
  bool make_hole(int fd, uint64_t begin, uint64_t end);
  // Gives reserved space of whole zero leaves back and sets the size. 0 or an errno.
  int finish(int fd);

 private:
  using Zeros = std::map<uint64_t, uint64_t>;
  Zeros::iterator first_zeros_from(uint64_t begin);
  Bytes size_;
  uint64_t written_end_ = 0;
  std::vector<bool> reserved_;  // by piece, large objects only
  // In reserved space or in space that may be reserved later; end by begin, apart from each other.
  Zeros zeros_;
};

}  // namespace tideway::storage
