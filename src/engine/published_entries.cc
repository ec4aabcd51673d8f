// SPDX-License-Identifier: Apache-2.0
#include "engine/published_entries.h"

#include "digest/leaf_fold.h"
#include "storage/scan.h"

#include <algorithm>
#include <cstring>

namespace tideway::engine {
namespace {

constexpr uint32_t kAllModes = 0777;
constexpr Hash128 kStandIn{};  // of a leaf that another source brings: docs/protocol.md, "Several sources"

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
    if (entry.size > 0_B) files_.emplace(entry.number, File{stored->first_leaf, entry.size});
  }
}

std::span<const Hash128> PublishedEntries::stored_from(uint64_t leaf, uint64_t most) {
  if (leaf < hashes_at_ || leaf - hashes_at_ >= hashes_.size()) {
    hashes_.resize(std::min<uint64_t>(kHashesAhead, header_.leaves - std::min(leaf, header_.leaves)));
    hashes_at_ = leaf;
    if (!manifest_.read_leaves(leaf, hashes_)) hashes_.clear();
  }
  if (hashes_.empty()) return {};
  const auto behind = std::span(hashes_).subspan(leaf - hashes_at_);
  return behind.first(std::min<uint64_t>(behind.size(), most));
}

bool PublishedEntries::has_rotted(const block::Segment& segment) {
  const auto file = files_.find(segment.object);
  if (file == files_.end()) return false;
  const auto stored = stored_from(file->second.first_leaf + segment.leaf, 1);
  return !stored.empty() && stored[0] != Hash128{} && stored[0] != segment.hash;
}

// Of the leaves from the front on it says only what they fold to. With several sources those are all stand-ins, or none is.
PublishedEntries::Kept PublishedEntries::compare(const messages::HeldObject& held) {
  const auto file = files_.find(held.object);
  if (file == files_.end()) return Kept::kUnknown;
  const auto [first_leaf, size] = file->second;
  digest::LeafFold fold(size), stand_ins(size);
  for (uint32_t leaf = 0; leaf < held.leaves;) {
    const auto stored = stored_from(first_leaf + leaf, held.leaves - leaf);
    if (stored.empty() || std::ranges::find(stored, Hash128{}) != stored.end()) return Kept::kUnknown;
    for (const Hash128& hash : stored) {
      stand_ins.add(leaf, kStandIn);
      fold.add(leaf++, hash);
    }
  }
  bool is_same = fold.folded().tops == held.tops;
  if (!is_same && stand_ins.folded().tops != held.tops) return Kept::kOther;
  for (const messages::HeldRun& run : held.runs) {
    for (uint32_t i = 0; i < run.hashes.size(); ++i) {
      if (run.hashes[i] == kStandIn) {
        is_same = false;
        continue;
      }
      const auto stored = stored_from(first_leaf + run.first + i, 1);
      if (stored.empty() || stored[0] == Hash128{}) is_same = false;
      else if (stored[0] != run.hashes[i]) return Kept::kOther;
    }
  }
  return is_same ? Kept::kSame : Kept::kUnknown;
}

}  // namespace tideway::engine
