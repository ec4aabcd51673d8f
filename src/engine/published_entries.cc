// SPDX-License-Identifier: Apache-2.0
#include "engine/published_entries.h"

#include "storage/scan.h"

#include <algorithm>
#include <cstring>

namespace tideway::engine {
namespace {

constexpr uint32_t kAllModes = 0777;

bool stand_at_one_place(const ManifestEntry& a, const ManifestEntry& b) {
  return a.number == b.number && a.parent == b.parent && a.name == b.name && a.type == b.type;
}

bool is_as_published(const ManifestEntry& a, const ManifestEntry& b) {
  return a.size == b.size && a.mode == b.mode && a.mtime_ns == b.mtime_ns && a.link_target == b.link_target;
}

// Another number for each file, and for each tree; never 0.
uint64_t version_in(const Hash256& root, ObjectId number) {
  uint64_t version = 0;
  std::memcpy(&version, root.data(), sizeof version);
  return (version ^ (number.value() + uint64_t{1}) * 0x9E3779B97F4A7C15) | 1;
}

}  // namespace

std::optional<PublishedEntries> PublishedEntries::of(const storage::RootedDir& root, const ObjectName& name) {
  const auto at = name.child(std::string(storage::kTreeManifestName));
  if (!at.ok()) return std::nullopt;
  auto manifest = storage::StoredManifest::open(root, at.value());
  // With fewer rights than the source had, what lies here has another root than its manifest says.
  if (!manifest.ok() || manifest.value().header().modes != kAllModes) return std::nullopt;
  return PublishedEntries(std::move(manifest).value());
}

void PublishedEntries::stamp(std::span<ManifestEntry> entries) {
  for (ManifestEntry& entry : entries) {
    const ManifestEntry* stored = is_in_step_ ? stored_.next() : nullptr;
    is_in_step_ = stored != nullptr && stand_at_one_place(*stored, entry);
    const bool is_same = is_in_step_ && is_as_published(*stored, entry);
    is_same_ = is_same_ && is_same;
    if (!is_same || entry.type != EntryType::kFile) continue;
    entry.version = version_in(header_.root, entry.number);
    if (entry.size > 0_B) first_leaves_.emplace(entry.number, stored->first_leaf);
  }
}

bool PublishedEntries::has_rotted(const block::Segment& segment) {
  const auto first = first_leaves_.find(segment.object);
  if (first == first_leaves_.end()) return false;
  const uint64_t leaf = first->second + segment.leaf;
  if (leaf < hashes_at_ || leaf - hashes_at_ >= hashes_.size()) {
    hashes_.resize(std::min<uint64_t>(kHashesAhead, header_.leaves - std::min(leaf, header_.leaves)));
    hashes_at_ = leaf;
    if (!manifest_.read_leaves(leaf, hashes_)) hashes_.clear();
  }
  if (hashes_.empty()) return false;
  const Hash128& stored = hashes_[leaf - hashes_at_];
  return stored != Hash128{} && stored != segment.hash;
}

}  // namespace tideway::engine
