// SPDX-License-Identifier: Apache-2.0
#include "storage/opened_dirs.h"

#include "storage/staging.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tideway::storage {
namespace {

Error not_noted(int error, std::string_view action) { return errno_error(Side::kDestination, error, action, "the transfer"); }

}  // namespace

Status note_opened(const RootedDir& staging, const RootedDir& dir) {
  const auto own = dir.stat({});
  if (!own.ok()) return own.error();
  const ObjectName name = single_name(kOpenedName);
  auto file = staging.create_file(name, 0600);
  if (!file.ok() && file.error().fault == Fault::kDestExists) file = staging.open_file(name, Access::kWrite);
  if (!file.ok()) return std::move(file).error();
  const StatOutcome stat = stat_of(file.value().get());
  const uint64_t whole = stat.stat.size.count() / sizeof(uint64_t) * sizeof(uint64_t);  // over what a kill has left of a number
  const uint64_t inode = own.value().inode;
  const int error = stat.error != 0 ? stat.error : write_all(file.value().get(), whole, std::as_bytes(std::span(&inode, 1)));
  return error == 0 ? success() : Status(not_noted(error, "note which directories have more rights of"));
}

Status sync_opened(const RootedDir& staging) {
  const auto file = staging.open_file(single_name(kOpenedName), Access::kRead);
  if (!file.ok()) return file.error();
  if (::fdatasync(file.value().get()) != 0) return not_noted(errno, "sync which directories have more rights of");
  return staging.sync();
}

Result<std::vector<uint64_t>> read_opened(const RootedDir& staging) {
  std::vector<uint64_t> inodes;
  const ObjectName name = single_name(kOpenedName);
  const auto there = staging.stat_if_exists(name);
  if (!there.ok()) return there.error();
  if (!there.value()) return inodes;
  const auto file = staging.open_file(name, Access::kRead);
  if (!file.ok()) return file.error();
  inodes.resize(there.value()->size.count() / sizeof(uint64_t));
  if (!read_exactly(file.value().get(), 0, std::as_writable_bytes(std::span(inodes)))) return not_noted(EIO, "read which directories have more rights of");
  std::ranges::sort(inodes);
  return inodes;
}

// Ready before it has its name: whoever dies in between leaves none with another mode.
Result<RootedDir> enter_or_make(const RootedDir& staging, const RootedDir& in, const ObjectName& name, uint32_t mode) {
  const auto there = in.stat_if_exists(name);
  if (!there.ok()) return there.error();
  if (there.value()) return in.open_dir(name);
  const ObjectName draft = single_name("early");
  if (auto made = staging.make_dir(draft, kBuildMode); !made.ok() && made.error().fault != Fault::kDestExists) return std::move(made).error();
  auto dir = staging.open_dir(draft);
  if (!dir.ok()) return dir;
  if (::fchmod(dir.value().fd(), mode | kBuildMode) != 0) return errno_error(Side::kDestination, errno, "set the mode of", in.shown(name));
  if (withholds(mode)) {
    if (auto noted = note_opened(staging, dir.value()); !noted.ok()) return std::move(noted).error();
    if (auto synced = sync_opened(staging); !synced.ok()) return std::move(synced).error();
  }
  if (auto moved = staging.rename(draft, in, name); !moved.ok() && moved.error().fault != Fault::kDestExists) return std::move(moved).error();
  return in.open_dir(name);
}

}  // namespace tideway::storage
