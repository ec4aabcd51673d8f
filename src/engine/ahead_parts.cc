// SPDX-License-Identifier: Apache-2.0
#include "engine/ahead_parts.h"

#include "engine/durable_log.h"
#include "transfer/ahead_name.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr uint64_t kHashesOffered = 16 * messages::kBaseHashesMax;  // of a part: the peer says how large it is

std::string joined(const ObjectName& path) {
  std::string text;
  for (const std::string& component : path.components()) text += (text.empty() ? "" : "/") + component;
  return text;
}

}  // namespace

std::optional<AheadParts> AheadParts::find(const std::shared_ptr<const storage::RootedDir>& root, const TransferId& id) {
  if (!storage::Staging::exists(*root, id)) return std::nullopt;
  auto staging = storage::Staging::open(root, id);
  if (!staging.ok()) return std::nullopt;  // somebody fills it still
  AheadParts made(std::move(staging).value());
  if (made.read_parts()) return made;
  static_cast<void>(made.remove().ok());
  return std::nullopt;
}

bool AheadParts::read_parts() {
  auto file = staging_.was_there() ? staging_.open_manifest() : Result<Descriptor>(Error{Fault::kSourceMissing, "", ""});
  if (!file.ok()) return false;
  FormerEntries entries(std::move(file).value());
  size_t count = 0;
  for (const ManifestEntry* entry = entries.next(); entry != nullptr && count < kAheadPartsMax; entry = entries.next()) {
    const auto part = entry->type == EntryType::kFile ? transfer::parse_ahead_name(entry->name) : std::nullopt;
    if (!part || entry->size == 0_B || entry->size.count() % kLeafSize.count() != 0) continue;
    files_[joined(part->path)].push_back({part->leaf, static_cast<uint32_t>(leaf_count(entry->size)), entry->number, entry->first_leaf});
    ++count;
  }
  for (auto& [path, parts] : files_) std::ranges::sort(parts, {}, &Part::leaf);
  return !files_.empty();
}

// A leaf without a hash has not come.
void AheadParts::offer(const ManifestEntry& entry, const std::string& path, std::vector<messages::BaseRun>& runs) {
  const auto file = files_.find(path);
  if (file == files_.end() || entry.type != EntryType::kFile) return;
  const uint64_t whole = entry.size.count() / kLeafSize.count();
  uint64_t next = 0;
  for (const Part& part : file->second) {
    if (part.leaf < next || part.leaf >= whole) continue;
    std::vector<Hash128> hashes(std::min({uint64_t{part.leaves}, whole - part.leaf, kHashesOffered}));
    if (!staging_.read_leaf_hashes(part.first_leaf, hashes)) continue;
    next = part.leaf + hashes.size();
    for (auto begin = hashes.begin(); begin != hashes.end();) {
      begin = std::find_if(begin, hashes.end(), [](const Hash128& hash) { return hash != Hash128{}; });
      const auto limit = begin + std::min<std::ptrdiff_t>(hashes.end() - begin, messages::kBaseHashesMax);
      const auto end = std::find(begin, limit, Hash128{});
      if (begin != end) runs.push_back({entry.number, part.leaf + static_cast<uint32_t>(begin - hashes.begin()), {begin, end}});
      begin = end;
    }
  }
  offered_[entry.number] = &file->second;
}

Status AheadParts::give_up() {
  file_.reset();  // or its blocks stay taken
  opened_.reset();
  is_given_up_ = true;
  return staging_.remove();
}

bool AheadParts::read(ObjectId object, uint32_t leaf, std::span<std::byte> bytes) {
  const auto offered = offered_.find(object);
  if (is_given_up_ || offered == offered_.end()) return false;
  const auto behind = std::ranges::upper_bound(*offered->second, leaf, {}, &Part::leaf);
  if (behind == offered->second->begin()) return false;
  const Part& part = *std::prev(behind);
  if (leaf - part.leaf >= part.leaves) return false;
  if (opened_ != part.object) {
    auto file = staging_.read_object(part.object);
    if (!file.ok()) return false;
    file_ = std::move(file).value();
    opened_ = part.object;
  }
  return storage::read_exactly(file_.get(), kLeafSize.count() * (leaf - part.leaf), bytes);
}

}  // namespace tideway::engine
