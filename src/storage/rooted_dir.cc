// SPDX-License-Identifier: Apache-2.0
#include "storage/rooted_dir.h"

#include "storage/lookup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <climits>
#include <memory>

namespace tideway::storage {
namespace {

constexpr int kOpenDir = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
// Depth that remove_tree descends: what a peer may send, plus what staging puts above it.
constexpr size_t kRemoveDepthMax = kNameDepthMax + 8;

FileStat to_file_stat(const struct stat& status) {
  FileStat result;
  if (S_ISREG(status.st_mode)) result.kind = FileKind::kFile;
  else if (S_ISDIR(status.st_mode)) result.kind = FileKind::kDirectory;
  else if (S_ISLNK(status.st_mode)) result.kind = FileKind::kSymlink;
  result.mode = status.st_mode & 0777U;
  result.size = Bytes(static_cast<uint64_t>(status.st_size));
  result.allocated = Bytes(static_cast<uint64_t>(status.st_blocks) * 512);
  result.mtime_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  result.ctime_ns = status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec;
  result.inode = status.st_ino;
  result.device = status.st_dev;
  result.uid = status.st_uid;
  return result;
}

// "No space" has two meanings, and only one of them is cured by deleting something big.
bool is_out_of_inodes(int fd) {
  struct statvfs status{};
  return ::fstatvfs(fd, &status) == 0 && status.f_files != 0 && status.f_favail == 0;
}

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using DirStream = std::unique_ptr<DIR, DirCloser>;

bool is_dot(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// 0 or an errno.
int visit_names(int fd, const std::function<int(const char*)>& visit) {
  Descriptor own(open_by_walk(fd, {}, {kOpenDir}));  // a second description: readdir moves its offset
  if (!own.is_open()) return -own.get();
  const DirStream stream(::fdopendir(own.get()));
  if (!stream) return errno;
  own.release();
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) return errno;
    if (is_dot(entry->d_name)) continue;
    if (const int error = visit(entry->d_name); error != 0) return error;
  }
}

// A directory or file we staged may carry a mode that shuts us out. Its name cannot be trusted twice, so the change goes
// through a descriptor that needs no permission on it.
bool make_readable(int fd, std::span<const std::string> component, int flags = O_PATH | O_DIRECTORY) {
  const Descriptor held(open_beneath(fd, component, {flags}));
  return held.is_open() && ::chmod(("/proc/self/fd/" + std::to_string(held.get())).c_str(), 0700) == 0;
}

// Removes all below `fd`, which is `depth` levels below where it began. 0 or an errno.
int remove_below(int fd, size_t depth) {  // NOLINT(misc-no-recursion): bounded by kRemoveDepthMax
  if (depth > kRemoveDepthMax) return ENAMETOOLONG;
  return visit_names(fd, [&](const char* name) {
    if (::unlinkat(fd, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return errno;
    const std::array<std::string, 1> component = {name};
    int below = open_beneath(fd, component, {kOpenDir});
    if (below == -EACCES && make_readable(fd, component)) below = open_beneath(fd, component, {kOpenDir});
    if (below < 0) return below == -ENOENT ? 0 : -below;
    const Descriptor held(below);
    if (::fchmod(below, 0700) != 0) return errno;  // a directory we staged may be read-only
    if (const int error = remove_below(below, depth + 1); error != 0) return error;
    return ::unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
  });
}

// Syncs a directory that may be held by O_PATH only. 0 or an errno.
int sync_held(int fd) {
  const Descriptor own(open_by_walk(fd, {}, {kOpenDir}));
  if (!own.is_open()) return -own.get();
  return ::fsync(own.get()) == 0 ? 0 : errno;
}

}  // namespace

uint64_t version_of_pinned(const FileStat& stat) {
  FileStat still = stat;
  still.ctime_ns = stat.mtime_ns;
  return version_of(still);
}

// The device stays out: its number may be another one after a reboot.
uint64_t version_of(const FileStat& stat) {
  const uint64_t mixed = stat.inode * 0x9E3779B97F4A7C15 ^ std::rotl(static_cast<uint64_t>(stat.ctime_ns) * 0xC2B2AE3D27D4EB4F, 31);
  return mixed == 0 ? 1 : mixed;
}

StatOutcome stat_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {{}, errno};
  return {to_file_stat(status), 0};
}

int set_times(int fd, int64_t mtime_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t seconds = mtime_ns / kSecond, rest = mtime_ns % kSecond;
  if (rest < 0) {  // before 1970: nanoseconds still count upwards
    --seconds;
    rest += kSecond;
  }
  const timespec times[2] = {{0, UTIME_OMIT}, {seconds, rest}};
  return ::futimens(fd, times) == 0 ? 0 : errno;
}

ObjectName single_name(std::string component) {
  auto name = ObjectName::from_components({std::move(component)});
  TIDEWAY_CHECK(name.ok());
  return std::move(name).value();
}

Result<RootedDir> RootedDir::open_host_path(const std::string& path, Side side, Lookup lookup) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_error(side, errno, "open the directory", to_display(path));
  RootedDir dir(Descriptor(fd), side, lookup, "");
  dir.host_path_ = path;
  return dir;
}

Status RootedDir::check_in_place() const {
  if (host_path_.empty()) return success();
  struct stat held{}, there{};
  const bool is_there = ::fstat(fd_.get(), &held) == 0 && ::stat(host_path_.c_str(), &there) == 0;
  if (is_there && held.st_dev == there.st_dev && held.st_ino == there.st_ino) return success();
  return Error{Fault::kDestUnmounted, "the root is not where it was when the gateway was started: another file system or folder is there, or none",
               "mount it again; if what is there now is meant, restart the gateway"};
}

std::string RootedDir::shown(const ObjectName& name) const {
  if (name.is_root()) return shown_.empty() ? "." : shown_;
  return shown_.empty() ? to_display(name) : shown_ + "/" + to_display(name);
}

Error RootedDir::error_of(int error, std::string_view action, const ObjectName& name) const {
  Error result = errno_error(side_, error, action, shown(name));
  if (error == ENOSPC && is_out_of_inodes(fd_.get())) {
    result.fault = Fault::kDestInodes;
    result.what += " (no inodes left)";
    result.next = "remove files below this root, then try again";
  }
  return result;
}

Result<RootedDir::Place> RootedDir::place_of(const ObjectName& name, std::string_view action) const {
  TIDEWAY_CHECK(!name.is_root());
  const auto components = name.components();
  if (components.size() == 1) return Place{Descriptor(), fd_.get(), components.front()};
  const auto above = components.first(components.size() - 1);
  const OpenHow how{O_PATH | O_DIRECTORY};
  const int fd = lookup_ == Lookup::kWalk ? open_by_walk(fd_.get(), above, how) : open_beneath(fd_.get(), above, how);
  if (fd < 0) return error_of(-fd, action, name);
  return Place{Descriptor(fd), fd, components.back()};
}

Result<RootedDir> RootedDir::open_dir(const ObjectName& name) const {
  const OpenHow how{kOpenDir};
  const int fd = lookup_ == Lookup::kWalk ? open_by_walk(fd_.get(), name.components(), how)
                                          : open_beneath(fd_.get(), name.components(), how);
  if (fd < 0) return error_of(-fd, "open the directory", name);
  return RootedDir(Descriptor(fd), side_, lookup_, name.is_root() ? shown_ : shown(name));
}

Result<Descriptor> RootedDir::open_file(const ObjectName& name, Access access, Caching caching) const {
  const OpenHow how{(access == Access::kRead ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY |
                    (caching == Caching::kDirect ? O_DIRECT : 0)};
  const int fd = lookup_ == Lookup::kWalk ? open_by_walk(fd_.get(), name.components(), how)
                                          : open_beneath(fd_.get(), name.components(), how);
  if (fd == -ENXIO || fd == -EISDIR)
    return Error{Fault::kSpecialFile, "\"" + shown(name) + "\" is not a regular file", "copy files, directories and links"};
  if (fd < 0) return error_of(-fd, "open", name);
  Descriptor held(fd);
  struct stat status{};
  if (::fstat(fd, &status) != 0) return error_of(errno, "look at", name);
  if (!S_ISREG(status.st_mode))
    return Error{Fault::kSpecialFile, "\"" + shown(name) + "\" is not a regular file", "copy files, directories and links"};
  return held;
}

Result<Descriptor> RootedDir::create_file(const ObjectName& name, uint32_t mode) const {
  const OpenHow how{O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0777U};
  const int fd = lookup_ == Lookup::kWalk ? open_by_walk(fd_.get(), name.components(), how)
                                          : open_beneath(fd_.get(), name.components(), how);
  if (fd < 0) return error_of(-fd, "create", name);
  return Descriptor(fd);
}

Result<Descriptor> RootedDir::create_unnamed_file() const {
  const int fd = ::openat(fd_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return error_of(errno, "create a file below", {});
  return Descriptor(fd);
}

Status RootedDir::make_dir(const ObjectName& name, uint32_t mode) const {
  auto place = place_of(name, "make the directory");
  if (!place.ok()) return place.error();
  const Place& at = place.value();
  if (::mkdirat(at.fd, at.last.c_str(), mode & 0777U) != 0) return error_of(errno, "make the directory", name);
  return success();
}

Result<bool> RootedDir::make_dirs(const ObjectName& name) const {
  Descriptor above;
  int at = fd_.get();
  bool made = false;
  for (const std::string& component : name.components()) {
    const bool is_new = ::mkdirat(at, component.c_str(), 0755) == 0;
    if (!is_new && errno != EEXIST) return error_of(errno, "make the directory", name);
    if (const int error = is_new ? sync_held(at) : 0; error != 0) return error_of(error, "sync the directory above", name);
    made = made || is_new;
    const std::array<std::string, 1> one = {component};
    const OpenHow how{O_PATH | O_DIRECTORY};
    const int fd = lookup_ == Lookup::kWalk ? open_by_walk(at, one, how) : open_beneath(at, one, how);
    if (fd < 0) return error_of(-fd, "open the directory", name);
    above = Descriptor(fd);
    at = fd;
  }
  return made;
}

void RootedDir::make_usable(const ObjectName& name) const {
  static_cast<void>(make_readable(fd_.get(), name.components(), O_PATH));
}

Status RootedDir::make_symlink(const ObjectName& name, const std::string& target) const {
  auto place = place_of(name, "make the link");
  if (!place.ok()) return place.error();
  const Place& at = place.value();
  if (::symlinkat(target.c_str(), at.fd, at.last.c_str()) != 0) return error_of(errno, "make the link", name);
  return success();
}

Result<FileStat> RootedDir::stat(const ObjectName& name) const {
  struct stat status{};
  if (name.is_root()) {
    if (::fstat(fd_.get(), &status) != 0) return error_of(errno, "look at", name);
    return to_file_stat(status);
  }
  auto place = place_of(name, "look at");
  if (!place.ok()) return place.error();
  const Place& at = place.value();
  if (::fstatat(at.fd, at.last.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
    return error_of(errno, "look at", name);
  return to_file_stat(status);
}

Result<std::optional<FileStat>> RootedDir::stat_if_exists(const ObjectName& name) const {
  struct stat status{};
  Descriptor held;
  int at = fd_.get();
  const auto components = name.components();
  if (components.empty()) {
    auto own = stat(name);
    if (!own.ok()) return own.error();
    return std::optional<FileStat>(own.value());
  }
  if (components.size() > 1) {
    const auto above = components.first(components.size() - 1);
    const OpenHow how{O_PATH | O_DIRECTORY};
    at = lookup_ == Lookup::kWalk ? open_by_walk(at, above, how) : open_beneath(at, above, how);
    if (at == -ENOENT) return std::optional<FileStat>();
    if (at < 0) return error_of(-at, "look at", name);
    held = Descriptor(at);
  }
  if (::fstatat(at, components.back().c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0)
    return std::optional<FileStat>(to_file_stat(status));
  if (errno == ENOENT) return std::optional<FileStat>();
  return error_of(errno, "look at", name);
}

Result<std::string> RootedDir::read_link(const ObjectName& name) const {
  auto place = place_of(name, "read the link");
  if (!place.ok()) return place.error();
  const Place& at = place.value();
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(at.fd, at.last.c_str(), target.data(), target.size());
  if (size < 0) return error_of(errno, "read the link", name);
  return std::string(target.data(), static_cast<size_t>(size));
}

Status RootedDir::for_each_name(const std::function<void(std::string_view)>& visit) const {
  const int error = visit_names(fd_.get(), [&](const char* name) {
    visit(name);
    return 0;
  });
  if (error != 0) return error_of(error, "read the directory", {});
  return success();
}

Status RootedDir::rename(const ObjectName& from, const RootedDir& to_dir, const ObjectName& to, IfTaken if_taken) const {
  auto source = place_of(from, "rename");
  if (!source.ok()) return source.error();
  auto target = to_dir.place_of(to, "rename to");
  if (!target.ok()) return target.error();
  const Place &old_place = source.value(), &new_place = target.value();
  const unsigned flags = if_taken == IfTaken::kFail ? RENAME_NOREPLACE : if_taken == IfTaken::kExchange ? RENAME_EXCHANGE : 0;
  if (::renameat2(old_place.fd, old_place.last.c_str(), new_place.fd, new_place.last.c_str(), flags) != 0)
    return errno == ENOENT ? error_of(errno, "rename", from) : to_dir.error_of(errno, "rename to", to);
  return success();
}

Status RootedDir::link_file(const ObjectName& from, const RootedDir& to_dir, const ObjectName& to) const {
  auto source = place_of(from, "link");
  if (!source.ok()) return source.error();
  auto target = to_dir.place_of(to, "link to");
  if (!target.ok()) return target.error();
  if (::linkat(source.value().fd, source.value().last.c_str(), target.value().fd, target.value().last.c_str(), 0) == 0) return success();
  Error failed = errno_error(side_, errno, "make a hard link of", shown(from));
  if (errno == EPERM || errno == EXDEV || errno == EMLINK || errno == EOPNOTSUPP || errno == EACCES) failed.fault = Fault::kUnsupported;
  return failed;
}

Status RootedDir::remove_file(const ObjectName& name) const {
  auto place = place_of(name, "remove");
  if (!place.ok()) return place.error();
  if (::unlinkat(place.value().fd, place.value().last.c_str(), 0) != 0) return error_of(errno, "remove", name);
  return success();
}

Status RootedDir::remove_empty_dir(const ObjectName& name) const {
  auto place = place_of(name, "remove");
  if (!place.ok()) return place.error();
  if (::unlinkat(place.value().fd, place.value().last.c_str(), AT_REMOVEDIR) != 0) return error_of(errno, "remove", name);
  return success();
}

Status RootedDir::remove_tree(const ObjectName& name) const {
  auto there = stat_if_exists(name);
  if (!there.ok()) return there.error();
  if (!there.value()) return success();
  if (there.value()->kind != FileKind::kDirectory) return remove_file(name);
  auto dir = open_dir(name);
  if (!dir.ok()) return dir.error();
  if (auto status = dir.value().remove_content(); !status.ok()) return status;
  return remove_empty_dir(name);
}

Status RootedDir::remove_content() const {
  if (const int error = remove_below(fd_.get(), 0); error != 0) return error_of(error, "empty the directory", {});
  return success();
}

Status RootedDir::set_attributes(uint32_t mode, int64_t mtime_ns) const {
  if (const int error = set_times(fd_.get(), mtime_ns); error != 0) return error_of(error, "set the times of", {});
  if (::fchmod(fd_.get(), mode & 0777U) != 0) return error_of(errno, "set the mode of", {});
  return success();
}

Status RootedDir::sync() const {
  if (::fsync(fd_.get()) != 0) return error_of(errno, "sync", {});
  return success();
}

Status RootedDir::sync_file_system() const {
  if (::syncfs(fd_.get()) != 0) return error_of(errno, "sync the file system of", {});
  return success();
}

bool RootedDir::lock_exclusively() const { return ::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0; }

Result<Bytes> RootedDir::free_space() const {
  struct statvfs status{};
  if (::fstatvfs(fd_.get(), &status) != 0) return error_of(errno, "look at the free space of", {});
  return Bytes(static_cast<uint64_t>(status.f_bavail) * status.f_frsize);
}

}  // namespace tideway::storage
