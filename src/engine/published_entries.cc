// SPDX-License-Identifier: Apache-2.0
#include "engine/published_entries.h"

#include "storage/scan.h"

#include <cstring>

namespace tideway::engine {
namespace {

constexpr uint32_t kAllModes = 0777;

bool is_as_published(const ManifestEntry& a, const ManifestEntry& b) {
  return a.number == b.number && a.parent == b.parent && a.name == b.name && a.type == b.type && a.size == b.size && a.mode == b.mode &&
         a.mtime_ns == b.mtime_ns && a.first_leaf == b.first_leaf && a.link_target == b.link_target;
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
    if (!is_same_) return;
    const ManifestEntry* stored = stored_.next();
    is_same_ = stored != nullptr && is_as_published(*stored, entry);
    if (is_same_ && entry.type == EntryType::kFile) entry.version = version_in(header_.root, entry.number);
  }
}

}  // namespace tideway::engine
