// SPDX-License-Identifier: Apache-2.0
#include "storage/pin.h"

#include "storage/scan.h"
#include "storage/staging.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tideway::storage {
namespace {

constexpr uint32_t kStateMode = 0711;
constexpr mode_t kRequestMode = 03770;  // setgid, sticky
constexpr size_t kCopyPart = 64 << 10;
constexpr std::string_view kDraft = ".part";
constexpr size_t kPinSyncsMax = 64;  // files and directories, each by itself; with more, all that the file system has not written costs less

ObjectName below_state(std::string_view name) { return single_name(std::string(kStateDirName)).child(name).value(); }

Status make_exactly(const RootedDir& root, const ObjectName& name, mode_t mode, std::optional<uint32_t> group) {
  const auto there = root.stat_if_exists(name);
  if (!there.ok()) return there.error();
  const bool is_new = !there.value();
  if (is_new)
    if (Status made = root.make_dir(name, mode & 0777U); !made.ok()) return made;
  auto dir = root.open_dir(name);
  if (!dir.ok()) return std::move(dir).error();
  const bool is_grouped = !group || ::fchown(dir.value().fd(), static_cast<uid_t>(-1), *group) == 0 || !is_new;
  if (!is_grouped) return errno_error(root.side(), errno, "give to the group", root.shown(name));
  if (is_new && ::fchmod(dir.value().fd(), mode) != 0) return errno_error(root.side(), errno, "set the mode of", root.shown(name));
  return success();
}

// 0 or an errno.
int copy_bytes(int from, int to) {
  std::array<std::byte, kCopyPart> part;
  for (uint64_t at = 0;;) {
    const ssize_t count = ::pread(from, part.data(), part.size(), static_cast<off_t>(at));
    if (count == 0) return 0;
    if (count < 0) return errno;
    if (const int error = write_all(to, at, std::span(part).first(static_cast<size_t>(count))); error != 0) return error;
    at += static_cast<uint64_t>(count);
  }
}

class Pinning {
 public:
  explicit Pinning(const RootedDir& root) : root_(root) {}

  Status take(const RootedDir& from, const ObjectName& name, const RootedDir& into) {
    const auto stat = from.stat(name);
    if (!stat.ok()) return stat.error();
    const ObjectName own = single_name(name.last());
    switch (stat.value().kind) {
      case FileKind::kFile: return take_file(from, name, into);
      case FileKind::kSymlink: {
        auto target = from.read_link(name);
        return target.ok() ? into.make_symlink(own, target.value()) : Status(std::move(target).error());
      }
      case FileKind::kDirectory: {
        auto inner = from.open_dir(name);
        if (!inner.ok()) return std::move(inner).error();
        if (Status made = into.make_dir(own, 0700); !made.ok()) return made;
        auto held = into.open_dir(own);
        return held.ok() ? take_all(inner.value(), held.value()) : Status(std::move(held).error());
      }
      case FileKind::kSpecial: break;
    }
    return success();  // the scan would leave it out, too
  }

  Status take_all(const RootedDir& from, const RootedDir& into) {  // NOLINT(misc-no-recursion): bounded by kPinDepthMax
    if (++depth_ > kPinDepthMax) return Error{Fault::kUnsupported, "\"" + from.shown({}) + "\" lies deeper than " + std::to_string(kPinDepthMax) + " directories", ""};
    std::vector<std::string> names;
    if (Status status = from.for_each_name([&](std::string_view name) { names.emplace_back(name); }); !status.ok()) return status;
    for (const std::string& name : names) {
      if (depth_ == 1 && is_reserved_at_top(name)) continue;
      if (Status status = take(from, single_name(name), into); !status.ok()) return status;
    }
    --depth_;
    const auto stat = from.stat({});
    return stat.ok() ? into.set_attributes(stat.value().mode | 0700, stat.value().mtime_ns) : Status(stat.error());
  }

  const PinCount& count() const { return count_; }

 private:
  Status take_file(const RootedDir& from, const ObjectName& name, const RootedDir& into) {
    auto file = from.open_file(name, Access::kRead);
    if (!file.ok()) return std::move(file).error();
    const auto [stat, error] = stat_of(file.value().get());
    if (error != 0) return errno_error(Side::kSource, error, "look at", from.shown(name));
    count_.bytes += stat.size;
    const ObjectName own = single_name(name.last());
    auto made = into.create_file(own, 0600);
    if (!made.ok()) return std::move(made).error();
    const int fd = made.value().get();
    const bool is_small = stat.size <= kCopiedMax;
    const bool is_cloned = ::ioctl(fd, FICLONE, file.value().get()) == 0;
    if (const int failed = is_small && !is_cloned ? copy_bytes(file.value().get(), fd) : 0; failed != 0)
      return errno_error(Side::kDestination, failed, "copy", from.shown(name));
    if (!is_small && !is_cloned) {
      if (Status removed = into.remove_file(own); !removed.ok()) return removed;
      ++count_.linked;
      return from.link_file(name, into, own);
    }
    ++(is_cloned ? count_.cloned : count_.copied);
    int failed = ::fchmod(fd, stat.mode) != 0 ? errno : 0;
    if (failed == 0) failed = set_times(fd, stat.mtime_ns);
    if (failed != 0) return errno_error(Side::kDestination, failed, "set times and mode of", into.shown(own));
    return success();
  }

  const RootedDir& root_;
  PinCount count_;
  size_t depth_ = 0;
};

Result<PinCount> fill(const RootedDir& root, const ObjectName& source, const ObjectName& part) {
  if (Status made = root.make_dir(part, 0700); !made.ok()) return std::move(made).error();
  auto into = root.open_dir(part);
  if (!into.ok()) return std::move(into).error();
  const auto stat = root.stat(source);
  if (!stat.ok()) return stat.error();
  Pinning pinning(root);
  Status status = success();
  if (stat.value().kind == FileKind::kDirectory) {
    auto from = root.open_dir(source);
    status = from.ok() ? pinning.take_all(from.value(), into.value()) : Status(std::move(from).error());
  } else {
    status = pinning.take(root, source, into.value());
  }
  if (!status.ok()) return std::move(status).error();
  return pinning.count();
}

Status sync_one(const RootedDir& dir, const ObjectName& name) {
  const auto file = dir.open_file(name, Access::kRead);
  if (!file.ok()) return file.error();
  return ::fsync(file.value().get()) == 0 ? success() : Status(errno_error(dir.side(), errno, "sync", dir.shown(name)));
}

// Of a tree that is too large for that: false.
Result<bool> sync_each(const RootedDir& dir, size_t depth, size_t& syncs) {  // NOLINT(misc-no-recursion): bounded by kPinDepthMax
  std::vector<ObjectName> names;
  if (Status status = dir.for_each_name([&](std::string_view name) { names.push_back(single_name(std::string(name))); }); !status.ok()) return std::move(status).error();
  for (const ObjectName& name : names) {
    const auto stat = dir.stat(name);
    if (!stat.ok()) return stat.error();
    if (stat.value().kind == FileKind::kDirectory && depth < kPinDepthMax) {
      const auto below = dir.open_dir(name);
      const auto all = below.ok() ? sync_each(below.value(), depth + 1, syncs) : Result<bool>(below.error());
      if (!all.ok() || !all.value()) return all;
    }
    if (stat.value().kind != FileKind::kFile) continue;
    if (++syncs > kPinSyncsMax) return false;
    if (Status synced = sync_one(dir, name); !synced.ok()) return std::move(synced).error();
  }
  if (++syncs > kPinSyncsMax) return false;
  const Status synced = dir.sync();
  return synced.ok() ? Result<bool>(true) : synced.error();
}

}  // namespace

bool is_pin_id(std::string_view id) { return id.size() <= kPinIdMax && is_component(id) && id.front() != '.' && !id.ends_with(kDraft); }
bool is_pin_draft(std::string_view name) { return name.ends_with(kDraft) && is_pin_id(name.substr(0, name.size() - kDraft.size())); }
ObjectName pins_dir() { return below_state(kPinsName); }
ObjectName inbox_dir() { return below_state(kInboxName); }

Status make_request_dirs(const RootedDir& root, std::optional<uint32_t> group) {
  if (Status status = make_exactly(root, single_name(std::string(kStateDirName)), kStateMode, std::nullopt); !status.ok()) return status;
  for (const ObjectName& name : {pins_dir(), inbox_dir()})
    if (Status status = make_exactly(root, name, kRequestMode, group); !status.ok()) return status;
  return success();
}

Result<PinCount> make_pin(const RootedDir& root, const ObjectName& source, const std::string& id) {
  TIDEWAY_CHECK(is_pin_id(id) && !source.is_root());
  const ObjectName part = pins_dir().child(id + std::string(kDraft)).value(), whole = pins_dir().child(id).value();
  const auto there = root.stat_if_exists(whole);
  if (!there.ok()) return there.error();
  if (there.value()) return Error{Fault::kDestExists, "the pin " + to_display(id) + " is there already", "use another submission_id"};
  if (Status removed = root.remove_tree(part); !removed.ok()) return std::move(removed).error();  // of an attempt that stopped
  auto count = fill(root, source, part);
  Status status = count.ok() ? root.rename(part, root, whole) : Status(count.error());
  if (status.ok()) return count;
  static_cast<void>(root.remove_tree(part).ok());
  return std::move(status).error();
}

Status sync_tree(const RootedDir& root, const ObjectName& name) {
  const auto stat = root.stat(name);
  const auto above = root.open_dir(name.parent());
  if (!stat.ok() || !above.ok()) return stat.ok() ? above.error() : stat.error();
  if (stat.value().kind == FileKind::kFile) {
    const Status synced = sync_one(root, name);
    return synced.ok() ? above.value().sync() : synced;
  }
  const auto tree = root.open_dir(name);
  if (!tree.ok()) return tree.error();
  size_t syncs = 0;
  const auto each = sync_each(tree.value(), 1, syncs);
  if (!each.ok()) return each.error();
  return each.value() ? above.value().sync() : tree.value().sync_file_system();
}

Result<uint32_t> owner_of_pin(const RootedDir& root, const std::string& id) {
  auto dir = root.open_dir(pins_dir().child(id).value());
  if (!dir.ok()) return std::move(dir).error();
  struct stat info{};
  if (::fstat(dir.value().fd(), &info) != 0) return errno_error(root.side(), errno, "look at", root.shown(pins_dir().child(id).value()));
  return info.st_uid;
}

std::vector<std::string> pins_older_than(const RootedDir& root, int64_t ctime_ns, const PinsPage& page) {
  std::vector<std::string> names, older;
  const auto dir = root.open_dir(pins_dir());
  if (!dir.ok() || !dir.value().for_each_name([&](std::string_view name) { names.emplace_back(name); }).ok()) return older;
  std::erase_if(names, [&](const std::string& name) { return name <= page.behind; });
  std::ranges::sort(names);
  for (std::string& name : names) {
    if (older.size() == page.most) break;
    const auto stat = dir.value().stat_if_exists(single_name(name));
    if (stat.ok() && stat.value() && (is_pin_id(name) || is_pin_draft(name)) && stat.value()->ctime_ns < ctime_ns) older.push_back(std::move(name));
  }
  return older;
}

Status drop_pin(const RootedDir& root, const std::string& id) { return root.remove_tree(pins_dir().child(id).value()); }

Result<PinPlace> open_pin(const RootedDir& root, const std::string& id, const std::string& name) {
  auto dir = root.open_dir(pins_dir().child(id).value());
  if (!dir.ok()) return std::move(dir).error();
  std::vector<std::string> names;
  if (Status status = dir.value().for_each_name([&](std::string_view one) { names.emplace_back(one); }); !status.ok()) return std::move(status).error();
  ObjectName inner;
  if (names.size() == 1 && names.front() == name) {
    const auto stat = dir.value().stat(single_name(name));
    if (!stat.ok()) return stat.error();
    if (stat.value().kind == FileKind::kFile) inner = single_name(name);
  }
  return PinPlace{std::move(dir).value(), std::move(inner)};
}

}  // namespace tideway::storage
