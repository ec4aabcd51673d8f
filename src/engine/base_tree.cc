// SPDX-License-Identifier: Apache-2.0
#include "engine/base_tree.h"

#include "checkpoint/tracker.h"
#include "engine/durable_log.h"
#include "storage/published.h"
#include "storage/scan.h"
#include "transfer/entry_paths.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr size_t kSiblingsTried = 4;  // the newest ones

// Names beside `destination` that have a step: those before its own, the newest first, and behind them later ones.
std::vector<std::string> siblings_of(const storage::RootedDir& parent, const std::string& own) {
  const uint64_t step = checkpoint::step_in(own).value_or(UINT64_MAX);
  std::vector<std::pair<uint64_t, std::string>> before, after;
  const Status listed = parent.for_each_name([&](std::string_view name) {
    const auto its = checkpoint::step_in(name);
    if (its && name != own && name.front() != '.') (*its <= step ? before : after).emplace_back(*its, name);
  });
  if (!listed.ok()) return {};
  std::ranges::sort(before, std::ranges::greater());
  std::ranges::sort(after);
  std::vector<std::string> names;
  for (auto* list : {&before, &after})
    for (auto& [its, name] : *list) names.push_back(std::move(name));
  return names;
}

}  // namespace

std::optional<BaseTree> BaseTree::find(const std::shared_ptr<const storage::RootedDir>& root, const ObjectName& destination) {
  if (destination.is_root()) return std::nullopt;
  const auto parent = root->open_dir(destination.parent());
  if (!parent.ok()) return std::nullopt;
  size_t tried = 0;
  for (const std::string& name : siblings_of(parent.value(), destination.last())) {
    const auto place = destination.parent().child(name);
    if (!place.ok()) continue;
    if (auto found = open(*root, place.value())) return found;
    if (++tried == kSiblingsTried) break;
  }
  return std::nullopt;
}

std::optional<BaseTree> BaseTree::open(const storage::RootedDir& root, const ObjectName& name) {
  auto hold = storage::hold_published(root, name);
  if (!hold.ok() || !hold.value().is_open()) return std::nullopt;
  auto dir = root.open_dir(name);
  if (!dir.ok()) return std::nullopt;  // one file is no base: its leaves would have to be found by a name that differs
  auto manifest = storage::StoredManifest::open(dir.value(), storage::single_name(std::string(storage::kTreeManifestName)));
  if (!manifest.ok()) return std::nullopt;
  BaseTree made(std::move(dir).value(), std::move(manifest).value(), std::move(hold).value(), name);
  if (!made.read_files()) return std::nullopt;
  return made;
}

bool BaseTree::read_files() {
  FormerEntries entries(manifest_.pages());
  transfer::EntryPaths paths;
  while (const ManifestEntry* entry = entries.next()) {
    std::string path = paths.next(*entry);
    if (entry->type != EntryType::kFile || entry->size == 0_B) continue;
    if (files_.size() == kBaseFilesMax) return false;
    files_.emplace(std::move(path), File{entry->first_leaf, entry->size});
  }
  return !files_.empty();
}

// Leaves whose hash is not known, because the file was there before its manifest was, are none.
void BaseTree::offer(const ManifestEntry& entry, const std::string& path, std::vector<messages::BaseRun>& runs) {
  if (entry.type != EntryType::kFile || entry.size == 0_B) return;
  const auto file = files_.find(path);
  if (file == files_.end()) return;
  const uint64_t whole = std::min(entry.size, file->second.size).count() / kLeafSize.count();
  const uint64_t count = std::min(entry.size == file->second.size ? leaf_count(entry.size) : whole, kBaseMessagesPerPage * messages::kBaseHashesMax);
  if (count == 0) return;
  messages::BaseRun run{entry.number, 0, std::vector<Hash128>(count)};
  if (!manifest_.read_leaves(file->second.first_leaf, run.hashes)) return;
  if (std::ranges::count(run.hashes, Hash128{}) > 0) return;
  offered_[entry.number] = file->first;
  for (size_t at = 0; at < count; at += messages::kBaseHashesMax) {
    const auto part = std::span(run.hashes).subspan(at, std::min<size_t>(messages::kBaseHashesMax, count - at));
    runs.push_back({entry.number, static_cast<uint32_t>(at), {part.begin(), part.end()}});
  }
}

int BaseTree::descriptor_of(ObjectId object) {
  if (opened_ == object) return file_.get();
  const auto offered = offered_.find(object);
  if (offered == offered_.end()) return -1;
  const auto name = ObjectName::from_text(offered->second);
  auto file = name.ok() ? dir_.open_file(name.value(), storage::Access::kRead) : Result<Descriptor>(name.error());
  if (!file.ok()) return -1;
  file_ = std::move(file).value();
  opened_ = object;
  return file_.get();
}

bool BaseTree::read(ObjectId object, uint32_t leaf, std::span<std::byte> bytes) {
  const int fd = descriptor_of(object);
  return fd >= 0 && storage::read_exactly(fd, kLeafSize.count() * leaf, bytes);
}

}  // namespace tideway::engine
