// SPDX-License-Identifier: Apache-2.0
#include "storage/publish.h"

#include "base/log.h"
#include "storage/filter.h"
#include "storage/link_target.h"
#include "storage/manifest_walk.h"
#include "storage/opened_dirs.h"
#include "storage/scan.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

namespace tideway::storage {
namespace {

constexpr uint64_t kInodesSynced = 64;  // directories and empty files, each by itself; above it one syncfs costs less

// What tells a trainer that a checkpoint is complete: it appears after everything else.
constexpr std::array<std::string_view, 12> kMarkerNames = {
    ".metadata", "*.metadata",     "metadata.json", "meta.pt",    "trainer_state.json", "_CHECKPOINT_METADATA",
    "latest*",   "commit_success*", "_SUCCESS",     "index.json", "*.index.json",       "latest_checkpointed_iteration.txt"};

Error conflict(Fault fault, const std::string& shown, std::string_view why) {
  return {fault, "\"" + shown + "\" " + std::string(why), "choose another destination, or move away what is there"};
}

Error is_the_root(const RootedDir& root) { return conflict(Fault::kTypeConflict, root.shown({}), "is the root itself, which nothing takes the place of"); }

// One that may be passed and not read cannot be opened, and so not be synced by itself.
Status sync_way_to(const RootedDir& root, const ObjectName& name) {
  for (ObjectName above = name; !above.is_root();) {
    above = above.parent();
    const auto dir = root.open_dir(above);
    if (!dir.ok() && dir.error().fault == Fault::kDestDenied) return root.sync_file_system();
    if (!dir.ok()) return dir.error();
    if (Status synced = dir.value().sync(); !synced.ok()) return synced;
  }
  return success();
}

Result<std::optional<RootedDir>> entered(Result<RootedDir>&& dir) {
  if (!dir.ok()) return std::move(dir).error();
  return std::optional<RootedDir>(std::move(dir).value());
}

// What is absent at the destination is made ready in staging, in pieces: a file, a link or a whole directory with all
// its content, modes and times. Each piece then gets its name by one rename. A new tree is one piece, entry 0.
class Publication {
 public:
  Publication(Staging& staging, const PublishOrder& order, const PublishHow& how)
      : staging_(staging), order_(order), read_page_(how.read_page), rules_(how.rules), modes_(how.modes), early_(how.early) {}
  Status run();

 private:
  enum class Pass : uint8_t { kFirst, kMarkers };
  enum class Place : uint8_t { kNew, kTaken };
  Status publish_tree(Place place, const ManifestEntry& entry_0);
  Status exchange(const RootedDir& parent, const RootedDir& top);
  Status finish_exchanged(const ManifestEntry& entry_0) const;
  Result<bool> was_exchanged() const;
  Status publish_into(const RootedDir& top);
  Status sync_name() const;
  Status publish_file(const ManifestEntry& entry);
  Status make_top(const ManifestEntry& entry_0) const;
  Status prepare(const RootedDir& top);
  Result<std::optional<RootedDir>> prepare_directory(const RootedDir& in, const ManifestEntry& entry);
  Status prepare_file(const RootedDir& in, const ManifestEntry& entry);
  Status prepare_link(const RootedDir& in, const ManifestEntry& entry, size_t depth);
  Result<bool> is_absent(const RootedDir& in, const ManifestEntry& entry);
  Result<RootedDir> make_directory(const RootedDir& in, const ObjectName& name);
  Status make_file(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry);
  Status make_empty(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry);
  Status make_link(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry);
  Status check_made(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry);
  Status finish_directory(const RootedDir& dir, const ManifestEntry& entry);
  Status sync_many(const RootedDir& any, uint64_t directories);
  Status sync_noted() const { return has_noted_ ? sync_opened(staging_.dir()) : success(); }
  Status move_pieces(const RootedDir& top, Pass pass);
  Status move_piece(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry);
  Status finish_moved(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry) const;
  Status finish_opened(const RootedDir& top) const;
  Status finish_if_opened(const RootedDir& dir, const ManifestEntry& entry) const;
  Status finish(const RootedDir& dir, const ManifestEntry& entry) const;
  Result<ObjectName> write_manifest();
  void keep_manifest(const ObjectName& written);
  Result<WalkResult> walk(const RootedDir& top, const WalkSteps& steps) const;
  bool holds_our_root(const RootedDir& dir) const;
  bool brings_nothing_to(const RootedDir* top) const;
  uint32_t mode_of(const ManifestEntry& entry) const { return limit_mode(entry, modes_); }
  StoredManifestHeader header() const {
    return {order_.root, TreeAlgorithm::kXxh3Leaves, order_.entries, 0, counted_.leaves, order_.destination, modes_};
  }
  static ObjectName piece_name(const ManifestEntry& entry) { return single_name(std::to_string(entry.number.value())); }
  // A longer list than announced is refused when its walk ends.
  static void mark(std::vector<bool>& bits, ObjectId number) {
    if (number.value() < bits.size()) bits[number.value()] = true;
  }

  Staging& staging_;
  const PublishOrder& order_;
  const PageReader& read_page_;
  const PublishRules& rules_;
  const uint32_t modes_;
  const PublishHow::Early early_;
  WalkResult counted_;
  std::optional<RootedDir> pieces_;   // where they lie, each under its entry's number
  std::vector<bool> is_piece_, is_late_;  // by entry number; late: it is or holds a marker
  std::vector<uint64_t> opened_;          // what an earlier attempt, or a file that appeared early, has left to be finished
  bool has_noted_ = false;                // others of that kind
  uint64_t pieces_made_ = 0, inodes_made_ = 0, directories_met_ = 0;
  std::optional<ObjectId> piece_;     // the directory under construction: all that follows goes into it
  std::optional<std::string> appeared_;  // something that was sent, and that somebody else has put there meanwhile
};

Status Publication::run() {
  if (auto checked = check_destination(order_.destination); !checked.ok()) return checked;
  if (auto flushed = staging_.flush(); !flushed.ok()) return flushed;
  auto zero = read_entry_zero(staging_, read_page_);
  if (!zero.ok()) return std::move(zero).error();
  if (zero.value().type == EntryType::kSymlink)
    return Error{Fault::kManifestMismatch, "entry 0 is a symbolic link", "the sender is at fault; update it"};
  is_piece_.assign(order_.entries, false);
  is_late_.assign(order_.entries, false);
  auto pieces = make_directory(staging_.dir(), single_name(kPiecesName));
  if (!pieces.ok()) return std::move(pieces).error();
  pieces_ = std::move(pieces).value();
  const RootedDir& root = staging_.root();
  auto there = root.stat_if_exists(order_.destination);
  if (!there.ok()) return std::move(there).error();
  if (zero.value().type == EntryType::kFile) return publish_file(zero.value());
  if (!there.value() && rules_.form != PublishRules::Form::kMarker && rules_.form != PublishRules::Form::kEach) return publish_tree(Place::kNew, zero.value());
  if (Status made = there.value() ? success() : make_top(zero.value()); !made.ok()) return made;
  auto opened = read_opened(staging_.dir());
  if (!opened.ok()) return std::move(opened).error();
  opened_ = std::move(opened).value();
  if (there.value() && there.value()->kind != FileKind::kDirectory)
    return conflict(Fault::kTypeConflict, root.shown(order_.destination), "exists and is no directory");
  if (replaces_trees(rules_)) return publish_tree(Place::kTaken, zero.value());
  auto top = root.open_dir(order_.destination);
  if (!top.ok()) return std::move(top).error();
  if (Status published = publish_into(top.value()); !published.ok()) return published;
  return sync_name();
}

// With every directory on the way to it from the root on. Whoever made one that was there may not have synced that: a file that appeared
// early does not, another process may still be about to, and a run may have died first.
Status Publication::sync_name() const { return sync_way_to(staging_.root(), order_.destination); }

Result<WalkResult> Publication::walk(const RootedDir& top, const WalkSteps& steps) const {
  auto result = walk_manifest(staging_, read_page_, top, steps);
  if (!result.ok()) return result;
  if (result.value().entries != order_.entries)
    return Error{Fault::kManifestMismatch, "the manifest has " + std::to_string(result.value().entries) + " entries, " +
                 std::to_string(order_.entries) + " were announced", "the sender is at fault; update it"};
  return result;
}

Status Publication::publish_tree(Place place, const ManifestEntry& entry_0) {
  const RootedDir& root = staging_.root();
  if (place == Place::kTaken) {
    if (order_.destination.is_root()) return is_the_root(root);
    const auto done = was_exchanged();
    if (!done.ok()) return done.error();
    if (done.value()) return finish_exchanged(entry_0);
  }
  const ObjectName manifest = single_name(std::string(kTreeManifestName));
  auto top = make_directory(*pieces_, piece_name(entry_0));
  if (!top.ok()) return std::move(top).error();
  piece_ = entry_0.number;
  if (auto prepared = prepare(top.value()); !prepared.ok()) return prepared;
  if (auto removed = top.value().remove_tree(manifest); !removed.ok()) return removed;
  if (auto written = write_stored_manifest(staging_, header(), top.value(), manifest); !written.ok()) return written;
  if (auto finished = finish_directory(top.value(), entry_0); !finished.ok()) return finished;
  if (auto synced = sync_many(top.value(), inodes_made_); !synced.ok()) return synced;
  if (auto synced = sync_noted(); !synced.ok()) return synced;
  if (auto parents = root.make_dirs(order_.destination.parent()); !parents.ok()) return std::move(parents).error();
  auto parent = root.open_dir(order_.destination.parent());
  if (!parent.ok()) return std::move(parent).error();
  if (place == Place::kTaken) return exchange(parent.value(), top.value());
  if (auto moved = move_piece(parent.value(), single_name(order_.destination.last()), entry_0); !moved.ok()) {
    if (moved.error().fault != Fault::kDestExists) return moved;
    auto other = root.open_dir(order_.destination);
    if (!other.ok() || !holds_our_root(other.value())) return moved;  // it appeared meanwhile and is not ours
  }
  return sync_name();
}

// Afterwards the tree that was there lies in staging, and must not be taken for ours by whoever repeats this: which directory
// ours is stands there first.
Status Publication::exchange(const RootedDir& parent, const RootedDir& top) {
  const auto ours = top.stat({});
  if (!ours.ok()) return ours.error();
  const ObjectName note = single_name(kExchangedName), name = single_name(order_.destination.last());
  if (auto removed = staging_.dir().remove_tree(note); !removed.ok()) return removed;
  auto file = staging_.dir().create_file(note, 0600);
  if (!file.ok()) return std::move(file).error();
  int error = write_all(file.value().get(), 0, std::as_bytes(std::span(&ours.value().inode, 1)));
  if (error == 0 && ::fdatasync(file.value().get()) != 0) error = errno;
  if (error != 0) return errno_error(Side::kDestination, error, "write what is exchanged by", "the transfer");
  for (const RootedDir* dir : std::array<const RootedDir*, 2>{&*pieces_, &staging_.dir()})
    if (auto synced = dir->sync(); !synced.ok()) return synced;
  if (auto moved = pieces_->rename(piece_name(counted_.top), parent, name, IfTaken::kExchange); !moved.ok()) return moved;
  if (auto finished = finish_moved(parent, name, counted_.top); !finished.ok()) return finished;
  return sync_name();
}

// By an attempt that died behind it.
Status Publication::finish_exchanged(const ManifestEntry& entry_0) const {
  const auto top = staging_.root().open_dir(order_.destination);
  if (!top.ok()) return top.error();
  if (auto finished = finish_if_opened(top.value(), entry_0); !finished.ok()) return finished;
  return sync_name();
}

Result<bool> Publication::was_exchanged() const {
  const ObjectName note = single_name(kExchangedName);
  const auto noted = staging_.dir().stat_if_exists(note);
  if (!noted.ok()) return noted.error();
  if (!noted.value()) return false;
  const auto file = staging_.dir().open_file(note, Access::kRead);
  const auto there = staging_.root().stat_if_exists(order_.destination);
  if (!file.ok()) return file.error();
  if (!there.ok()) return there.error();
  uint64_t inode = 0;
  return read_exactly(file.value().get(), 0, std::as_writable_bytes(std::span(&inode, 1))) && there.value() && there.value()->inode == inode;
}

bool Publication::holds_our_root(const RootedDir& dir) const {
  const auto stored = StoredManifest::open(dir, single_name(std::string(kTreeManifestName)));
  return stored.ok() && stored.value().header().root == order_.root;
}

// All was there before. The manifest of the copy that brought it knows the hashes, this one's does not, so that one stays.
// `top` is the destination, if it is a directory.
bool Publication::brings_nothing_to(const RootedDir* top) const {
  const auto is_there = [](const RootedDir& dir, const ObjectName& name) {
    const auto found = dir.stat_if_exists(name);
    return found.ok() && found.value();
  };
  if (pieces_made_ > 0 || early_ == PublishHow::Early::kSome) return false;
  if (top != nullptr && is_there(*top, single_name(std::string(kTreeManifestName)))) return true;
  return is_there(staging_.root(), kept_manifest_name(order_.destination));
}

// For what comes part by part; its time it has from the last of them.
Status Publication::make_top(const ManifestEntry& entry_0) const {
  if (auto made = staging_.root().make_dirs(order_.destination.parent()); !made.ok()) return std::move(made).error();
  auto dir = staging_.root().open_dir(order_.destination.parent());
  if (dir.ok()) dir = enter_or_make(staging_.dir(), dir.value(), single_name(order_.destination.last()), mode_of(entry_0));
  return dir.ok() ? success() : Status(dir.error());
}

Status Publication::publish_into(const RootedDir& top) {
  directories_met_ = 1;
  if (auto prepared = prepare(top); !prepared.ok()) return prepared;
  if (appeared_ && pieces_made_ == 0 && holds_our_root(top)) return finish_opened(top);  // the same copy, and it was faster
  if (appeared_) return conflict(Fault::kDestExists, *appeared_, "appeared while it was copied");
  if (brings_nothing_to(&top)) return finish_opened(top);
  if (pieces_made_ > 0)
    if (auto may = check_may_add(rules_, staging_.root().shown(order_.destination)); !may.ok()) return may;
  auto written = write_manifest();
  if (!written.ok()) return std::move(written).error();
  if (auto synced = sync_many(*pieces_, inodes_made_); !synced.ok()) return synced;
  if (auto synced = sync_noted(); !synced.ok()) return synced;
  if (auto moved = move_pieces(top, Pass::kFirst); !moved.ok()) return moved;
  if (std::find(is_late_.begin(), is_late_.end(), true) != is_late_.end()) {
    if (auto synced = top.sync_file_system(); !synced.ok()) return synced;  // a marker must not outlive what it marks
    if (auto moved = move_pieces(top, Pass::kMarkers); !moved.ok()) return moved;
  }
  if (auto finished = finish_opened(top); !finished.ok()) return finished;
  if (auto synced = sync_many(top, directories_met_); !synced.ok()) return synced;
  keep_manifest(written.value());
  return success();
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
  if (auto prepared = prepare_file(parent.value(), named); !prepared.ok()) return prepared;
  if (appeared_) return conflict(Fault::kDestExists, *appeared_, "appeared while it was copied");
  if (brings_nothing_to(nullptr)) return sync_name();
  auto written = write_manifest();
  if (!written.ok()) return std::move(written).error();
  if (is_piece_[0])
    if (auto moved = move_piece(parent.value(), single_name(named.name), named); !moved.ok()) return moved;
  if (auto synced = sync_name(); !synced.ok()) return synced;
  keep_manifest(written.value());
  return success();
}

// ---- in staging: nothing here is visible ---------------------------------------------------------------------------

// Beside the destination, where it exists: a conflict anywhere, an object that is missing and a disk that gets full all
// show before the first rename.
Status Publication::prepare(const RootedDir& top) {
  WalkSteps steps;
  steps.on_directory = [&](const RootedDir& in, const ManifestEntry& entry) { return prepare_directory(in, entry); };
  steps.on_file = [&](const RootedDir& in, const ManifestEntry& entry) { return prepare_file(in, entry); };
  steps.on_link = [&](const RootedDir& in, const ManifestEntry& entry, size_t depth) {
    return prepare_link(in, entry, depth);
  };
  steps.on_leave = [&](const RootedDir& dir, const ManifestEntry& entry) {
    if (!piece_) return success();
    if (piece_ == entry.number) piece_.reset();
    return finish_directory(dir, entry);
  };
  auto walked = walk(top, steps);
  if (!walked.ok()) return std::move(walked).error();
  counted_ = std::move(walked).value();
  return success();
}

Result<bool> Publication::is_absent(const RootedDir& in, const ManifestEntry& entry) {
  const ObjectName name = single_name(entry.name);
  auto found = probe_existing(in, name, entry, rules_);
  if (!found.ok()) return std::move(found).error();
  if (found.value() == Existing::kTypeConflict)
    return conflict(Fault::kTypeConflict, in.shown(name), "exists and is of another type");
  if (found.value() == Existing::kDifferent)
    return conflict(Fault::kDestExists, in.shown(name), "exists and differs in size, time or target");
  if (found.value() == Existing::kSame) return false;
  mark(is_piece_, entry.number);
  ++pieces_made_;
  return true;
}

Result<std::optional<RootedDir>> Publication::prepare_directory(const RootedDir& in, const ManifestEntry& entry) {
  if (piece_) return entered(make_directory(in, single_name(entry.name)));
  auto absent = is_absent(in, entry);
  if (!absent.ok()) return std::move(absent).error();
  if (!absent.value()) {
    ++directories_met_;
    return entered(in.open_dir(single_name(entry.name)));
  }
  piece_ = entry.number;
  return entered(make_directory(*pieces_, piece_name(entry)));
}

Status Publication::prepare_file(const RootedDir& in, const ManifestEntry& entry) {
  const ObjectName name = single_name(entry.name);
  if (is_marker(entry.name, rules_)) mark(is_late_, piece_.value_or(entry.number));
  if (piece_) return make_file(in, name, entry);
  auto absent = is_absent(in, entry);
  if (!absent.ok()) return std::move(absent).error();
  if (absent.value()) return make_file(*pieces_, piece_name(entry), entry);
  auto staged = staging_.holds_object(entry.number);
  if (!staged.ok()) return std::move(staged).error();
  const bool may_be_there = rules_.replace != PublishRules::Replace::kNever;
  if (staged.value() && !appeared_ && !may_be_there) appeared_ = in.shown(name);
  return success();
}

Status Publication::prepare_link(const RootedDir& in, const ManifestEntry& entry, size_t depth) {
  const ObjectName name = single_name(entry.name);
  if (!stays_inside(depth, entry.link_target))
    return Error{Fault::kUnsafeLink, "the link \"" + in.shown(name) + "\" points to \"" + to_display(entry.link_target) +
                 "\", which may lie outside the tree", "the sender should have left it out; update it"};
  if (is_marker(entry.name, rules_)) mark(is_late_, piece_.value_or(entry.number));
  if (piece_) return make_link(in, name, entry);
  auto absent = is_absent(in, entry);
  if (!absent.ok()) return std::move(absent).error();
  return absent.value() ? make_link(*pieces_, piece_name(entry), entry) : success();
}

// May be left by an attempt that stopped, then with a mode that shuts us out.
Result<RootedDir> Publication::make_directory(const RootedDir& in, const ObjectName& name) {
  auto made = in.make_dir(name, kBuildMode);
  if (!made.ok() && made.error().fault != Fault::kDestExists) return std::move(made).error();
  if (!made.ok()) in.make_usable(name);  // opening it finds out whether it is
  return in.open_dir(name);
}

Status Publication::make_file(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry) {
  if (entry.size == Bytes()) return make_empty(in, name, entry);
  auto placed = staging_.place_object(entry.number, in, name);
  if (placed.ok() && placed.value()) return success();
  if (placed.ok()) return check_made(in, name, entry);
  if (placed.error().fault != Fault::kDestExists) return std::move(placed).error();
  return conflict(Fault::kNameCollision, in.shown(name), "is the name of another entry too");
}

// Apart first: its times are all that tells it from another one, so it gets its place with them.
Status Publication::make_empty(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry) {
  const ObjectName draft = single_name("empty");
  auto file = staging_.dir().create_file(draft, 0600);
  if (!file.ok() && file.error().fault == Fault::kDestExists) {  // of an attempt that stopped, or not wanted
    if (auto removed = staging_.dir().remove_file(draft); !removed.ok()) return removed;
    file = staging_.dir().create_file(draft, 0600);
  }
  if (!file.ok()) return std::move(file).error();
  int error = ::fchmod(file.value().get(), mode_of(entry)) != 0 ? errno : 0;
  if (error == 0) error = set_times(file.value().get(), entry.mtime_ns);
  if (error == 0 && ++inodes_made_ <= kInodesSynced && ::fsync(file.value().get()) != 0) error = errno;  // no sync of data comes by here
  if (error != 0) return errno_error(Side::kDestination, error, "set times and mode of", in.shown(name));
  auto moved = staging_.dir().rename(draft, in, name);
  return !moved.ok() && moved.error().fault == Fault::kDestExists ? check_made(in, name, entry) : std::move(moved);
}

Status Publication::make_link(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry) {
  auto made = in.make_symlink(name, entry.link_target);
  return !made.ok() && made.error().fault == Fault::kDestExists ? check_made(in, name, entry) : std::move(made);
}

// By an attempt that stopped later.
Status Publication::check_made(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry) {
  auto found = probe_existing(in, name, entry);
  if (!found.ok()) return std::move(found).error();
  if (found.value() == Existing::kSame) return success();
  if (found.value() == Existing::kAbsent) return conflict(Fault::kManifestMismatch, to_display(entry.name), "never arrived");
  return conflict(Fault::kNameCollision, to_display(entry.name), "is the name of another entry too");
}

// Moving a directory rewrites its "..", for which its owner needs write permission: the top of a piece gets its mode last.
Status Publication::finish_directory(const RootedDir& dir, const ManifestEntry& entry) {
  const bool is_top = entry.number == ObjectId(0) || (entry.number.value() < is_piece_.size() && is_piece_[entry.number.value()]);
  if (is_top && withholds(mode_of(entry))) {
    if (auto noted = note_opened(staging_.dir(), dir); !noted.ok()) return noted;
    has_noted_ = true;
  }
  if (auto set = dir.set_attributes(mode_of(entry) | (is_top ? kBuildMode : 0), entry.mtime_ns); !set.ok()) return set;
  return ++inodes_made_ <= kInodesSynced ? dir.sync() : success();
}

Status Publication::sync_many(const RootedDir& any, uint64_t directories) {
  return directories > kInodesSynced ? any.sync_file_system() : success();
}

// ---- visible from here on ------------------------------------------------------------------------------------------

Status Publication::move_pieces(const RootedDir& top, Pass pass) {
  const auto moves_now = [&, pass](const ManifestEntry& entry) {
    return is_piece_[entry.number.value()] && is_late_[entry.number.value()] == (pass == Pass::kMarkers);
  };
  const auto on_leaf = [&](const RootedDir& in, const ManifestEntry& entry) {
    return moves_now(entry) ? move_piece(in, single_name(entry.name), entry) : success();
  };
  WalkSteps steps;
  steps.on_directory = [&](const RootedDir& in, const ManifestEntry& entry) -> Result<std::optional<RootedDir>> {
    const ObjectName name = single_name(entry.name);
    if (moves_now(entry))
      if (auto moved = move_piece(in, name, entry); !moved.ok()) return std::move(moved).error();
    if (is_piece_[entry.number.value()]) return std::optional<RootedDir>();
    return entered(in.open_dir(name));
  };
  steps.on_file = on_leaf;
  steps.on_link = [&](const RootedDir& in, const ManifestEntry& entry, size_t) { return on_leaf(in, entry); };
  steps.on_leave = [&](const RootedDir& dir, const ManifestEntry&) {
    return directories_met_ <= kInodesSynced ? dir.sync() : success();
  };
  auto walked = walk(top, steps);
  if (!walked.ok()) return std::move(walked).error();
  return top.sync();
}

Status Publication::move_piece(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry) {
  const bool replaces = rules_.replace != PublishRules::Replace::kNever && entry.number == entry.parent && entry.type == EntryType::kFile;
  if (auto moved = pieces_->rename(piece_name(entry), in, name, replaces ? IfTaken::kReplace : IfTaken::kFail); !moved.ok()) {
    if (moved.error().fault != Fault::kDestExists || entry.number == ObjectId(0)) return moved;
    return conflict(Fault::kNameCollision, in.shown(name), "was taken by another entry or process meanwhile");
  }
  return finish_moved(in, name, entry);
}

Status Publication::finish_moved(const RootedDir& in, const ObjectName& name, const ManifestEntry& entry) const {
  if (entry.type != EntryType::kDirectory || !withholds(mode_of(entry))) return success();
  auto dir = in.open_dir(name);
  if (!dir.ok()) return std::move(dir).error();
  return finish(dir.value(), entry);
}

// What an attempt that died between a move and the mode has left, and directories that files appeared in early.
Status Publication::finish_opened(const RootedDir& top) const {
  if (opened_.empty()) return success();
  WalkSteps steps;
  steps.on_directory = [](const RootedDir& in, const ManifestEntry& entry) { return entered(in.open_dir(single_name(entry.name))); };
  steps.on_leave = [&](const RootedDir& dir, const ManifestEntry& entry) { return finish_if_opened(dir, entry); };
  const auto walked = walk(top, steps);
  return walked.ok() ? finish_if_opened(top, walked.value().top) : Status(walked.error());
}

Status Publication::finish_if_opened(const RootedDir& dir, const ManifestEntry& entry) const {
  const auto own = dir.stat({});
  if (!own.ok()) return own.error();
  return std::ranges::binary_search(opened_, own.value().inode) ? finish(dir, entry) : success();
}

Status Publication::finish(const RootedDir& dir, const ManifestEntry& entry) const {
  if (auto set = dir.set_attributes(mode_of(entry), entry.mtime_ns); !set.ok()) return set;
  return dir.sync();
}

// Before anything is visible, so that a full disk is noticed in time.
Result<ObjectName> Publication::write_manifest() {
  const ObjectName built = single_name("stored");
  if (auto removed = staging_.dir().remove_tree(built); !removed.ok()) return std::move(removed).error();
  if (auto written = write_stored_manifest(staging_, header(), staging_.dir(), built); !written.ok()) return std::move(written).error();
  if (auto made = staging_.root().make_dirs(kept_manifest_name(order_.destination).parent()); !made.ok())
    return std::move(made).error();
  return built;
}

// All is published and synced: what fails here costs a later `verify`, and is no reason to call the copy failed.
void Publication::keep_manifest(const ObjectName& written) {
  const RootedDir& root = staging_.root();
  const ObjectName place = kept_manifest_name(order_.destination);
  Status kept = staging_.dir().rename(written, root, place, IfTaken::kReplace);
  if (kept.ok()) kept = sync_way_to(root, place);
  if (!kept.ok()) log::warning("manifest_not_kept", "destination=\"" + root.shown(order_.destination) + "\" why=\"" + kept.error().what + "\"");
}

}  // namespace

Result<Existing> probe_existing(const RootedDir& dir, const ObjectName& name, const ManifestEntry& entry, const PublishRules& rules) {
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
      if (found.size == entry.size && found.mtime_ns == entry.mtime_ns) return Existing::kSame;
      if (rules.replace == PublishRules::Replace::kNever || entry.number != entry.parent) return Existing::kDifferent;
      if (rules.replace == PublishRules::Replace::kAlways) return Existing::kAbsent;
      return found.mtime_ns < entry.mtime_ns ? Existing::kAbsent : Existing::kSame;
    case EntryType::kSymlink: break;
  }
  if (found.kind != FileKind::kSymlink) return Existing::kTypeConflict;
  auto target = dir.read_link(name);
  if (!target.ok()) return std::move(target).error();
  return target.value() == entry.link_target ? Existing::kSame : Existing::kDifferent;
}

uint32_t limit_mode(const ManifestEntry& entry, uint32_t modes) {
  return entry.mode & (entry.type == EntryType::kDirectory ? modes | 0700U : modes) & 0777U;
}

Status check_destination(const ObjectName& name) {
  const auto components = name.components();
  if (components.empty() || (components.front() != kStateDirName && !is_reserved_at_top(components.back()))) return success();
  return Error{Fault::kNameReserved, "\"" + to_display(name) + "\" belongs to Tideway itself", "choose another destination"};
}

bool replaces_trees(const PublishRules& rules) {
  return rules.form == PublishRules::Form::kRename && rules.replace == PublishRules::Replace::kAlways;
}

Status check_may_add(const PublishRules& rules, const std::string& shown) {
  if (rules.form != PublishRules::Form::kRename || replaces_trees(rules)) return success();
  return Error{Fault::kDestExists, "\"" + shown + "\" exists, and `rename` publishes a tree as a whole or not at all",
               "choose a new destination, publish with marker, or add `--overwrite always` to replace all of it"};
}

Status check_may_replace(const Staging& staging, const ObjectName& destination) {
  if (destination.is_root()) return is_the_root(staging.root());
  const RootedDir& dir = staging.dir();
  const ObjectName first = single_name("exchange.1"), second = single_name("exchange.2");
  Status status = success();
  for (const ObjectName& name : {first, second}) {  // an earlier process may have left them
    if (status.ok()) status = dir.remove_tree(name);
    if (status.ok()) status = dir.make_dir(name, kBuildMode);
  }
  if (!status.ok()) return status;
  const Status exchanged = dir.rename(first, dir, second, IfTaken::kExchange);
  for (const ObjectName& name : {first, second})
    if (status.ok()) status = dir.remove_empty_dir(name);
  if (exchanged.ok()) return status;
  return Error{Fault::kUnsupported,
               "\"" + staging.root().shown(destination) + "\" cannot be replaced: its file system does not exchange two names (" + exchanged.error().what + ")",
               "copy to a new name there, then take the old one away"};
}

bool is_marker(std::string_view name, const PublishRules& rules) {
  const auto matches = [&](std::string_view pattern) { return glob_matches(pattern, name); };
  return std::ranges::any_of(kMarkerNames, matches) || std::ranges::any_of(rules.last, matches);
}

Status publish_staged(Staging& staging, const PublishOrder& order, const PublishHow& how) {
  return Publication(staging, order, how).run();
}

}  // namespace tideway::storage
