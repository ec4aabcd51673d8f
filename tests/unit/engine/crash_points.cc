// SPDX-License-Identifier: Apache-2.0
#include "support/crash_points.h"

#include <tideway/check.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <optional>
#include <string>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;

// What stable storage has of one inode.
struct Kept {
  mode_t mode = 0;
  timespec mtime{};
  std::string bytes;                   // of a file, or where a link points
  std::map<std::string, ino_t> names;  // of a directory
};

struct Watch {
  CrashPlan plan;
  uint64_t passed = 0;
  std::map<ino_t, Kept> kept;
};
std::optional<Watch> watch;  // set once, in a forked process

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct stat stat_of(const fs::path& path) {
  struct stat status{};
  TIDEWAY_CHECK(::lstat(path.c_str(), &status) == 0);
  return status;
}

enum class With : uint8_t { kData, kMetadata };

void keep(const fs::path& path, const struct stat& status, With with) {
  Kept& kept = watch->kept[status.st_ino];
  if (with == With::kMetadata || kept.mode == 0) kept.mode = status.st_mode;
  if (with == With::kMetadata) kept.mtime = status.st_mtim;
  if (S_ISREG(status.st_mode)) kept.bytes = read_all(path);
  if (S_ISLNK(status.st_mode)) kept.bytes = fs::read_symlink(path).string();
  if (!S_ISDIR(status.st_mode)) return;
  kept.names.clear();
  for (const auto& entry : fs::directory_iterator(path)) {
    const struct stat child = stat_of(entry.path());
    kept.names[entry.path().filename().string()] = child.st_ino;
    // A name is kept with what it names, if that is new; what stands in a file is another matter.
    if (!watch->kept.contains(child.st_ino)) watch->kept[child.st_ino].mode = child.st_mode;
    if (S_ISLNK(child.st_mode)) watch->kept[child.st_ino].bytes = fs::read_symlink(entry.path()).string();
  }
}

void keep_all() {
  keep(watch->plan.root, stat_of(watch->plan.root), With::kMetadata);
  for (const auto& entry : fs::recursive_directory_iterator(watch->plan.root)) keep(entry.path(), stat_of(entry.path()), With::kMetadata);
}

void keep_fd(int fd, With with) {
  struct stat status{};
  TIDEWAY_CHECK(::fstat(fd, &status) == 0);
  keep("/proc/self/fd/" + std::to_string(fd), status, with);
}

void lay_out(ino_t inode, const fs::path& to) {  // NOLINT(misc-no-recursion): as deep as a test's tree
  const Kept& kept = watch->kept[inode];
  if (S_ISLNK(kept.mode)) return fs::create_symlink(kept.bytes, to);
  if (!S_ISDIR(kept.mode)) {
    std::ofstream(to, std::ios::binary) << kept.bytes;
  } else {
    fs::create_directory(to);
    for (const auto& [name, child] : kept.names) lay_out(child, to / name);
  }
  const timespec times[2] = {{0, UTIME_OMIT}, kept.mtime};
  TIDEWAY_CHECK(::utimensat(AT_FDCWD, to.c_str(), times, 0) == 0 && ::chmod(to.c_str(), kept.mode & 07777) == 0);
}

void lay_out_torn() {
  constexpr size_t kPage = 4096;
  fs::copy(watch->plan.root, watch->plan.after, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  for (const auto& entry : fs::recursive_directory_iterator(watch->plan.root)) {
    const fs::path to = watch->plan.after / fs::relative(entry.path(), watch->plan.root);
    const struct stat status = stat_of(entry.path());
    if (S_ISREG(status.st_mode)) {
      std::string bytes = read_all(entry.path());
      std::string kept = watch->kept[status.st_ino].bytes;
      kept.resize(bytes.size());
      for (size_t at = 0; at < bytes.size(); at += 2 * kPage) bytes.replace(at, kPage, kept, at, kPage);
      std::ofstream(to, std::ios::binary) << bytes;
    }
    const timespec times[2] = {{0, UTIME_OMIT}, status.st_mtim};
    TIDEWAY_CHECK(::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
  }
}

void pass() {
  if (!watch || ++watch->passed != watch->plan.stop_at) return;
  if (watch->plan.loss == Loss::kUnsynced) lay_out(stat_of(watch->plan.root).st_ino, watch->plan.after);
  if (watch->plan.loss == Loss::kTorn) lay_out_torn();
  ::_exit(kCrashed);
}

}  // namespace

void arm_crash(const CrashPlan& plan) {
  watch.emplace(Watch{plan, 0, {}});
  keep_all();
}

}  // namespace tideway::test

// ---- in front of the C library; the disk itself is not waited for -----------------------------------------------------------------------------------------

namespace {
using namespace tideway::test;  // NOLINT(google-build-using-namespace): of this file alone
int call(long number, auto... arguments) { return static_cast<int>(::syscall(number, arguments...)); }
}  // namespace

extern "C" {

int fdatasync(int fd) {
  pass();
  if (watch) keep_fd(fd, With::kData);
  return 0;
}
int fsync(int fd) {
  pass();
  if (watch) keep_fd(fd, With::kMetadata);
  return 0;
}
int syncfs(int) noexcept {
  pass();
  if (watch) keep_all();
  return 0;
}
int renameat2(int old_dir, const char* from, int new_dir, const char* to, unsigned flags) noexcept {
  pass();
  return call(SYS_renameat2, old_dir, from, new_dir, to, flags);
}
int unlinkat(int dir, const char* name, int flags) noexcept {
  pass();
  return call(SYS_unlinkat, dir, name, flags);
}
int ftruncate(int fd, off_t size) noexcept {
  pass();
  return call(SYS_ftruncate, fd, size);
}

}  // extern "C"
