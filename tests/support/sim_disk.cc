// SPDX-License-Identifier: Apache-2.0
#include "support/sim_disk.h"

#include "support/crash_points.h"
#include "support/disk_calls.h"
#include <tideway/check.h>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdarg>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;

long raw(long number, auto... arguments) { return ::syscall(number, arguments...); }
int raw_fstat(int fd, struct stat& status) { return static_cast<int>(raw(SYS_fstat, fd, &status)); }

// What stable storage has of one file, directory or link.
struct Kept {
  mode_t mode = 0;
  timespec mtime{};
  std::string bytes;                      // of a file, or where a link points
  std::map<std::string, uint64_t> names;  // of a directory
};

struct Range { uint64_t begin, end; };
struct Place { uint64_t dir; std::string name; };

}  // namespace

struct SimDisk::State {
  fs::path folder;
  dev_t device = 0;
  DiskFault fault;
  std::function<void()> look;
  uint64_t passed = 0;
  bool is_hit = false, is_off = false;
  std::string hit_at;
  uint64_t next_id = 1;
  std::map<ino_t, uint64_t> ids, writes;  // numbers of inodes are used again, these ids are not
  std::map<uint64_t, Kept> kept;
  std::map<uint64_t, std::vector<Range>> unsynced;
  std::map<uint64_t, Place> moved;  // to where, since a sync of either directory

  uint64_t id_of(const struct stat& status);
  void on_new(const struct stat& status);
  void note(int fd, Range range);
  enum class With : uint8_t { kData, kMetadata };
  void sync(int fd, With with);
  void sync_file(int fd, uint64_t id);
  void sync_names(int fd, uint64_t id);
  void commit_move(uint64_t id, const Place& to);
  void on_moved(int dir, const char* name);
  void sync_all();
  void lose(int fd);
  bool stops(Call call, int& error);
  void lay_out(uint64_t id, const fs::path& to) const;
  void lay_out_torn(const fs::path& to) const;
};

namespace {

SimDisk::State* disk = nullptr;  // the one that is there

// Our own calls, and those of the standard library for us, are none of the code under test.
class Pause {
 public:
  Pause() : own_(std::exchange(disk, nullptr)) {}
  ~Pause() { disk = own_; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

 private:
  SimDisk::State* const own_;
};

constexpr size_t kPage = 4096;

// Into `bytes`, from where they are in the file.
void read_range(int fd, Range range, std::string& bytes) {
  while (range.begin < range.end) {
    const long got = raw(SYS_pread64, fd, bytes.data() + range.begin, range.end - range.begin, range.begin);
    TIDEWAY_CHECK(got > 0);  // nobody else shortens it
    range.begin += static_cast<uint64_t>(got);
  }
}

std::string target_of(int dir, const char* name) {
  std::array<char, 4096> target{};
  const long size = raw(SYS_readlinkat, dir, name, target.data(), target.size());
  return {target.data(), size < 0 ? 0 : static_cast<size_t>(size)};
}

struct stat stat_of(const fs::path& path) {
  struct stat status{};
  TIDEWAY_CHECK(::lstat(path.c_str(), &status) == 0);
  return status;
}

void set_attributes(const fs::path& path, const timespec& mtime, mode_t mode) {
  const timespec times[2] = {{0, UTIME_OMIT}, mtime};
  TIDEWAY_CHECK(raw(SYS_utimensat, AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
  if (!S_ISLNK(mode)) TIDEWAY_CHECK(raw(SYS_fchmodat, AT_FDCWD, path.c_str(), mode & 07777) == 0);
}

void write_file(const fs::path& path, const std::string& bytes) {
  const int fd = static_cast<int>(raw(SYS_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  TIDEWAY_CHECK(fd >= 0);
  TIDEWAY_CHECK(raw(SYS_pwrite64, fd, bytes.data(), bytes.size(), 0L) == static_cast<long>(bytes.size()));
  raw(SYS_close, fd);
}

}  // namespace

// ---- what is synced ------------------------------------------------------------------------------------------------

uint64_t SimDisk::State::id_of(const struct stat& status) {
  const auto [place, is_new] = ids.try_emplace(status.st_ino, next_id);
  if (is_new) next_id += 1;
  Kept& one = kept[place->second];
  if (one.mode == 0) one.mode = status.st_mode;
  return place->second;
}

void SimDisk::State::on_new(const struct stat& status) {
  ids.erase(status.st_ino);
  writes[status.st_ino] += 1;
  id_of(status);
}

void SimDisk::State::note(int fd, Range range) {
  struct stat status{};
  TIDEWAY_CHECK(raw_fstat(fd, status) == 0);
  unsynced[id_of(status)].push_back(range);
  writes[status.st_ino] += 1;
}

void SimDisk::State::sync(int fd, With with) {
  const Pause pause;
  struct stat status{};
  TIDEWAY_CHECK(raw_fstat(fd, status) == 0);
  const uint64_t id = id_of(status);
  if (with == With::kMetadata) {
    kept[id].mode = status.st_mode;
    kept[id].mtime = status.st_mtim;
  }
  if (S_ISREG(status.st_mode)) {
    kept[id].bytes.resize(static_cast<size_t>(status.st_size));
    sync_file(fd, id);
  }
  if (S_ISDIR(status.st_mode)) sync_names(fd, id);
}

void SimDisk::State::sync_file(int fd, uint64_t id) {
  const auto ranges = unsynced.extract(id);
  if (ranges.empty()) return;
  Kept& one = kept[id];
  for (const Range& range : ranges.mapped()) read_range(fd, {range.begin, std::min<uint64_t>(range.end, one.bytes.size())}, one.bytes);
  // Who reads it back from the device has to find it there.
  TIDEWAY_CHECK(raw(SYS_sync_file_range, fd, 0L, 0L, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0);
}

// A name is kept with what it names; what stands in a file is another matter.
void SimDisk::State::sync_names(int fd, uint64_t id) {
  std::map<std::string, uint64_t> names;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd/" + std::to_string(fd))) {
    const struct stat child = stat_of(entry.path());
    const uint64_t child_id = id_of(child);
    names[entry.path().filename().string()] = child_id;
    if (S_ISLNK(child.st_mode)) kept[child_id].bytes = target_of(AT_FDCWD, entry.path().c_str());
  }
  const std::map<std::string, uint64_t> before = std::exchange(kept[id].names, std::move(names));
  for (const auto& side : {before, kept[id].names}) {  // copies: a rename may change both
    for (const auto& [name, child] : side) {
      const auto move = moved.find(child);
      if (move == moved.end()) continue;
      commit_move(child, move->second);
      moved.erase(move);
    }
  }
}

// Its new name is there now, and no other.
void SimDisk::State::commit_move(uint64_t id, const Place& to) {
  for (auto& [dir, one] : kept) std::erase_if(one.names, [&](const auto& entry) { return entry.second == id; });
  kept[to.dir].names[to.name] = id;
}

void SimDisk::State::on_moved(int dir, const char* name) {
  struct stat parent{}, child{};
  if (raw_fstat(dir, parent) != 0 || raw(SYS_newfstatat, dir, name, &child, AT_SYMLINK_NOFOLLOW) != 0) return;
  moved[id_of(child)] = {id_of(parent), name};
}

void SimDisk::State::sync_all() {
  const Pause pause;
  std::vector<fs::path> paths = {folder};
  for (const auto& entry : fs::recursive_directory_iterator(folder)) paths.push_back(entry.path());
  for (const fs::path& path : paths) {
    const struct stat status = stat_of(path);
    if (S_ISLNK(status.st_mode)) continue;
    const int fd = static_cast<int>(raw(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    TIDEWAY_CHECK(fd >= 0);  // tests run as root or with modes that let the owner read
    sync(fd, With::kMetadata);
    raw(SYS_close, fd);
  }
}

void SimDisk::State::lose(int fd) {
  struct stat status{};
  if (raw_fstat(fd, status) == 0) unsynced.erase(id_of(status));
}

// ---- what fails ----------------------------------------------------------------------------------------------------

// True: the call is not made, and answers with the error.
bool SimDisk::State::stops(Call call, int& error) {
  error = EIO;
  if (is_off) return !only_looks(call);
  if (!counts(fault.calls, call)) return false;
  passed += 1;
  if (fault.kind == DiskFault::Kind::kSpace && is_hit && takes_space(call)) {
    error = ENOSPC;
    return true;
  }
  if (passed != fault.at) return false;
  switch (fault.kind) {
    case DiskFault::Kind::kNone: case DiskFault::Kind::kShort: case DiskFault::Kind::kNoExchange: case DiskFault::Kind::kFoldsCase: return false;
    case DiskFault::Kind::kPowerCut: is_hit = is_off = true; return !only_looks(call);
    case DiskFault::Kind::kSpace: is_hit = true; error = ENOSPC; return takes_space(call);
    case DiskFault::Kind::kError: break;
  }
  is_hit = true;
  error = fault.error != 0 ? fault.error : error_for(call, passed);
  return true;
}

// ---- what is left --------------------------------------------------------------------------------------------------

void SimDisk::State::lay_out(uint64_t id, const fs::path& to) const {  // NOLINT(misc-no-recursion): as deep as a test's tree
  const Kept& one = kept.at(id);
  if (S_ISLNK(one.mode)) return fs::create_symlink(one.bytes, to);
  if (S_ISDIR(one.mode)) {
    fs::create_directory(to);
    for (const auto& [name, child] : one.names) lay_out(child, to / name);
  } else {
    write_file(to, one.bytes);
  }
  set_attributes(to, one.mtime, one.mode);
}

void SimDisk::State::lay_out_torn(const fs::path& to) const {
  fs::copy(folder, to, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path copied = to / entry.path().lexically_relative(folder);  // a link is not followed
    const struct stat status = stat_of(entry.path());
    const auto id = ids.find(status.st_ino);
    if (S_ISREG(status.st_mode) && id != ids.end() && unsynced.contains(id->second)) {
      const int fd = static_cast<int>(raw(SYS_openat, AT_FDCWD, entry.path().c_str(), O_RDONLY | O_CLOEXEC));
      std::string bytes(static_cast<size_t>(status.st_size), '\0');
      read_range(fd, {0, bytes.size()}, bytes);
      raw(SYS_close, fd);
      std::string before = kept.at(id->second).bytes;
      before.resize(bytes.size());
      for (size_t at = 0; at < bytes.size(); at += 2 * kPage) bytes.replace(at, kPage, before, at, kPage);
      write_file(copied, bytes);
    }
    set_attributes(copied, status.st_mtim, status.st_mode);
  }
}

// ---- the disk ------------------------------------------------------------------------------------------------------

SimDisk::SimDisk(const fs::path& folder) : state_(std::make_unique<State>()) {
  TIDEWAY_CHECK(disk == nullptr);
  state_->folder = folder;
  state_->device = stat_of(folder).st_dev;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const struct stat status = stat_of(entry.path());
    if (S_ISREG(status.st_mode)) state_->unsynced[state_->id_of(status)].push_back({0, static_cast<uint64_t>(status.st_size)});
  }
  state_->sync_all();
  disk = state_.get();
}

SimDisk::~SimDisk() { disk = nullptr; }

void SimDisk::plan(const DiskFault& fault) {
  state_->fault = fault;
  state_->passed = 0;
  state_->is_hit = false;
  state_->hit_at.clear();
}

void SimDisk::watch(std::function<void()> look) { state_->look = std::move(look); }
uint64_t SimDisk::calls() const { return state_->passed; }
uint64_t SimDisk::writes_to(uint64_t inode) const { return state_->writes[inode]; }
bool SimDisk::was_hit() const { return state_->is_hit; }
const std::string& SimDisk::hit_at() const { return state_->hit_at; }
bool SimDisk::has_power() const { return !state_->is_off; }
void SimDisk::cut_power() { state_->is_off = true; }
void SimDisk::restart() { state_->is_off = false; }

void SimDisk::lay_out(const fs::path& to, Loss loss) const {
  const Pause pause;
  if (loss == Loss::kUnsynced) state_->lay_out(state_->ids.at(stat_of(state_->folder).st_ino), to);
  if (loss == Loss::kTorn) state_->lay_out_torn(to);
}

}  // namespace tideway::test

// ---- in front of the C library; the disk itself is not waited for --------------------------------------------------

namespace {
using namespace tideway::test;  // NOLINT(google-build-using-namespace): of this file alone

// What it is called that somebody does this to a file or a name; of a call that changes nothing, nothing.
std::string point_of(Call call, int fd, const char* name) {
  static constexpr std::array<crash_call, 9> kKinds = {kCrashWrite, kCrashWrite, kCrashSync, kCrashMake, kCrashMake, kCrashMove, kCrashRemove, kCrashResize, kCrashAttribute};
  if (only_looks(call)) return {};
  const Pause pause;
  std::error_code none;
  const std::string path = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), none).string() + (name == nullptr ? "" : "/" + std::string(name));
  const std::string point = crash_point(kKinds[static_cast<size_t>(call)], path.c_str());
  if (call != Call::kSync || !point.starts_with("K08")) return point;
  struct stat status{};
  raw_fstat(fd, status);
  std::string records(static_cast<size_t>(status.st_size), '\0');
  read_range(fd, {0, records.size()}, records);
  return crash_is_publishing(records.data(), records.size()) != 0 ? "K17 say that it is published next" : point;
}

// Whether the call is about the watched folder, and does not happen.
bool stops_at(Call call, int fd, const char* of) {
  if (disk == nullptr) return false;
  struct stat status{};
  if (fd < 0 || raw_fstat(fd, status) != 0 || status.st_dev != disk->device || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
    return false;
  int error = 0;
  const bool was_hit = disk->is_hit;
  const bool is_stopped = disk->stops(call, error);
  if (!was_hit && disk->is_hit && disk->fault.kind == DiskFault::Kind::kPowerCut)
    disk->hit_at = point_of(call, fd, of);  // which is called first, while nobody watches
  if (!is_stopped) return false;
  if (call == Call::kSync) disk->lose(fd);
  errno = error;
  return true;
}

bool stops(Call call, int fd) { return stops_at(call, fd, nullptr); }

// What the library has under a name that stands here. For calls that are more than one of the kernel.
template <typename Function>
Function* library(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

size_t shortened(size_t size) {
  if (disk == nullptr || disk->is_hit || disk->fault.kind != DiskFault::Kind::kShort || disk->passed < disk->fault.at || size < 2)
    return size;
  disk->is_hit = true;
  return size / 2;
}

// What the disk takes a name for, which a file system that folds case does not tell from others.
const char* known_as(int dir, const char* name, size_t which = 0) {
  static std::array<std::string, 2> folded;  // of the one thread
  std::error_code none;
  const bool folds = disk != nullptr && disk->fault.kind == DiskFault::Kind::kFoldsCase;
  if (!folds || !fs::read_symlink("/proc/self/fd/" + std::to_string(dir), none).native().starts_with(disk->folder.native())) return name;
  folded[which] = name;
  for (char& c : folded[which]) c = static_cast<char>(std::tolower(c));
  disk->is_hit = disk->is_hit || folded[which] != name;
  return folded[which].c_str();
}
bool stops(Call call, int dir, const char*& name) {
  name = known_as(dir, name);
  return stops_at(call, dir, name);
}

void note_new(int dir, const char* name) {
  struct stat status{};
  if (disk != nullptr && raw(SYS_newfstatat, dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0) disk->on_new(status);
}

int answer(long result) { return static_cast<int>(result); }

int looked_at(long result) {
  const int error = errno;
  if (disk != nullptr && disk->look) {
    const auto& look = disk->look;
    const Pause pause;
    look();
  }
  errno = error;
  return answer(result);
}
}  // namespace

extern "C" {

ssize_t pread(int fd, void* to, size_t size, off_t at) {
  if (stops(Call::kRead, fd)) return -1;
  return raw(SYS_pread64, fd, to, shortened(size), at);
}
ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
  if (stops(Call::kWrite, fd)) return -1;
  const ssize_t moved = raw(SYS_pwrite64, fd, from, shortened(size), at);
  if (moved > 0 && disk != nullptr) disk->note(fd, {static_cast<uint64_t>(at), static_cast<uint64_t>(at + moved)});
  return moved;
}
// Of files that are appended to alone: what tests and the standard library write by this call is none of the code under test.
ssize_t write(int fd, const void* from, size_t size) {
  const bool appends = disk != nullptr && fd > STDERR_FILENO && (raw(SYS_fcntl, fd, F_GETFL) & O_APPEND) != 0;
  if (appends && stops(Call::kWrite, fd)) return -1;
  const ssize_t moved = raw(SYS_write, fd, from, appends ? shortened(size) : size);
  if (appends && moved > 0) {
    const auto end = static_cast<uint64_t>(raw(SYS_lseek, fd, 0L, SEEK_CUR));
    disk->note(fd, {end - static_cast<uint64_t>(moved), end});
  }
  return moved;
}
int fdatasync(int fd) {
  if (stops(Call::kSync, fd)) return -1;
  if (disk != nullptr) disk->sync(fd, SimDisk::State::With::kData);
  return 0;
}
int fsync(int fd) {
  if (stops(Call::kSync, fd)) return -1;
  if (disk != nullptr) disk->sync(fd, SimDisk::State::With::kMetadata);
  return 0;
}
int syncfs(int fd) noexcept {
  if (stops(Call::kSync, fd)) return -1;
  if (disk != nullptr) disk->sync_all();
  return 0;
}
int openat(int dir, const char* name, int flags, ...) {
  mode_t mode = 0;
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  if (stops((flags & O_CREAT) != 0 ? Call::kCreate : Call::kOpen, dir, name)) return -1;
  const int fd = answer(raw(SYS_openat, dir, name, flags, mode));
  if (fd >= 0 && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) note_new(dir, name);
  return fd;
}
int mkdirat(int dir, const char* name, mode_t mode) noexcept {
  if (stops(Call::kCreate, dir, name)) return -1;
  const int made = answer(raw(SYS_mkdirat, dir, name, mode));
  if (made == 0) note_new(dir, name);
  return looked_at(made);
}
int symlinkat(const char* target, int dir, const char* name) noexcept {
  if (stops(Call::kCreate, dir, name)) return -1;
  const int made = answer(raw(SYS_symlinkat, target, dir, name));
  if (made == 0) note_new(dir, name);
  return made;
}
int renameat2(int old_dir, const char* from, int new_dir, const char* to, unsigned flags) noexcept {
  to = known_as(new_dir, to, 1);
  if (stops(Call::kMove, old_dir, from)) return -1;
  if (disk != nullptr && disk->fault.kind == DiskFault::Kind::kNoExchange && (flags & RENAME_EXCHANGE) != 0) {
    disk->is_hit = true;
    errno = EINVAL;
    return -1;
  }
  const long done = raw(SYS_renameat2, old_dir, from, new_dir, to, flags);
  if (done == 0 && disk != nullptr) disk->on_moved(new_dir, to);
  return looked_at(done);
}
int unlinkat(int dir, const char* name, int flags) noexcept {
  if (stops(Call::kRemove, dir, name)) return -1;
  return looked_at(raw(SYS_unlinkat, dir, name, flags));
}
int ftruncate(int fd, off_t size) noexcept {
  if (stops(Call::kResize, fd)) return -1;
  const int done = answer(raw(SYS_ftruncate, fd, size));
  if (done == 0 && disk != nullptr) disk->note(fd, {static_cast<uint64_t>(size), UINT64_MAX});  // what comes back there is zeros
  return done;
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  if (stops(Call::kResize, fd)) return -1;
  const int done = answer(raw(SYS_fallocate, fd, mode, at, size));
  if (done == 0 && disk != nullptr) disk->note(fd, {static_cast<uint64_t>(at), static_cast<uint64_t>(at + size)});
  return done;
}
int fchmod(int fd, mode_t mode) noexcept {
  if (stops(Call::kAttribute, fd)) return -1;
  return answer(raw(SYS_fchmod, fd, mode));
}
int futimens(int fd, const timespec times[2]) noexcept {
  if (stops(Call::kAttribute, fd)) return -1;
  return answer(raw(SYS_utimensat, fd, nullptr, times, 0));
}
int fstatat(int dir, const char* name, struct stat* status, int flags) noexcept {
  if (stops(Call::kLook, dir, name)) return -1;
  return answer(raw(SYS_newfstatat, dir, name, status, flags));
}
int fstat(int fd, struct stat* status) noexcept {
  if (stops(Call::kLook, fd)) return -1;
  return answer(raw(SYS_fstat, fd, status));
}
int statx(int dir, const char* name, int flags, unsigned mask, struct statx* status) noexcept {
  if (stops(Call::kLook, dir, name)) return -1;
  return answer(raw(SYS_statx, dir, name, flags, mask, status));
}
int fstatvfs(int fd, struct statvfs* status) noexcept {
  static auto* const next = library<decltype(fstatvfs)>("fstatvfs");
  return stops(Call::kLook, fd) ? -1 : next(fd, status);
}
ssize_t readlinkat(int dir, const char* name, char* target, size_t size) noexcept {
  if (stops(Call::kLook, dir, name)) return -1;
  return raw(SYS_readlinkat, dir, name, target, size);
}
off_t lseek(int fd, off_t at, int whence) noexcept {
  const bool asks = whence == SEEK_DATA || whence == SEEK_HOLE;
  if (asks && stops(Call::kLook, fd)) return -1;
  return raw(SYS_lseek, fd, at, whence);
}
int flock(int fd, int operation) noexcept {
  if (stops(Call::kLook, fd)) return -1;
  return answer(raw(SYS_flock, fd, operation));
}
DIR* fdopendir(int fd) {
  static auto* const next = library<decltype(fdopendir)>("fdopendir");
  return stops(Call::kOpen, fd) ? nullptr : next(fd);
}
struct dirent* readdir(DIR* stream) {
  static auto* const next = library<decltype(readdir)>("readdir");
  return stops(Call::kLook, ::dirfd(stream)) ? nullptr : next(stream);
}
int linkat(int from_dir, const char* from, int dir, const char* name, int flags) noexcept {
  from = known_as(from_dir, from, 1);
  if (stops(Call::kCreate, dir, name)) return -1;
  return looked_at(raw(SYS_linkat, from_dir, from, dir, name, flags));
}
int fchown(int fd, uid_t owner, gid_t group) noexcept {
  if (stops(Call::kAttribute, fd)) return -1;
  return answer(raw(SYS_fchown, fd, owner, group));
}
int posix_fadvise(int fd, off_t at, off_t size, int advice) noexcept {
  if (stops(Call::kLook, fd)) return errno;
  return raw(SYS_fadvise64, fd, at, size, advice) == 0 ? 0 : errno;
}
int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
  if (stops(Call::kWrite, fd)) return -1;  // promises nothing, so that nothing is kept
  return answer(raw(SYS_sync_file_range, fd, at, size, flags));
}
ssize_t copy_file_range(int from, off64_t* from_at, int fd, off64_t* at, size_t size, unsigned flags) {
  if (stops(Call::kWrite, fd)) return -1;
  const auto begin = static_cast<uint64_t>(*at);
  const ssize_t moved = raw(SYS_copy_file_range, from, from_at, fd, at, size, flags);
  if (moved > 0 && disk != nullptr) disk->note(fd, {begin, begin + static_cast<uint64_t>(moved)});
  return moved;
}
int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  const bool clones = request == FICLONE || request == FICLONERANGE;
  if (clones && stops(Call::kWrite, fd)) return -1;
  const int done = answer(raw(SYS_ioctl, fd, request, argument));
  if (done == 0 && clones && disk != nullptr) disk->note(fd, {0, UINT64_MAX});
  return done;
}
int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  if (command == F_DUPFD_CLOEXEC && stops(Call::kOpen, fd)) return -1;
  return answer(raw(SYS_fcntl, fd, command, argument));
}

}  // extern "C"
