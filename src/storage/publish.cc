// SPDX-License-Identifier: Apache-2.0
#include "storage/publish.h"

#include "storage/filter.h"
#include "storage/link_target.h"
#include "storage/manifest_walk.h"
#include "storage/scan.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>

namespace tideway::storage {
namespace {

constexpr uint32_t kBuildMode = 0700;       // of a directory until all its content is in
constexpr uint64_t kDirectoriesSynced = 64;  // each by itself; above it one syncfs costs less

// What tells a trainer that a checkpoint is complete: it appears after everything else.
constexpr std::array<std::string_view, 12> kMarkerNames = {
    ".metadata", "*.metadata",     "metadata.json", "meta.pt",    "trainer_state.json", "_CHECKPOINT_METADATA",
    "latest*",   "commit_success*", "_SUCCESS",     "index.json", "*.index.json",       "latest_checkpointed_iteration.txt"};

bool is_marker(std::string_view name) {
  for (const std::string_view pattern : kMarkerNames)
    if (glob_matches(pattern, name)) return true;
  return false;
}

Error conflict(Fault fault, const std::string& shown, std::string_view why) {
  return {fault, "\"" + shown + "\" " + std::string(why), "choose another destination, or move away what is there"};
}

class Publication {
 public:
  Publication(Staging& staging, const PublishOrder& order, const PageReader& read_page)
      : staging_(staging), order_(order), read_page_(read_page) {}
  Status run();

 private:
  enum class Pass : uint8_t { kAllFiles, kNoMarkers, kMarkers };
  Status check_destination() const;
  Status publish_new_tree();
  Status publish_into(const RootedDir& top);
  Status publish_file(const ManifestEntry& entry);
  Status check_conflicts(const RootedDir& top);
  Status fill(const RootedDir& top, Pass pass);
  Status finish_directories(const RootedDir& top);
  Result<bool> make_directory(const RootedDir& in, const ManifestEntry& entry);
  Status place_file(const RootedDir& in, const ManifestEntry& entry);
  Status place_link(const RootedDir& in, const ManifestEntry& entry, size_t depth);
  Status finish_directory(const RootedDir& dir, const ManifestEntry& entry);
  Status check_no_conflict(const RootedDir& in, const ManifestEntry& entry);
  Status keep_manifest();
  Result<WalkResult> walk(const RootedDir& top, const WalkSteps& steps);
  bool holds_our_root(const RootedDir& dir) const;
  StoredManifestHeader header() const {
    return {order_.root, TreeAlgorithm::kXxh3Leaves, order_.entries, 0, counted_.leaves, order_.destination};
  }

  Staging& staging_;
  const PublishOrder& order_;
  const PageReader& read_page_;
  WalkResult counted_;
  std::vector<bool> made_;  // directories this publish made, by entry number: only those get mode and times
  bool has_markers_ = false;
  bool is_new_tree_ = false;  // all of it is ours
};

Status Publication::run() {
  if (auto checked = check_destination(); !checked.ok()) return checked;
  if (auto flushed = staging_.flush(); !flushed.ok()) return flushed;
  auto zero = read_entry_zero(staging_, read_page_);
  if (!zero.ok()) return std::move(zero).error();
  made_.assign(order_.entries, false);
  const RootedDir& root = staging_.root();
  auto there = root.stat_if_exists(order_.destination);
  if (!there.ok()) return std::move(there).error();
  if (zero.value().type == EntryType::kFile) return publish_file(zero.value());
  if (zero.value().type != EntryType::kDirectory)
    return Error{Fault::kManifestMismatch, "entry 0 is a symbolic link", "the sender is at fault; update it"};
  if (!there.value()) return publish_new_tree();
  if (there.value()->kind != FileKind::kDirectory)
    return conflict(Fault::kTypeConflict, root.shown(order_.destination), "exists and is no directory");
  auto top = root.open_dir(order_.destination);
  if (!top.ok()) return std::move(top).error();
  return publish_into(top.value());
}

Status Publication::check_destination() const {
  const auto components = order_.destination.components();
  if (!components.empty() && components.front() == kStateDirName)
    return Error{Fault::kNameReserved, "\"" + to_display(order_.destination) + "\" belongs to Tideway itself",
                 "choose another destination"};
  return success();
}

Result<WalkResult> Publication::walk(const RootedDir& top, const WalkSteps& steps) {
  auto result = walk_manifest(staging_, read_page_, top, steps);
  if (!result.ok()) return result;
  if (result.value().entries != order_.entries)
    return Error{Fault::kManifestMismatch, "the manifest has " + std::to_string(result.value().entries) + " entries, " +
                 std::to_string(order_.entries) + " were announced", "the sender is at fault; update it"};
  return result;
}

Status Publication::publish_new_tree() {
  const RootedDir& root = staging_.root();
  const ObjectName tree = single_name("tree"), manifest = single_name(std::string(kTreeManifestName));
  is_new_tree_ = true;
  auto made = staging_.dir().make_dir(tree, kBuildMode);  // or left by an attempt that stopped
  if (!made.ok() && made.error().fault != Fault::kDestExists) return made;
  auto top = staging_.dir().open_dir(tree);
  if (!top.ok()) return std::move(top).error();
  if (auto filled = fill(top.value(), Pass::kAllFiles); !filled.ok()) return filled;
  if (auto finished = finish_directories(top.value()); !finished.ok()) return finished;
  if (auto removed = top.value().remove_tree(manifest); !removed.ok()) return removed;
  if (auto written = write_stored_manifest(staging_, header(), top.value(), manifest); !written.ok()) return written;
  // Moving a directory rewrites its "..", for which its owner needs write permission: the mode waits until after.
  const ManifestEntry& zero = counted_.top;
  if (auto set = top.value().set_attributes(zero.mode | kBuildMode, zero.mtime_ns); !set.ok()) return set;
  if (auto synced = top.value().sync(); !synced.ok()) return synced;
  if (counted_.directories > kDirectoriesSynced)
    if (auto synced = top.value().sync_file_system(); !synced.ok()) return synced;
  if (auto parents = root.make_dirs(order_.destination.parent()); !parents.ok()) return std::move(parents).error();
  if (auto renamed = staging_.dir().rename(tree, root, order_.destination); !renamed.ok()) {
    if (renamed.error().fault != Fault::kDestExists) return renamed;
    auto other = root.open_dir(order_.destination);
    if (!other.ok() || !holds_our_root(other.value())) return renamed;  // it appeared meanwhile and is not ours
  }
  if ((zero.mode & kBuildMode) != kBuildMode) {
    if (auto set = top.value().set_attributes(zero.mode, zero.mtime_ns); !set.ok()) return set;
    if (auto synced = top.value().sync(); !synced.ok()) return synced;
  }
  auto parent = root.open_dir(order_.destination.parent());
  if (!parent.ok()) return std::move(parent).error();
  return parent.value().sync();
}

bool Publication::holds_our_root(const RootedDir& dir) const {
  const auto stored = StoredManifest::open(dir, single_name(std::string(kTreeManifestName)));
  return stored.ok() && stored.value().header().root == order_.root;
}

Status Publication::publish_into(const RootedDir& top) {
  if (auto checked = check_conflicts(top); !checked.ok()) return checked;
  if (auto filled = fill(top, Pass::kNoMarkers); !filled.ok()) return filled;
  if (has_markers_) {
    if (auto synced = top.sync_file_system(); !synced.ok()) return synced;  // a marker must not outlive what it marks
    if (auto filled = fill(top, Pass::kMarkers); !filled.ok()) return filled;
  }
  if (auto finished = finish_directories(top); !finished.ok()) return finished;
  if (auto synced = top.sync(); !synced.ok()) return synced;
  if (counted_.directories > kDirectoriesSynced)
    if (auto synced = top.sync_file_system(); !synced.ok()) return synced;
  return keep_manifest();
}

Status Publication::publish_file(const ManifestEntry& entry) {
  const RootedDir& root = staging_.root();
  if (order_.destination.is_root())
    return conflict(Fault::kTypeConflict, root.shown({}), "is a directory, and what is copied is one file");
  auto counted = walk(staging_.dir(), {});
  if (!counted.ok()) return std::move(counted).error();
  counted_ = std::move(counted).value();
  if (auto parents = root.make_dirs(order_.destination.parent()); !parents.ok()) return std::move(parents).error();
  auto parent = root.open_dir(order_.destination.parent());
  if (!parent.ok()) return std::move(parent).error();
  ManifestEntry named = entry;
  named.name = order_.destination.last();
  if (auto checked = check_no_conflict(parent.value(), named); !checked.ok()) return checked;
  if (auto placed = place_file(parent.value(), named); !placed.ok()) return placed;
  if (auto synced = parent.value().sync(); !synced.ok()) return synced;
  return keep_manifest();
}

// Before the first rename, so that a conflict anywhere leaves the destination as it was.
Status Publication::check_conflicts(const RootedDir& top) {
  WalkSteps steps;
  steps.on_directory = [&](const RootedDir& in, const ManifestEntry& entry) -> Result<bool> {
    auto found = probe_existing(in, single_name(entry.name), entry);
    if (!found.ok()) return std::move(found).error();
    if (found.value() == Existing::kTypeConflict)
      return conflict(Fault::kTypeConflict, in.shown(single_name(entry.name)), "exists and is no directory");
    return found.value() == Existing::kSame;
  };
  steps.on_file = [&](const RootedDir& in, const ManifestEntry& entry) { return check_no_conflict(in, entry); };
  steps.on_link = [&](const RootedDir& in, const ManifestEntry& entry, size_t) { return check_no_conflict(in, entry); };
  auto walked = walk(top, steps);
  return walked.ok() ? success() : Status(std::move(walked).error());
}

Status Publication::check_no_conflict(const RootedDir& in, const ManifestEntry& entry) {
  const ObjectName name = single_name(entry.name);
  auto found = probe_existing(in, name, entry);
  if (!found.ok()) return std::move(found).error();
  if (found.value() == Existing::kTypeConflict)
    return conflict(Fault::kTypeConflict, in.shown(name), "exists and is of another type");
  if (found.value() == Existing::kDifferent)
    return conflict(Fault::kDestExists, in.shown(name), "exists and differs in size, time or target");
  return success();
}

Status Publication::fill(const RootedDir& top, Pass pass) {
  WalkSteps steps;
  steps.on_directory = [&](const RootedDir& in, const ManifestEntry& entry) { return make_directory(in, entry); };
  steps.on_file = [&, pass](const RootedDir& in, const ManifestEntry& entry) {
    const bool is_late = pass != Pass::kAllFiles && is_marker(entry.name);
    has_markers_ = has_markers_ || is_late;
    return is_late == (pass == Pass::kMarkers) ? place_file(in, entry) : success();
  };
  auto walked = walk(top, steps);
  if (!walked.ok()) return std::move(walked).error();
  counted_ = std::move(walked).value();
  return success();
}

Result<bool> Publication::make_directory(const RootedDir& in, const ManifestEntry& entry) {
  if (entry.number.value() >= made_.size())
    return Error{Fault::kManifestMismatch, "the manifest has more entries than announced",
                 "the sender is at fault; update it"};
  auto made = in.make_dir(single_name(entry.name), kBuildMode);
  if (made.ok()) made_[entry.number.value()] = true;
  if (made.ok() || made.error().fault == Fault::kDestExists) return true;  // opening it finds out what it is
  return std::move(made).error();
}

Status Publication::place_file(const RootedDir& in, const ManifestEntry& entry) {
  const ObjectName name = single_name(entry.name);
  auto placed = staging_.place_object(entry.number, in, name);
  if (placed.ok() && placed.value()) return success();
  if (!placed.ok()) {
    if (placed.error().fault != Fault::kDestExists) return std::move(placed).error();
    return conflict(Fault::kNameCollision, in.shown(name), "was taken by another entry or process meanwhile");
  }
  auto found = probe_existing(in, name, entry);
  if (!found.ok()) return std::move(found).error();
  if (found.value() == Existing::kSame) return success();  // kept from before, or placed by an attempt that stopped
  if (entry.size > Bytes() || found.value() != Existing::kAbsent)
    return conflict(Fault::kManifestMismatch, in.shown(name), "never arrived");
  auto file = in.create_file(name, kBuildMode);  // an empty file has no bytes to stage
  if (!file.ok()) return std::move(file).error();
  int error = set_times(file.value().get(), entry.mtime_ns);
  if (error == 0 && ::fchmod(file.value().get(), entry.mode & 0777U) != 0) error = errno;
  if (error != 0) return errno_error(Side::kDestination, error, "set times and mode of", in.shown(name));
  return success();
}

Status Publication::finish_directories(const RootedDir& top) {
  WalkSteps steps;
  steps.on_link = [&](const RootedDir& in, const ManifestEntry& entry, size_t depth) {
    return place_link(in, entry, depth);
  };
  steps.on_leave = [&](const RootedDir& dir, const ManifestEntry& entry) { return finish_directory(dir, entry); };
  auto walked = walk(top, steps);
  return walked.ok() ? success() : Status(std::move(walked).error());
}

Status Publication::place_link(const RootedDir& in, const ManifestEntry& entry, size_t depth) {
  const ObjectName name = single_name(entry.name);
  if (!stays_inside(depth, entry.link_target))
    return Error{Fault::kUnsafeLink, "the link \"" + in.shown(name) + "\" points to \"" + to_display(entry.link_target) +
                 "\", which may lie outside the tree", "the sender should have left it out; update it"};
  auto made = in.make_symlink(name, entry.link_target);
  if (made.ok() || made.error().fault != Fault::kDestExists) return made;
  auto found = probe_existing(in, name, entry);
  if (found.ok() && found.value() == Existing::kSame) return success();
  return conflict(Fault::kNameCollision, in.shown(name), "was taken by another entry or process meanwhile");
}

Status Publication::finish_directory(const RootedDir& dir, const ManifestEntry& entry) {
  if (is_new_tree_ || made_[entry.number.value()])
    if (auto set = dir.set_attributes(entry.mode, entry.mtime_ns); !set.ok()) return set;
  return counted_.directories <= kDirectoriesSynced ? dir.sync() : success();
}

Status Publication::keep_manifest() {
  const RootedDir& root = staging_.root();
  const ObjectName place = ObjectName::from_components({std::string(kStateDirName), "manifests", to_hex(staging_.id())}).value();
  const ObjectName built = single_name("stored");
  if (auto removed = staging_.dir().remove_tree(built); !removed.ok()) return removed;
  if (auto written = write_stored_manifest(staging_, header(), staging_.dir(), built); !written.ok()) return written;
  if (auto made = root.make_dirs(place.parent()); !made.ok()) return std::move(made).error();
  auto renamed = staging_.dir().rename(built, root, place);
  if (!renamed.ok() && renamed.error().fault == Fault::kDestExists) {
    // The same transfer was published before: the newer one counts.
    if (auto removed = root.remove_file(place); !removed.ok()) return removed;
    renamed = staging_.dir().rename(built, root, place);
  }
  if (!renamed.ok()) return renamed;
  auto dir = root.open_dir(place.parent());
  if (!dir.ok()) return std::move(dir).error();
  return dir.value().sync();
}

}  // namespace

Result<Existing> probe_existing(const RootedDir& dir, const ObjectName& name, const ManifestEntry& entry) {
  auto there = dir.stat_if_exists(name);
  if (!there.ok()) {
    if (there.error().fault == Fault::kTypeConflict || there.error().fault == Fault::kDenied) return Existing::kTypeConflict;
    return std::move(there).error();
  }
  if (!there.value()) return Existing::kAbsent;
  const FileStat& found = *there.value();
  switch (entry.type) {
    case EntryType::kDirectory: return found.kind == FileKind::kDirectory ? Existing::kSame : Existing::kTypeConflict;
    case EntryType::kFile:
      if (found.kind != FileKind::kFile) return Existing::kTypeConflict;
      return found.size == entry.size && found.mtime_ns == entry.mtime_ns ? Existing::kSame : Existing::kDifferent;
    case EntryType::kSymlink: break;
  }
  if (found.kind != FileKind::kSymlink) return Existing::kTypeConflict;
  auto target = dir.read_link(name);
  if (!target.ok()) return std::move(target).error();
  return target.value() == entry.link_target ? Existing::kSame : Existing::kDifferent;
}

Status publish_staged(Staging& staging, const PublishOrder& order, const PageReader& read_page) {
  return Publication(staging, order, read_page).run();
}

}  // namespace tideway::storage
