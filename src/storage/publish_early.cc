// SPDX-License-Identifier: Apache-2.0
//
// Files of a tree that appear one by one before the rest of it does.
#include "storage/opened_dirs.h"
#include "storage/publish.h"

namespace tideway::storage {

Status publish_early(Staging& staging, const ObjectName& destination, const EarlyFile& file) {
  const RootedDir& root = staging.root();
  if (auto parents = root.make_dirs(destination.parent()); !parents.ok()) return std::move(parents).error();
  auto dir = root.open_dir(destination.parent());
  if (dir.ok() && !destination.is_root()) dir = enter_or_make(staging.dir(), dir.value(), single_name(destination.last()), file.modes.front());
  const ObjectName way = file.name.parent();
  for (size_t i = 0; dir.ok() && i < way.components().size(); ++i)
    dir = enter_or_make(staging.dir(), dir.value(), single_name(way.components()[i]), file.modes.at(i + 1));
  if (!dir.ok()) return std::move(dir).error();
  auto placed = staging.place_object(file.object, dir.value(), single_name(file.name.last()));
  return placed.ok() || placed.error().fault == Fault::kDestExists ? success() : Status(placed.error());
}

}  // namespace tideway::storage
