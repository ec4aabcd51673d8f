// SPDX-License-Identifier: Apache-2.0
#include "transfer/leaf_deal.h"

#include <algorithm>

namespace tideway::transfer {
namespace {

constexpr size_t kBatchesOfEach = 4;  // that would be left to each source, if all of them were as large as the next one

}  // namespace

void LeafDeal::add(ObjectId object, Bytes size, const std::vector<LeafRun>& missing) {
  files_[object] = {size, static_cast<uint32_t>(leaf_count(size))};
  for (const LeafRun& run : missing) {
    runs_.push_back(run);
    left_ += size_of(run);
  }
}

Bytes LeafDeal::size_of(const LeafRun& run) const {
  return kLeafSize * (run.end - run.first - 1) + Bytes(leaf_length(files_.at(run.object).size, run.end - 1));
}

// Files of one leaf as they are listed; then the largest, whose pieces stay in their order.
void LeafDeal::sort() {
  const auto rank = [this](const LeafRun& run) {
    const File& file = files_.at(run.object);
    return file.leaves == 1 ? 0 : UINT64_MAX - file.size.count();
  };
  std::ranges::stable_sort(runs_, {}, rank);
  is_sorted_ = true;
}

// As much of a run as the batch has room for; nothing of it when its end is empty.
LeafRun LeafDeal::part_for(const Batch& batch, const LeafRun& run) const {
  const uint32_t leaves = files_.at(run.object).leaves;
  const auto before = batch.ends.find(run.object);
  const bool is_new = before == batch.ends.end();
  if (is_new ? batch.ends.size() + 1 >= files_.size() : run.first < before->second) return {run.object, 0, 0};
  const uint64_t wanted = leaf_count(batch.goal - batch.bytes);
  const size_t room = kStandInsMax - batch.stand_ins;
  LeafRun part{run.object, run.first, static_cast<uint32_t>(std::min<uint64_t>(run.end, run.first + wanted))};
  const size_t behind_first = leaves - part.first;
  if (is_new && behind_first > room + (part.end - part.first)) part.end = static_cast<uint32_t>(std::min<size_t>(run.end, leaves - room));
  return is_new && leaves - part.end > room ? LeafRun{run.object, 0, 0} : part;
}

std::vector<LeafRun> LeafDeal::take(SourceNumber source, size_t sources) {
  if (!is_sorted_) sort();
  Batch batch;
  batch.goal = std::clamp(left_ / (kBatchesOfEach * std::max<size_t>(sources, 1)), kBatchBytesMin, kBatchBytesMax);
  for (size_t i = 0; i < runs_.size() && batch.bytes < batch.goal && batch.runs.size() < kBatchRunsMax;) {
    LeafRun& run = runs_[i];
    const LeafRun part = barred_.contains({source, run.object}) ? LeafRun{} : part_for(batch, run);
    if (part.end == 0) {
      ++i;
      continue;
    }
    if (!batch.ends.contains(part.object)) batch.stand_ins += leaves_of(part.object) - part.end;
    batch.ends[part.object] = part.end;
    batch.bytes += size_of(part);
    batch.runs.push_back(part);
    run.first = part.end;
    if (run.first == run.end) runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(i));
    else ++i;
  }
  left_ -= batch.bytes;
  return batch.runs;
}

void LeafDeal::give_back(const LeafRun& run) {
  runs_.push_front(run);
  left_ += size_of(run);
}

void LeafDeal::bar(SourceNumber source, ObjectId object) { barred_.insert({source, object}); }

}  // namespace tideway::transfer
