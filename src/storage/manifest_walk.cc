// SPDX-License-Identifier: Apache-2.0
#include "storage/manifest_walk.h"

#include "storage/scan.h"

#include <algorithm>

namespace tideway::storage {
namespace {

Error mismatch(const ManifestEntry& entry, std::string_view why) {
  return {Fault::kManifestMismatch,
          "entry " + std::to_string(entry.number.value()) + " (\"" + to_display(entry.name) + "\") " + std::string(why),
          "the sender is at fault; update it"};
}

// One pass over the entries. Levels that are not visited are followed, for the checks, but have no descriptor.
class Walk {
 public:
  Walk(const RootedDir& top, const WalkSteps& steps) : top_(top), steps_(steps) {}
  Status on_entry(const ManifestEntry& entry);
  Status finish();
  WalkResult result;

 private:
  struct Level {
    std::optional<RootedDir> dir;
    ManifestEntry entry;
    std::string last_name;  // of the entry seen last in it
  };
  const RootedDir* dir_of(const Level& level) const {
    return level.entry.number == ObjectId(0) ? &top_ : level.dir ? &*level.dir : nullptr;
  }
  Status leave();
  Status check(const ManifestEntry& entry);
  Status enter(const RootedDir* in, const ManifestEntry& entry);

  const RootedDir& top_;
  const WalkSteps& steps_;
  std::vector<Level> levels_;
};

Status Walk::leave() {
  Level left = std::move(levels_.back());
  levels_.pop_back();
  if (levels_.empty() || !left.dir || !steps_.on_leave) return success();
  return steps_.on_leave(*left.dir, left.entry);
}

Status Walk::check(const ManifestEntry& entry) {
  if (entry.number.value() != result.entries) return mismatch(entry, "is out of sequence");
  if (entry.first_leaf != result.leaves) return mismatch(entry, "does not begin at the next leaf");
  if (entry.number == ObjectId(0)) return success();
  if (levels_.empty()) return mismatch(entry, "has a parent that cannot hold it");
  if (!is_component(entry.name)) return mismatch(entry, "has no valid name");
  Level& level = levels_.back();
  if (level.entry.number == ObjectId(0) && is_reserved_at_top(entry.name))
    return Error{Fault::kNameReserved, "\"" + to_display(entry.name) + "\" at the top of a tree belongs to Tideway",
                 "rename it at the source"};
  if (!level.last_name.empty() && entry.name <= level.last_name) return mismatch(entry, "is listed twice or out of order");
  if (levels_.size() > kNameDepthMax) return mismatch(entry, "lies too deep");
  level.last_name = entry.name;
  return success();
}

Status Walk::on_entry(const ManifestEntry& entry) {
  while (!levels_.empty() && levels_.back().entry.number != entry.parent)
    if (auto left = leave(); !left.ok()) return left;
  if (auto checked = check(entry); !checked.ok()) return checked;
  if (result.entries++ == 0) result.top = entry;
  if (entry.type == EntryType::kFile) result.leaves += leaf_count(entry.size);
  if (entry.number == ObjectId(0)) {
    if (entry.type != EntryType::kDirectory) return success();
    ++result.directories;
    levels_.push_back({std::nullopt, entry, {}});
    return success();
  }
  const RootedDir* in = dir_of(levels_.back());
  if (entry.type == EntryType::kDirectory) return enter(in, entry);
  if (in == nullptr) return success();
  if (entry.type == EntryType::kFile) return steps_.on_file ? steps_.on_file(*in, entry) : success();
  return steps_.on_link ? steps_.on_link(*in, entry, levels_.size() - 1) : success();
}

Status Walk::enter(const RootedDir* in, const ManifestEntry& entry) {
  ++result.directories;
  std::optional<RootedDir> dir;
  if (in != nullptr && steps_.on_directory) {
    auto step = steps_.on_directory(*in, entry);
    if (!step.ok()) return std::move(step).error();
    dir = std::move(step).value();
  }
  levels_.push_back({std::move(dir), entry, {}});
  return success();
}

Status Walk::finish() {
  while (!levels_.empty())
    if (auto left = leave(); !left.ok()) return left;
  return success();
}

}  // namespace

Result<WalkResult> walk_manifest(const Staging& staging, const PageReader& read_page, const RootedDir& top,
                                 const WalkSteps& steps) {
  auto file = staging.open_manifest();
  if (!file.ok()) return std::move(file).error();
  PageStream pages(file.value().get(), 0, stat_of(file.value().get()).stat.size.count());
  Walk walk(top, steps);
  while (true) {
    auto page = pages.next();
    if (!page.ok()) return std::move(page).error();
    if (page.value().empty()) break;
    auto entries = read_page(page.value());
    if (!entries.ok()) return std::move(entries).error();
    for (const ManifestEntry& entry : entries.value())
      if (auto done = walk.on_entry(entry); !done.ok()) return std::move(done).error();
  }
  if (auto done = walk.finish(); !done.ok()) return std::move(done).error();
  return std::move(walk.result);
}

Result<ManifestEntry> read_entry_zero(const Staging& staging, const PageReader& read_page) {
  auto file = staging.open_manifest();
  if (!file.ok()) return std::move(file).error();
  PageStream pages(file.value().get(), 0, stat_of(file.value().get()).stat.size.count());
  auto page = pages.next();
  if (!page.ok()) return std::move(page).error();
  if (page.value().empty()) return Error{Fault::kManifestMismatch, "no manifest page has arrived", ""};
  auto entries = read_page(page.value());
  if (!entries.ok()) return std::move(entries).error();
  if (entries.value().empty() || entries.value().front().number != ObjectId(0))
    return Error{Fault::kManifestMismatch, "the first manifest page does not begin with entry 0", ""};
  return entries.value().front();
}

}  // namespace tideway::storage
