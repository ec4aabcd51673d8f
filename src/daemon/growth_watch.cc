// SPDX-License-Identifier: Apache-2.0
#include "daemon/growth_watch.h"

#include "daemon/checkpoint_look.h"
#include "transfer/ahead_name.h"

#include <algorithm>
#include <utility>

namespace tideway::daemon {

void GrowingFiles::declare(const std::string& path, flow::Interval bytes) {
  if (path.size() > kPathMax || (files_.size() >= kFilesMax && !files_.contains(path))) return;  // it goes when all is complete
  File& file = files_[path];
  if (file.declared.intervals().size() < kRangesMax) file.declared.add(bytes);
}

flow::IntervalSet GrowingFiles::final_leaves(const File& file, Bytes size) {
  const uint64_t leaf = kLeafSize.count(), whole = size.count() / leaf;
  flow::IntervalSet leaves;
  if (file.declared.is_empty()) {
    if (whole > 1) leaves.add({0, whole - 1});
    return leaves;
  }
  for (const flow::Interval& range : file.declared.intervals()) {
    const uint64_t begin = range.begin / leaf + (range.begin % leaf != 0 ? 1 : 0), end = std::min(range.end / leaf, whole);
    if (begin < end) leaves.add({begin, end});
  }
  return leaves;
}

std::vector<engine::GrownPart> GrowingFiles::take(const checkpoint::Listing& listing) {
  std::vector<engine::GrownPart> parts;
  for (const checkpoint::File& there : listing.files) {
    const auto path = ObjectName::from_text(there.path);
    if (!path.ok() || there.size < kLeafSize * 2 || !transfer::ahead_name({0, 0, path.value()})) continue;
    File& file = files_[there.path];
    const flow::IntervalSet leaves = final_leaves(file, there.size);
    for (const flow::Interval& run : leaves.intervals()) {
      for (flow::Interval gap = file.told.first_gap(run); gap.begin < gap.end && parts_ < kPartsMax; gap = file.told.first_gap(run)) {
        gap.end = std::min(gap.end, gap.begin + kPartLeavesMax);
        parts.push_back({path.value(), static_cast<uint32_t>(gap.begin), static_cast<uint32_t>(gap.length())});
        file.told.add(gap);
        ++parts_;
      }
    }
  }
  return parts;
}

void GrowthWatch::declare(const std::string& path, flow::Interval bytes, Time now) {
  files_.declare(path, bytes);
  has_news_ = true;
  changed_ = now;
}

// What is not there yet will be.
void GrowthWatch::list(Time now) {
  listed_ = now;
  auto listing = list_checkpoint({*place_.root, place_.name, place_.name});
  if (!listing.ok()) return;
  changes_.follow(place_.path, listing.value());
  if (listing.value() == seen_) return;
  seen_ = std::move(listing).value();
  has_news_ = true;
  changed_ = now;
}

Growth GrowthWatch::look(Time now) {
  next_ = now + kEvery;
  if (changes_.take() || now - listed_ >= kListedEvery) list(now);
  return {std::exchange(has_news_, false) ? files_.take(seen_) : std::vector<engine::GrownPart>(), now - changed_ >= kSilentMax};
}

}  // namespace tideway::daemon
