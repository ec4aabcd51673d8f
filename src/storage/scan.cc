// SPDX-License-Identifier: Apache-2.0
#include "storage/scan.h"

#include "storage/link_target.h"

#include <algorithm>

namespace tideway::storage {
namespace {

constexpr uint32_t kSyntheticMode = 0755;  // of an entry 0 that exists nowhere

EntryType type_of(FileKind kind) {
  if (kind == FileKind::kDirectory) return EntryType::kDirectory;
  return kind == FileKind::kSymlink ? EntryType::kSymlink : EntryType::kFile;
}

Error special_file(const std::string& shown) {
  return {Fault::kSpecialFile, "\"" + shown + "\" is a FIFO, socket or device and is not copied",
          "copy files, directories and links only"};
}

Error unsafe_link(const std::string& shown, const std::string& target) {
  return {Fault::kUnsafeLink,
          "the link \"" + shown + "\" points to \"" + to_display(target) + "\", which may lie outside the tree",
          "make it point below the copied directory by a relative path, or leave it out with --exclude"};
}

}  // namespace

bool is_reserved_at_top(std::string_view component) {
  return component == kStateDirName || component == kTreeManifestName || component == kCommitName;
}

const std::string& name_among_sources(const ScanSource& source) {
  return source.as.empty() && !source.name.is_root() ? source.name.last() : source.as;
}

void stay_in_tree(ScanSource& source) {
  if (source.name.is_root() || source.name.components().front() == kStateDirName) return;
  auto tree = source.root->open_dir(source.name);
  if (!tree.ok()) return;
  if (source.as.empty()) source.as = source.name.last();
  source.root = std::make_shared<const RootedDir>(std::move(tree).value());
  source.name = {};
}

TreeScan::TreeScan(ScanSpec spec) : spec_(std::move(spec)) { TIDEWAY_CHECK(!spec_.sources.empty()); }

Result<size_t> TreeScan::next(std::span<ManifestEntry> out) {
  size_t filled = 0;
  if (!is_started_ && !out.empty()) {
    if (auto status = start(out[0]); !status.ok()) return status.error();
    is_started_ = true;
    number_and_push(out[filled++]);
  }
  while (filled < out.size() && !levels_.empty()) {
    Level& top = levels_.back();
    if (top.next == top.names.begins.size()) {
      name_bytes_ -= top.name.size();
      levels_.pop_back();
    } else if (take_next(out[filled])) {
      number_and_push(out[filled++]);
    }
  }
  if (levels_.empty() && !is_finished_) finish();
  return filled;
}

void TreeScan::finish() {
  is_finished_ = true;
  if (!spec_.only) return;
  for (ObjectName& name : spec_.only->never_met()) {
    Error why{Fault::kSourceMissing, "\"" + to_display(name) + "\" is listed but does not exist", "check the list"};
    skipped_.push_back({std::move(name), std::move(why)});
  }
}

bool TreeScan::next_skipped(SkippedEntry& out) {
  if (!skipped_.empty()) {
    out = std::move(skipped_.front());
    skipped_.pop_front();
    return true;
  }
  if (skipped_unheld_ == 0 || !is_finished_) return false;
  out = {{}, {Fault::kEntriesFailed, std::to_string(skipped_unheld_) + " more entries were left out", ""}};
  skipped_unheld_ = 0;
  return true;
}

Status TreeScan::check_sources() {
  TIDEWAY_CHECK(spec_.form == ScanForm::kTogether || spec_.sources.size() == 1);
  for (const ScanSource& source : spec_.sources) {
    if (!source.name.is_root() && source.name.components().front() == kStateDirName)
      return Error{Fault::kNameReserved, "\"" + source.root->shown(source.name) + "\" belongs to Tideway itself",
                   "copy something else"};
    auto stat = source.root->stat(source.name);
    if (!stat.ok()) return std::move(stat).error();
    const std::string shown = source.root->shown(source.name);
    if (stat.value().kind == FileKind::kSymlink)
      return Error{Fault::kUnsafeLink, "\"" + shown + "\" is a symbolic link", "name what it points to"};
    if (stat.value().kind == FileKind::kSpecial) return special_file(shown);
  }
  return success();
}

Status TreeScan::start(ManifestEntry& entry) {
  if (auto status = check_sources(); !status.ok()) return status;
  entry = ManifestEntry{};
  return spec_.form == ScanForm::kSingle ? start_single(entry) : start_together(entry);
}

Status TreeScan::start_single(ManifestEntry& entry) {
  const ScanSource& source = spec_.sources.front();
  const auto stat = source.root->stat(source.name);
  if (!stat.ok()) return stat.error();
  if (describe({*source.root, source.name}, stat.value(), entry)) return success();
  // What would be left out deeper in the tree is the whole of it here.
  Error why = std::move(skipped_.back().why);
  skipped_.pop_back();
  return why;
}

Status TreeScan::start_together(ManifestEntry& entry) {
  std::sort(spec_.sources.begin(), spec_.sources.end(), [](const ScanSource& a, const ScanSource& b) {
    return name_among_sources(a) < name_among_sources(b);
  });
  Level level;
  for (const ScanSource& source : spec_.sources) {
    const std::string& name = name_among_sources(source);
    if (!is_component(name))
      return Error{Fault::kUsage, "a root itself cannot be one of several sources without a name",
                   "name a directory below it"};
    if (!level.names.begins.empty() && level.names.at(level.names.begins.size() - 1) == name)
      return Error{Fault::kNameCollision, "two sources are called \"" + to_display(name) + "\"",
                   "copy them one by one, to different destinations"};
    level.names.begins.push_back(static_cast<uint32_t>(level.names.bytes.size()));
    level.names.bytes.append(name).push_back('\0');
    const auto stat = source.root->stat(source.name);
    if (!stat.ok()) return stat.error();
    entry.mtime_ns = std::max(entry.mtime_ns, stat.value().mtime_ns);
  }
  entry.type = EntryType::kDirectory;
  entry.mode = kSyntheticMode;
  opened_ = std::move(level);
  return success();
}

void TreeScan::number_and_push(ManifestEntry& entry) {
  entry.number = ObjectId(next_number_++);
  entry.parent = levels_.empty() ? entry.number : levels_.back().number;
  entry.first_leaf = next_leaf_;
  next_leaf_ += leaf_count(entry.size);
  if (!opened_) return;
  opened_->number = entry.number;
  opened_->name = entry.name;
  name_bytes_ += entry.name.size();
  levels_.push_back(std::move(*opened_));
  opened_.reset();
}

bool TreeScan::take_next(ManifestEntry& entry) {
  Level& top = levels_.back();
  const size_t index = top.next++;
  entry = ManifestEntry{};
  entry.name = top.names.at(index);
  if (levels_.size() > kNameDepthMax || name_bytes_ + entry.name.size() > kNameBytesMax) {
    skip(entry.name, {Fault::kUnsupported, "\"" + to_display(entry.name) + "\" lies deeper than 256 directories or 32 KiB "
                      "of name", "copy a directory further down by itself"});
    return false;
  }
  const ScanSource* source = top.dir ? nullptr : &spec_.sources[index];
  const ObjectName name = source != nullptr ? source->name : single_name(entry.name);
  const RootedDir& dir = source != nullptr ? *source->root : *top.dir;
  const auto stat = dir.stat_if_exists(name);
  if (!stat.ok()) {
    skip(entry.name, stat.error());
    return false;
  }
  if (!stat.value()) return false;  // removed since its directory was read: not promised to anybody
  if (stat.value()->kind == FileKind::kSpecial) {
    skip(entry.name, special_file(dir.shown(name)));
    return false;
  }
  if (!is_wanted(entry.name, type_of(stat.value()->kind))) return false;
  return describe({dir, name}, *stat.value(), entry);
}

bool TreeScan::is_wanted(const std::string& component, EntryType type) {
  if (spec_.filter.is_empty() && !spec_.only) return true;
  const ObjectName name = name_below_top(component);
  if (spec_.only) {
    const auto relation = spec_.only->relation(name);
    if (relation == NameList::Relation::kOutside) return false;
    if (relation == NameList::Relation::kAbove) return type == EntryType::kDirectory;
  }
  return spec_.filter.admits(name, type);
}

bool TreeScan::describe(const Where& where, const FileStat& stat, ManifestEntry& entry) {
  entry.type = type_of(stat.kind);
  entry.mode = stat.mode;
  entry.mtime_ns = stat.mtime_ns;
  if (entry.type == EntryType::kSymlink) return describe_link(where, entry);
  if (entry.type == EntryType::kFile) {
    entry.size = stat.size;
    const bool is_pinned = spec_.sources.front().held == ScanSource::Held::kPinned;
    entry.version = is_pinned ? version_of_pinned(stat) : version_of(stat);
    if (stat.size <= kObjectSizeMax) return true;
    skip(entry.name, {Fault::kUnsupported, "\"" + where.dir.shown(where.name) + "\" is larger than 16 PiB", "split it"});
    return false;
  }
  if (spec_.depth > 0 && levels_.size() >= spec_.depth) return true;
  auto dir = where.dir.open_dir(where.name);
  if (!dir.ok()) {
    skip(entry.name, std::move(dir).error());
    return false;
  }
  auto names = read_names(dir.value());
  if (!names.ok()) {
    skip(entry.name, std::move(names).error());
    return false;
  }
  opened_.emplace();
  opened_->dir = std::move(dir).value();
  opened_->names = std::move(names).value();
  return true;
}

bool TreeScan::describe_link(const Where& where, ManifestEntry& entry) {
  auto target = where.dir.read_link(where.name);
  if (!target.ok()) {
    skip(entry.name, std::move(target).error());
    return false;
  }
  entry.link_target = std::move(target).value();
  entry.mode = 0777;  // of every link; kept equal so that it never looks changed
  if (stays_inside(levels_.size() - 1, entry.link_target)) return true;
  skip(entry.name, unsafe_link(where.dir.shown(where.name), entry.link_target));
  return false;
}

Result<TreeScan::Names> TreeScan::read_names(const RootedDir& dir) const {
  // Ours are left out at the top of a root and of a tree; with several sources each of them is a tree.
  const size_t top_levels = spec_.form == ScanForm::kSingle ? 0 : 1;
  const bool is_top = levels_.size() <= top_levels;
  Names names;
  const auto status = dir.for_each_name([&](std::string_view name) {
    if (is_top && is_reserved_at_top(name)) return;
    names.begins.push_back(static_cast<uint32_t>(names.bytes.size()));
    names.bytes.append(name).push_back('\0');
  });
  if (!status.ok()) return status.error();
  if (names.bytes.size() > UINT32_MAX)
    return Error{Fault::kUnsupported, "the directory has more than 4 GiB of names", "split it"};
  std::sort(names.begins.begin(), names.begins.end(), [&](uint32_t a, uint32_t b) {
    return std::string_view(names.bytes.c_str() + a) < std::string_view(names.bytes.c_str() + b);
  });
  return names;
}

ObjectName TreeScan::name_below_top(std::string_view component) const {
  std::vector<std::string> components;
  for (size_t i = 1; i < levels_.size(); ++i) components.push_back(levels_[i].name);
  if (!component.empty()) components.emplace_back(component);
  auto name = ObjectName::from_components(std::move(components));
  return name.ok() ? std::move(name).value() : ObjectName();  // too deep: its parents are named in the reason
}

void TreeScan::skip(std::string_view component, Error why) {
  if (skipped_.size() == kSkippedHeldMax) {
    ++skipped_unheld_;
    return;
  }
  skipped_.push_back({name_below_top(component), std::move(why)});
}

}  // namespace tideway::storage
