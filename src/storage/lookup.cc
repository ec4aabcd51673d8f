// SPDX-License-Identifier: Apache-2.0
#include "storage/lookup.h"

#include "base/descriptor.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>

namespace tideway::storage {
namespace {

constexpr int kRacedLookups = 16;      // a rename somewhere in the tree makes openat2 answer EAGAIN
constexpr size_t kPathPiece = 4000;    // below PATH_MAX (4096), with room for the terminator

int open_piece(int dir, const char* path, OpenHow how) {
  open_how request{};
  request.flags = static_cast<uint64_t>(how.flags | O_CLOEXEC);
  request.mode = (how.flags & O_CREAT) != 0 ? how.mode : 0;
  request.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (int attempt = 0; attempt < kRacedLookups; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dir, path, &request, sizeof request);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return -errno;
}

struct Mount {
  uint64_t id = 0;
  uint64_t device = 0;
  bool operator==(const Mount&) const = default;
};

// Which mount a descriptor lies on; nothing, and why in errno, where that cannot be told. Kernels before 5.8 have no mount id; there the
// device has to do, which misses a bind mount of the same file system.
std::optional<Mount> mount_of(int fd) {
  struct statx status{};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_MNT_ID, &status) != 0) return std::nullopt;
  const uint64_t id = (status.stx_mask & STATX_MNT_ID) != 0 ? status.stx_mnt_id : 0;
  return Mount{id, uint64_t{status.stx_dev_major} << 32 | status.stx_dev_minor};
}

bool is_link(int dir, const std::string& name) {
  struct stat status{};
  return ::fstatat(dir, name.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 && S_ISLNK(status.st_mode);
}

}  // namespace

int open_beneath(int dir, std::span<const std::string> components, OpenHow how) {
  if (components.empty()) {
    const int fd = open_piece(dir, ".", how);
    return fd == -ENOSYS || fd == -EPERM ? open_by_walk(dir, components, how) : fd;
  }
  Descriptor step;  // on the way, once there is one; before, the caller's own
  std::string path;
  for (size_t i = 0; i < components.size(); ++i) {
    if (!path.empty()) path += '/';
    path += components[i];
    const bool is_last = i + 1 == components.size();
    if (!is_last && path.size() + 1 + components[i + 1].size() <= kPathPiece) continue;
    const int fd = open_piece(step.is_open() ? step.get() : dir, path.c_str(), is_last ? how : OpenHow{O_PATH | O_DIRECTORY});
    if (fd == -ENOSYS || fd == -EPERM) return open_by_walk(dir, components, how);
    if (fd < 0 || is_last) return fd;
    step.reset(fd);
    path.clear();
  }
  return -EINVAL;  // not reached: the last component returns
}

int open_by_walk(int dir, std::span<const std::string> components, OpenHow how) {
  if (components.empty()) {
    const int fd = ::openat(dir, ".", how.flags | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
  }
  const auto home = mount_of(dir);
  if (!home) return -errno;
  Descriptor step;
  for (size_t i = 0; i < components.size(); ++i) {
    const bool is_last = i + 1 == components.size();
    const int flags = is_last ? how.flags : O_PATH | O_DIRECTORY;
    const int at = step.is_open() ? step.get() : dir;
    Descriptor next(::openat(at, components[i].c_str(), flags | O_NOFOLLOW | O_CLOEXEC, how.mode));
    if (!next.is_open()) {
      const int error = errno;
      return error == ENOTDIR && is_link(at, components[i]) ? -ELOOP : -error;
    }
    // O_PATH | O_NOFOLLOW would open a link itself; a mount point opens as the root of what is mounted there.
    if (const auto mount = mount_of(next.get()); !mount || *mount != *home) return mount ? -EXDEV : -errno;
    if (is_last) return next.release();
    step = std::move(next);
  }
  return -EINVAL;  // not reached: the last component returns
}

}  // namespace tideway::storage
