// SPDX-License-Identifier: Apache-2.0
//
// Which leaves of one tree are asked of which of several sources that all have it. There is one list, and every source takes its next
// batch from the front of it, so that a slow one only takes fewer; what a source does not bring goes back. Small files come first, then
// the largest. Batches shrink with what is left (guided self-scheduling, Polychronopoulos and Kuck 1987), so that all end at about the
// same time.
//
// A batch is asked for by saying of everything else that it is there already (docs/protocol.md, "Several sources"), which bounds it:
// leaves behind those that are asked for cost a hash each, and one file at least is left out of every batch.
// Thread: io worker. Pure.
#pragma once
#include <tideway/object_store.h>

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <vector>

namespace tideway::transfer {

inline constexpr Bytes kBatchBytesMin = 16_MiB;        // below it, opening the transfer that brings it counts
inline constexpr Bytes kBatchBytesMax = 2_GiB;
inline constexpr size_t kBatchRunsMax = 4096;          // files, mostly small ones
inline constexpr size_t kStandInsMax = 32'768;         // leaves behind those of a batch, half of what a source takes: 128 GiB

using SourceNumber = uint32_t;

// Leaves of one file.
struct LeafRun {
  ObjectId object;
  uint32_t first = 0, end = 0;  // the end lies behind the last
  bool operator==(const LeafRun&) const = default;
};

class LeafDeal {
 public:
  // A file that has bytes, and which of its leaves are missing: ascending, apart, maybe none. All of them come before the first take().
  void add(ObjectId object, Bytes size, const std::vector<LeafRun>& missing);

  // The next batch of one of so many sources; empty: nothing is left that it may bring.
  std::vector<LeafRun> take(SourceNumber source, size_t sources);
  void give_back(const LeafRun& run);                    // it did not come
  void bar(SourceNumber source, ObjectId object);        // it is not asked for this file again

  bool is_empty() const { return runs_.empty(); }
  Bytes left() const { return left_; }                   // in the list
  Bytes size_of(const LeafRun& run) const;
  uint32_t leaves_of(ObjectId object) const { return files_.at(object).leaves; }
  size_t files() const { return files_.size(); }

 private:
  struct File {
    Bytes size;
    uint32_t leaves = 0;
  };
  struct Batch {
    std::vector<LeafRun> runs;
    std::map<ObjectId, uint32_t> ends;  // of what it has of each file
    Bytes bytes, goal;
    size_t stand_ins = 0;
  };
  void sort();
  LeafRun part_for(const Batch& batch, const LeafRun& run) const;

  std::map<ObjectId, File> files_;
  std::deque<LeafRun> runs_;
  std::set<std::pair<SourceNumber, ObjectId>> barred_;
  Bytes left_;
  bool is_sorted_ = false;
};

}  // namespace tideway::transfer
