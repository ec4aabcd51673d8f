// SPDX-License-Identifier: Apache-2.0
#include "storage/published.h"

#include "storage/publish.h"
#include "storage/scan.h"
#include "storage/staging.h"
#include "storage/stored_manifest.h"

#include <sys/file.h>

namespace tideway::storage {
namespace {

Error not_there(const RootedDir& root, const ObjectName& name) {
  return {Fault::kSourceMissing, "\"" + root.shown(name) + "\" is not there as something that was published whole", "see tideway ls"};
}

Error is_another(const RootedDir& root, const ObjectName& name) {
  return {Fault::kManifestMismatch, "\"" + root.shown(name) + "\" is not what was published there with that root; it is left alone", ""};
}

// Whether the single file that lies at `name` still has the size and the time that the list has.
Result<bool> is_as_listed(const RootedDir& root, const ObjectName& name, const StoredManifest& stored, const PageReader& read_page) {
  PageStream pages = stored.pages();
  const auto bytes = pages.next();
  if (!bytes.ok()) return bytes.error();
  const auto entries = read_page(bytes.value());
  if (!entries.ok()) return entries.error();
  if (entries.value().empty()) return false;
  const auto found = probe_existing(root, name, entries.value().front());
  if (!found.ok()) return found.error();
  return found.value() == Existing::kSame;
}

}  // namespace

Result<ObjectName> manifest_of(const RootedDir& root, const ObjectName& name) {
  if (name.is_root()) return not_there(root, name);
  const auto there = root.stat_if_exists(name);
  if (!there.ok()) return there.error();
  if (!there.value()) return not_there(root, name);
  const bool is_tree = there.value()->kind == FileKind::kDirectory;
  auto manifest = is_tree ? name.child(std::string(kTreeManifestName)) : Result<ObjectName>(kept_manifest_name(name));
  if (!manifest.ok()) return std::move(manifest).error();
  const auto listed = root.stat_if_exists(manifest.value());
  if (!listed.ok()) return listed.error();
  if (!listed.value()) return not_there(root, name);
  return manifest;
}

Result<Descriptor> hold_published(const RootedDir& root, const ObjectName& name) {
  const auto manifest = name.is_root() ? Result<ObjectName>(single_name(std::string(kTreeManifestName))) : manifest_of(root, name);
  if (!manifest.ok()) return Descriptor();
  auto file = root.open_file(manifest.value(), Access::kRead);
  if (!file.ok()) return Descriptor();
  if (::flock(file.value().get(), LOCK_SH | LOCK_NB) != 0) return not_there(root, name);
  return file;
}

ObjectName former_tree_name() { return single_name(kPiecesName).child("0").value(); }

bool is_former_read(const RootedDir& staging) {
  const auto tree = staging.open_dir(former_tree_name());
  if (!tree.ok()) return false;
  const auto manifest = tree.value().open_file(single_name(std::string(kTreeManifestName)), Access::kRead);
  return manifest.ok() && ::flock(manifest.value().get(), LOCK_EX | LOCK_NB) != 0;
}

Status remove_published(const RootedDir& root, const Removal& removal) {
  const auto manifest = manifest_of(root, removal.name);
  if (!manifest.ok()) return manifest.error();
  const auto held = root.open_dir(manifest.value().parent());  // of a tree: itself
  if (!held.ok()) return held.error();
  const ObjectName listed = single_name(manifest.value().last());
  auto stored = StoredManifest::open(held.value(), listed);
  if (!stored.ok()) return std::move(stored).error();
  const StoredManifestHeader& header = stored.value().header();
  if (header.root != removal.tree_root) return is_another(root, removal.name);
  auto lock = held.value().open_file(listed, Access::kRead);
  if (!lock.ok()) return std::move(lock).error();
  if (::flock(lock.value().get(), LOCK_EX | LOCK_NB) != 0)
    return Error{Fault::kDestBusy, "\"" + root.shown(removal.name) + "\" is being read", "try again later"};
  if (manifest.value().parent() != removal.name) {  // of a single file, which goes in one step
    if (header.destination != removal.name) return not_there(root, removal.name);
    const auto is_it = is_as_listed(root, removal.name, stored.value(), removal.read_page);
    if (!is_it.ok()) return is_it.error();
    if (!is_it.value()) return is_another(root, removal.name);
    if (Status status = root.remove_file(removal.name); !status.ok()) return status;
    return root.remove_file(manifest.value());
  }
  const ObjectName away = single_name(std::string(kStateDirName)).child(to_hex(removal.id)).value();
  if (auto made = root.make_dirs(away.parent()); !made.ok()) return std::move(made).error();
  if (Status status = root.remove_tree(away); !status.ok()) return status;
  if (Status status = root.rename(removal.name, root, away); !status.ok()) return status;
  // Another tree may have taken the place of the one whose manifest this is; then that goes back.
  const auto ours = held.value().stat({}), moved = root.stat(away);
  if (!ours.ok() || !moved.ok() || ours.value().inode != moved.value().inode) {
    if (Status back = root.rename(away, root, removal.name); !back.ok()) return back;
    return ours.ok() && moved.ok() ? is_another(root, removal.name) : ours.ok() ? moved.error() : ours.error();
  }
  auto parent = root.open_dir(removal.name.parent());
  if (!parent.ok()) return std::move(parent).error();
  if (Status status = parent.value().sync(); !status.ok()) return status;
  return root.remove_tree(away);
}

}  // namespace tideway::storage
