// SPDX-License-Identifier: Apache-2.0
#include "session/verify_tree.h"

#include "digest/leaf_hash.h"
#include "digest/tree_hasher.h"
#include "messages/manifest_page.h"
#include "session/roots.h"
#include "storage/publish.h"
#include "storage/scan.h"

#include <stdlib.h>

#include <algorithm>
#include <optional>

namespace tideway::session {
namespace {

using storage::FileKind;
using storage::RootedDir;
using storage::StoredManifest;

std::string absolute(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string text = resolved;
  free(resolved);
  return text;
}

struct Found {
  StoredManifest manifest;
  RootPtr dir;      // entry 0 is at `name` below it
  ObjectName name;
};

// The newest of ROOT/.tideway/manifests that was published at `name`.
std::optional<StoredManifest> newest_in(const RootedDir& root, const ObjectName& name) {
  const auto manifests = ObjectName::from_components({std::string(storage::kStateDirName), "manifests"}).value();
  auto dir = root.open_dir(manifests);
  if (!dir.ok()) return std::nullopt;
  std::optional<StoredManifest> newest;
  int64_t newest_time = 0;
  const auto visit = [&](std::string_view file) {
    const ObjectName single = storage::single_name(std::string(file));
    const auto stat = dir.value().stat(single);
    auto stored = StoredManifest::open(dir.value(), single);
    if (!stat.ok() || !stored.ok() || stored.value().header().destination != name) return;
    if (newest && stat.value().mtime_ns <= newest_time) return;
    newest_time = stat.value().mtime_ns;
    newest = std::move(stored).value();
  };
  if (!dir.value().for_each_name(visit).ok()) return std::nullopt;
  return newest;
}

Result<Found> find_manifest(const std::string& path) {
  const std::string full = absolute(path);
  if (auto tree = open_holding_dir(full, storage::Side::kSource); tree.ok()) {
    auto stored = StoredManifest::open(*tree.value(), storage::single_name(std::string(storage::kTreeManifestName)));
    if (stored.ok()) return Found{std::move(stored).value(), tree.value(), {}};
    if (stored.error().fault != Fault::kSourceMissing) return std::move(stored).error();
  }
  // Upwards: the root that it was published below is one of the directories above it.
  std::vector<std::string> below;
  for (std::string above = full; above.size() > 1;) {
    const size_t slash = above.rfind('/');
    below.insert(below.begin(), above.substr(slash + 1));
    above = above.substr(0, std::max<size_t>(slash, 1));
    auto root = open_holding_dir(above, storage::Side::kSource);
    auto name = ObjectName::from_components(below);
    if (!root.ok() || !name.ok()) continue;
    if (auto stored = newest_in(*root.value(), name.value())) return Found{std::move(*stored), root.value(), name.value()};
  }
  return Error{Fault::kSourceMissing, to_display(path) + " has no manifest: it was not published by Tideway, or the manifest is gone",
               "verify the directory that was the destination of the copy"};
}

class Verification {
 public:
  explicit Verification(const Found& found) : found_(found) { report_.root = found.manifest.header().root; }

  Result<VerifyReport> run();

 private:
  Status check_page(const std::vector<ManifestEntry>& entries);
  Status check_entry(const ManifestEntry& entry);
  void check_file(const ManifestEntry& entry, const ObjectName& name);
  void check_leaves(const ManifestEntry& entry, int fd, const std::vector<Hash128>& stored);
  void differ(const ObjectName& name, std::string what);
  Result<ObjectName> name_of(const ManifestEntry& entry);

  const Found& found_;
  VerifyReport report_;
  digest::TreeHasher tree_;
  struct Open { ObjectId number; ObjectName name; };
  std::vector<Open> open_;  // directories from entry 0 down
  ObjectName current_;
  std::vector<std::byte> leaf_ = std::vector<std::byte>(kLeafSize.count());
};

Result<VerifyReport> Verification::run() {
  storage::PageStream pages = found_.manifest.pages();
  for (;;) {
    const auto bytes = pages.next();
    if (!bytes.ok()) return bytes.error();
    if (bytes.value().empty()) break;
    const auto page = messages::parse_manifest_page(bytes.value());
    if (!page.ok()) return Error{Fault::kManifestMismatch, "the stored manifest is damaged: " + page.error().what, "copy the tree again"};
    if (Status status = check_page(page.value().entries); !status.ok()) return std::move(status).error();
  }
  const auto root = tree_.finish();
  const bool counts_agree = report_.entries == found_.manifest.header().entries;
  if (report_.is_good() && (!counts_agree || !root || *root != report_.root))
    return Error{Fault::kManifestMismatch, "the files agree with the stored manifest, but the manifest not with its own root",
                 "copy the tree again"};
  return report_;
}

Status Verification::check_page(const std::vector<ManifestEntry>& entries) {
  for (const ManifestEntry& entry : entries)
    if (Status status = check_entry(entry); !status.ok()) return status;
  return success();
}

Result<ObjectName> Verification::name_of(const ManifestEntry& entry) {
  if (entry.number == ObjectId(0)) return found_.name;
  while (!open_.empty() && open_.back().number != entry.parent) open_.pop_back();
  if (open_.empty()) return Error{Fault::kManifestMismatch, "the stored manifest is damaged: an entry has no parent", "copy the tree again"};
  return open_.back().name.child(entry.name);
}

Status Verification::check_entry(const ManifestEntry& entry) {
  if (Status status = tree_.add(entry); !status.ok()) return status;
  auto name = name_of(entry);
  if (!name.ok()) return std::move(name).error();
  current_ = name.value();
  report_.entries += 1;
  if (entry.type == EntryType::kDirectory) open_.push_back({entry.number, name.value()});
  if (entry.type == EntryType::kFile) {
    check_file(entry, name.value());
    return success();
  }
  const auto stat = found_.dir->stat_if_exists(name.value());
  const FileKind wanted = entry.type == EntryType::kDirectory ? FileKind::kDirectory : FileKind::kSymlink;
  if (!stat.ok() || !stat.value()) differ(name.value(), "is missing");
  else if (stat.value()->kind != wanted) differ(name.value(), "is of another type");
  else if (wanted == FileKind::kDirectory && stat.value()->mode != entry.mode && !name.value().is_root()) differ(name.value(), "has other permissions");
  else if (wanted == FileKind::kSymlink) {
    const auto target = found_.dir->read_link(name.value());
    if (!target.ok() || target.value() != entry.link_target) differ(name.value(), "points elsewhere");
  }
  return success();
}

// However the file turns out, its object gets a root in the tree, so that the walk goes on.
void Verification::check_file(const ManifestEntry& entry, const ObjectName& name) {
  std::vector<Hash128> stored(leaf_count(entry.size));
  const bool has_leaves = found_.manifest.read_leaves(entry.first_leaf, stored);
  const bool is_kept = has_leaves && !stored.empty() && std::all_of(stored.begin(), stored.end(), [](const Hash128& h) { return h == Hash128{}; });
  digest::ObjectHasher hasher;
  for (size_t i = 0; i < stored.size(); ++i)
    hasher.add_leaf(static_cast<uint32_t>(std::min(kLeafSize.count(), entry.size.count() - i * kLeafSize.count())), stored[i]);
  if (is_kept) tree_.set_kept(entry.number);
  else if (entry.size > 0_B) tree_.set_root(entry.number, hasher.finish());
  report_.kept += is_kept ? 1 : 0;
  if (!has_leaves) return differ(name, "has no hashes in the stored manifest");
  const auto stat = found_.dir->stat_if_exists(name);
  if (!stat.ok() || !stat.value()) return differ(name, "is missing");
  if (stat.value()->kind != FileKind::kFile) return differ(name, "is of another type");
  if (stat.value()->size != entry.size)
    return differ(name, "has " + std::to_string(stat.value()->size.count()) + " bytes instead of " + std::to_string(entry.size.count()));
  if (stat.value()->mode != entry.mode && !is_kept) differ(name, "has other permissions");
  if (is_kept || stored.empty()) return;
  const auto file = found_.dir->open_file(name, storage::Access::kRead);
  if (!file.ok()) return differ(name, "cannot be read: " + file.error().what);
  check_leaves(entry, file.value().get(), stored);
}

void Verification::check_leaves(const ManifestEntry& entry, int fd, const std::vector<Hash128>& stored) {
  for (size_t i = 0; i < stored.size(); ++i) {
    const uint64_t at = i * kLeafSize.count();
    const auto bytes = std::span(leaf_).first(std::min(kLeafSize.count(), entry.size.count() - at));
    if (!storage::read_exactly(fd, at, bytes)) return differ(current_, "cannot be read at byte " + std::to_string(at));
    report_.bytes += Bytes(bytes.size());
    if (digest::leaf_hash(bytes) != stored[i])
      differ(current_, "differs in bytes " + std::to_string(at) + " to " + std::to_string(at + bytes.size() - 1));
  }
}

void Verification::differ(const ObjectName& name, std::string what) {
  report_.differences_seen += 1;
  if (report_.differences.size() < kDifferencesMax) report_.differences.push_back({name.is_root() ? "." : to_display(name), std::move(what)});
}

}  // namespace

Result<VerifyReport> verify_tree(const std::string& path) {
  const auto found = find_manifest(path);
  if (!found.ok()) return found.error();
  return Verification(found.value()).run();
}

}  // namespace tideway::session
