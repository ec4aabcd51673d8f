// SPDX-License-Identifier: Apache-2.0
#include "session/verify_tree.h"

#include "digest/leaf_hash.h"
#include "digest/tree_hasher.h"
#include "messages/manifest_page.h"
#include "session/signing.h"
#include "storage/device_read.h"
#include "storage/direct_io.h"
#include "storage/publish.h"
#include "storage/scan.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <numeric>
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

// What is stored at `file` below `dir` about `name`, if anything is.
Result<std::optional<StoredTree>> look(const RootPtr& dir, const ObjectName& file, const ObjectName& name, StoredTree::Form form) {
  auto stored = StoredManifest::open(*dir, file);
  if (!stored.ok() && stored.error().fault == Fault::kManifestMismatch) return std::move(stored).error();
  const bool is_tree = form == StoredTree::Form::kNewTree;
  if (!stored.ok() || (!is_tree && stored.value().header().destination != name)) return std::optional<StoredTree>();
  return std::optional<StoredTree>(StoredTree{std::move(stored).value(), dir, name, "", form});
}

}  // namespace

// The tree itself may hold one, and so may each root that it lies below, which is one of the directories above it. What
// was published last counts.
Result<StoredTree> find_stored_tree(const std::string& path) {
  const std::string full = absolute(path);
  std::optional<StoredTree> newest;
  std::string host;
  const auto take = [&](const RootPtr& dir, const ObjectName& file, const ObjectName& name, StoredTree::Form form) -> Status {
    auto found = look(dir, file, name, form);
    if (!found.ok()) return std::move(found).error();
    if (found.value() && (!newest || newest->manifest.written_ns() <= found.value()->manifest.written_ns()))
      newest.emplace(std::move(*found.value())).host = host;
    return success();
  };
  std::vector<std::string> below;
  for (std::string above = full;;) {
    host = above;
    const auto dir = open_holding_dir(above, storage::Side::kSource);
    const auto name = ObjectName::from_components(below);
    if (dir.ok() && below.empty()) {
      const ObjectName own = storage::single_name(std::string(storage::kTreeManifestName));
      if (Status status = take(dir.value(), own, {}, StoredTree::Form::kNewTree); !status.ok()) return std::move(status).error();
    }
    if (dir.ok() && name.ok()) {
      const ObjectName kept = storage::kept_manifest_name(name.value());
      if (Status status = take(dir.value(), kept, name.value(), StoredTree::Form::kIntoDirectory); !status.ok())
        return std::move(status).error();
    }
    if (above.size() <= 1) break;
    const size_t slash = above.rfind('/');
    if (slash == above.npos) break;
    below.insert(below.begin(), above.substr(slash + 1));
    above = above.substr(0, std::max<size_t>(slash, 1));
  }
  if (newest) return std::move(*newest);
  if (access(path.c_str(), F_OK) != 0)
    return Error{Fault::kSourceMissing, to_display(path) + ": " + std::strerror(errno), "name a directory or file that was the destination of a copy"};
  return Error{Fault::kSourceMissing, to_display(path) + " has no manifest: it was not published by Tideway, or the manifest is gone",
               "name the directory or file that was the destination of the copy, not one above or below it"};
}

namespace {

class Verification {
 public:
  Verification(const StoredTree& found, const VerifyHow& how) : found_(found), how_(how) { report_.root = found.manifest.header().root; }

  Result<VerifyReport> run();

 private:
  Status check_signature();
  Status check_page(const std::vector<ManifestEntry>& entries);
  Status check_entry(const ManifestEntry& entry);
  Status check_file(const ManifestEntry& entry, const ObjectName& name);
  Status check_leaves(const ManifestEntry& entry, int fd);
  Result<bool> read_leaf(int fd, uint64_t at, std::span<std::byte> bytes);
  void damaged(const ManifestEntry& entry, std::vector<uint32_t> leaves);
  Result<bool> fold_leaves(const ManifestEntry& entry);
  bool has_its_mode(const ManifestEntry& entry, uint32_t mode) const;
  void differ(const ObjectName& name, std::string what);
  Result<ObjectName> name_of(const ManifestEntry& entry);
  Result<std::optional<storage::FileStat>> look_at(const ObjectName& name);
  void close_dir();

  const StoredTree& found_;
  const VerifyHow& how_;
  storage::DeviceReader device_;
  VerifyReport report_;
  Bytes bytes_listed_;
  digest::TreeHasher tree_;
  enum class Seen : uint8_t { kThere, kNot };  // kNot: was named as missing, or as another type
  struct Open { ObjectId number; ObjectName name; Seen seen; uint64_t found = 0; };  // `found`: of the entries in it
  std::vector<Open> open_;  // directories from entry 0 down
  ObjectName current_;
  std::array<Hash128, 1024> hashes_;
  struct alignas(storage::kDirectAlignment) Leaf {
    std::array<std::byte, kLeafSize.count()> bytes;
  };
  std::unique_ptr<Leaf> leaf_ = std::make_unique_for_overwrite<Leaf>();
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
  while (!open_.empty()) close_dir();
  if (Status status = check_signature(); !status.ok()) return std::move(status).error();
  const auto root = tree_.finish();
  if (report_.entries == found_.manifest.header().entries && root && *root == report_.root) return report_;
  if (report_.is_good())
    return Error{Fault::kManifestMismatch, "the files agree with the stored manifest, but the manifest not with its own root",
                 "copy the tree again"};
  differ(storage::single_name("stored manifest"), "does not agree with its own root, so that it may be what is damaged");
  return report_;
}

// Of the root that is stored; whether the files have it shows by themselves.
Status Verification::check_signature() {
  const auto& signature = found_.manifest.header().signature;
  if (signature) report_.signed_by = signature->site;
  if (how_.signer == nullptr) return success();
  if (!signature) return unsigned_tree("the tree came without a signature");
  if (report_.kept > 0)
    return Error{Fault::kManifestMismatch, std::to_string(report_.kept) + " files were there before the copy, and the signature says nothing of their content",
                 "copy the tree to a new place, or leave out --signer"};
  if (report_.not_listed > report_.beside)
    return Error{Fault::kManifestMismatch, "\"" + report_.not_listed_in + "\" holds what is not in the manifest, and the signature says nothing of that",
                 "move it away, or leave out --signer"};
  if (how_.signer->is_good(*signature, {report_.root, report_.entries, bytes_listed_.count()})) return success();
  return unsigned_tree("the signature of the tree, by site " + signature->site + ", is not one of this key");
}

Status Verification::check_page(const std::vector<ManifestEntry>& entries) {
  for (const ManifestEntry& entry : entries)
    if (Status status = check_entry(entry); !status.ok()) return status;
  return success();
}

Result<ObjectName> Verification::name_of(const ManifestEntry& entry) {
  if (entry.number == ObjectId(0)) return found_.name;
  while (!open_.empty() && open_.back().number != entry.parent) close_dir();
  if (open_.empty()) return Error{Fault::kManifestMismatch, "the stored manifest is damaged: an entry has no parent", "copy the tree again"};
  return open_.back().name.child(entry.name);
}

// An entry that name_of() was asked about, before anything in it.
Result<std::optional<storage::FileStat>> Verification::look_at(const ObjectName& name) {
  auto stat = found_.dir->stat_if_exists(name);
  if (!open_.empty() && (!stat.ok() || stat.value())) open_.back().found += 1;
  return stat;
}

// All of its entries were looked at: what else is in it was not published with it. Names are counted and not compared, so that a wide
// directory takes no memory. At the top of one that a tree came into there may be others, and whether it stood there before is not
// stored; the directories below it that the manifest lists are of the tree alone.
void Verification::close_dir() {
  const Open closed = std::move(open_.back());
  open_.pop_back();
  if (closed.seen == Seen::kNot) return;
  const bool is_top = closed.number == ObjectId(0);
  const bool is_shared = is_top && found_.form == StoredTree::Form::kIntoDirectory;
  uint64_t there = 0;
  const auto count = [&](std::string_view name) { there += is_top && storage::is_reserved_at_top(name) ? 0 : 1; };
  const auto dir = found_.dir->open_dir(closed.name);
  const bool is_listed = dir.ok() && dir.value().for_each_name(count).ok();
  if (!is_listed && !is_shared) return differ(closed.name, "cannot be listed");
  if (there <= closed.found) return;
  if (report_.not_listed == 0) report_.not_listed_in = closed.name.is_root() ? "." : to_display(closed.name);
  report_.not_listed += there - closed.found;
  report_.beside += is_shared ? there - closed.found : 0;
}

Status Verification::check_entry(const ManifestEntry& entry) {
  if (Status status = tree_.add(entry); !status.ok()) return status;
  auto name = name_of(entry);
  if (!name.ok()) return std::move(name).error();
  current_ = name.value();
  report_.entries += 1;
  bytes_listed_ += entry.size;
  if (entry.type == EntryType::kFile) return check_file(entry, name.value());
  const auto stat = look_at(name.value());
  const FileKind wanted = entry.type == EntryType::kDirectory ? FileKind::kDirectory : FileKind::kSymlink;
  const bool is_there = stat.ok() && stat.value() && stat.value()->kind == wanted;
  if (entry.type == EntryType::kDirectory) open_.push_back({entry.number, name.value(), is_there ? Seen::kThere : Seen::kNot});
  if (!stat.ok() || !stat.value()) differ(name.value(), "is missing");
  else if (stat.value()->kind != wanted) differ(name.value(), "is of another type");
  else if (wanted == FileKind::kDirectory && !has_its_mode(entry, stat.value()->mode)) differ(name.value(), "has other permissions");
  else if (wanted == FileKind::kSymlink) {
    const auto target = found_.dir->read_link(name.value());
    if (!target.ok() || target.value() != entry.link_target) differ(name.value(), "points elsewhere");
  }
  return success();
}

// Directories and empty files that stood there before kept theirs, and which those were is not stored. The top of a tree
// belongs to whoever it was copied for.
bool Verification::has_its_mode(const ManifestEntry& entry, uint32_t mode) const {
  const bool is_directory = entry.type == EntryType::kDirectory;
  if (found_.form == StoredTree::Form::kIntoDirectory && (is_directory || entry.size == 0_B)) return true;
  if (is_directory && entry.number == ObjectId(0)) return true;
  return mode == storage::limit_mode(entry, found_.manifest.header().modes);
}

// Settles the object in the tree, whatever its file is like, so that the walk goes on. True: it was kept from before.
Result<bool> Verification::fold_leaves(const ManifestEntry& entry) {
  const uint64_t count = leaf_count(entry.size), leaves = found_.manifest.header().leaves;
  const Error damaged{Fault::kManifestMismatch, "the stored manifest is damaged: hashes of \"" + to_display(current_) + "\" are missing",
                      "copy the tree again"};
  if (entry.first_leaf > leaves || count > leaves - entry.first_leaf) return damaged;
  digest::ObjectHasher hasher;
  bool is_kept = count > 0;
  for (uint64_t i = 0; i < count; i += hashes_.size()) {
    const auto some = std::span(hashes_).first(std::min<uint64_t>(hashes_.size(), count - i));
    if (!found_.manifest.read_leaves(entry.first_leaf + i, some)) return damaged;
    for (size_t j = 0; j < some.size(); ++j) {
      hasher.add_leaf(leaf_length(entry.size, i + j), some[j]);
      is_kept = is_kept && some[j] == Hash128{};
    }
  }
  if (is_kept) tree_.set_kept(entry.number);
  else if (count > 0) tree_.set_root(entry.number, hasher.finish());
  report_.kept += is_kept ? 1 : 0;
  return is_kept;
}

Status Verification::check_file(const ManifestEntry& entry, const ObjectName& name) {
  const auto kept = fold_leaves(entry);
  if (!kept.ok()) return kept.error();
  const auto differs = [&](std::string what) {
    differ(name, std::move(what));
    std::vector<uint32_t> all(kept.value() ? 0 : leaf_count(entry.size));
    std::iota(all.begin(), all.end(), 0U);
    damaged(entry, std::move(all));
    return success();
  };
  const auto stat = look_at(name);
  if (!stat.ok() || !stat.value()) return differs("is missing");
  if (stat.value()->kind != FileKind::kFile) {
    differ(name, "is of another type");
    return success();
  }
  if (stat.value()->size != entry.size)
    return differs("has " + std::to_string(stat.value()->size.count()) + " bytes instead of " + std::to_string(entry.size.count()));
  if (!kept.value() && !has_its_mode(entry, stat.value()->mode)) differ(name, "has other permissions");
  if (kept.value() || entry.size == 0_B) return success();
  const auto file = found_.dir->open_file(name, storage::Access::kRead);
  if (!file.ok()) return differs("cannot be read: " + file.error().what);
  return check_leaves(entry, file.value().get());
}

Status Verification::check_leaves(const ManifestEntry& entry, int fd) {
  std::vector<uint32_t> bad;
  for (uint64_t i = 0; i < leaf_count(entry.size); ++i) {
    const uint64_t at = i * kLeafSize.count();
    const auto bytes = std::span(leaf_->bytes).first(leaf_length(entry.size, i));
    Hash128 stored;
    if (!found_.manifest.read_leaves(entry.first_leaf + i, {&stored, 1})) {
      differ(current_, "has no hashes in the stored manifest");
      return success();
    }
    const auto read = read_leaf(fd, at, bytes);
    if (!read.ok()) return read.error();
    if (read.value()) report_.bytes += Bytes(bytes.size());
    if (read.value() && digest::leaf_hash(bytes) == stored) continue;
    bad.push_back(static_cast<uint32_t>(i));
    differ(current_, read.value() ? "differs in bytes " + std::to_string(at) + " to " + std::to_string(at + bytes.size() - 1)
                                  : "cannot be read at byte " + std::to_string(at));
  }
  if (how_.on_progress) how_.on_progress(report_.bytes);
  damaged(entry, std::move(bad));
  return success();
}

// False: it cannot be read.
Result<bool> Verification::read_leaf(int fd, uint64_t at, std::span<std::byte> bytes) {
  using Outcome = storage::DeviceReader::Outcome;
  if (how_.on_progress) how_.on_progress(report_.bytes);
  if (how_.from == ReadFrom::kCache) return storage::read_exactly(fd, at, bytes);
  const Outcome outcome = device_.read(fd, at, bytes);
  if (outcome != Outcome::kFromCache) return outcome == Outcome::kRead;
  return Error{Fault::kVerifyUnavailable,
               "\"" + to_display(current_) + "\" stays in memory, so that reading it would prove nothing of the device",
               "run sync, and this again as the owner of the files, when no program has them mapped; tideway verify without --scrub reads them from memory"};
}

void Verification::damaged(const ManifestEntry& entry, std::vector<uint32_t> leaves) {
  if (!leaves.empty() && how_.on_damaged) how_.on_damaged({entry, current_, std::move(leaves)});
}

void Verification::differ(const ObjectName& name, std::string what) {
  report_.differences_seen += 1;
  if (report_.differences.size() < kDifferencesMax) report_.differences.push_back({name.is_root() ? "." : to_display(name), std::move(what)});
}

}  // namespace

Result<VerifyReport> verify_tree(const std::string& path, const VerifyHow& how) {
  const auto found = find_stored_tree(path);
  if (!found.ok()) return found.error();
  return Verification(found.value(), how).run();
}

}  // namespace tideway::session
