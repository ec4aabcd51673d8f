// SPDX-License-Identifier: Apache-2.0
//
// Files of a tree that appear one by one before the rest of it does.
#include "storage/opened_dirs.h"
#include "storage/publish.h"

#include <sys/stat.h>

#include <cerrno>

namespace tideway::storage {
namespace {

// Ready before it has its name: whoever dies in between leaves none with another mode.
Result<RootedDir> enter_or_make(const Staging& staging, const RootedDir& in, const ObjectName& name, uint32_t mode) {
  const auto there = in.stat_if_exists(name);
  if (!there.ok()) return there.error();
  if (there.value()) return in.open_dir(name);
  const ObjectName draft = single_name("early");
  if (auto made = staging.dir().make_dir(draft, kBuildMode); !made.ok() && made.error().fault != Fault::kDestExists) return std::move(made).error();
  auto dir = staging.dir().open_dir(draft);
  if (!dir.ok()) return dir;
  if (::fchmod(dir.value().fd(), mode | kBuildMode) != 0) return errno_error(Side::kDestination, errno, "set the mode of", in.shown(name));
  if (withholds(mode)) {
    if (auto noted = note_opened(staging.dir(), dir.value()); !noted.ok()) return std::move(noted).error();
    if (auto synced = sync_opened(staging.dir()); !synced.ok()) return std::move(synced).error();
  }
  if (auto moved = staging.dir().rename(draft, in, name); !moved.ok() && moved.error().fault != Fault::kDestExists) return std::move(moved).error();
  return in.open_dir(name);
}

}  // namespace

Status publish_early(Staging& staging, const ObjectName& destination, const EarlyFile& file) {
  const RootedDir& root = staging.root();
  if (auto parents = root.make_dirs(destination.parent()); !parents.ok()) return std::move(parents).error();
  auto dir = root.open_dir(destination.parent());
  if (dir.ok() && !destination.is_root()) dir = enter_or_make(staging, dir.value(), single_name(destination.last()), file.modes.front());
  const ObjectName way = file.name.parent();
  for (size_t i = 0; dir.ok() && i < way.components().size(); ++i)
    dir = enter_or_make(staging, dir.value(), single_name(way.components()[i]), file.modes.at(i + 1));
  if (!dir.ok()) return std::move(dir).error();
  auto placed = staging.place_object(file.object, dir.value(), single_name(file.name.last()));
  return placed.ok() || placed.error().fault == Fault::kDestExists ? success() : Status(placed.error());
}

}  // namespace tideway::storage
