// SPDX-License-Identifier: Apache-2.0
//
// Loaded in front of the C library, it kills its process (SIGKILL) before the call of number TIDEWAY_KILL_AT of those that change
// what lies on a disk, or with TIDEWAY_KILL_CALLS=reads of those that read it. So each call is a point at which a real process on
// a real file system can die. TIDEWAY_KILL_AT=K08#3 means the third call of that name (crash_points.h). Counted over all threads.
// The name of where it died is appended to the file TIDEWAY_KILL_LOG.
#define _GNU_SOURCE
#include "../support/crash_points.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long passed;

// `name` may be null: the file itself.
static void path_of(int fd, const char* name, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) length = 0;
  snprintf(path + length, (size_t)(PATH_MAX - length), "%s%s", name != NULL ? "/" : "", name != NULL ? name : "");
}

static const char* point_of(enum crash_call call, int fd, const char* path) {
  const char* const point = crash_point(call, path);
  char last[64];
  struct stat status;
  if (strncmp(point, "K08", 3) != 0 || fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof last) return point;
  const long got = syscall(SYS_pread64, fd, last, sizeof last, status.st_size - (off_t)sizeof last);
  return got == (long)sizeof last && crash_is_publishing(last, sizeof last) ? "K17 say that it is published next" : point;
}

static void die(const char* point, const char* path) {
  const char* const file = getenv("TIDEWAY_KILL_LOG");
  const int log = file != NULL ? open(file, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
  char line[PATH_MAX + 64];
  if (log >= 0) (void)!write(log, line, (size_t)snprintf(line, sizeof line, "%s: %s\n", point, path));
  kill(getpid(), SIGKILL);
}

static void pass(enum crash_call call, int fd, const char* name) {
  const char* const calls = getenv("TIDEWAY_KILL_CALLS");
  const char* const at = getenv("TIDEWAY_KILL_AT");
  if (at == NULL || (calls != NULL && strcmp(calls, "reads") == 0)) return;
  char path[PATH_MAX + 1];
  path_of(fd, name, path);
  const char* const point = point_of(call, fd, path);
  const char* const pass_of_it = strchr(at, '#');
  if (pass_of_it != NULL && strncmp(at, point, (size_t)(pass_of_it - at)) != 0) return;
  if (atomic_fetch_add(&passed, 1) + 1 == strtol(pass_of_it != NULL ? pass_of_it + 1 : at, NULL, 10)) die(point, path);
}

static void pass_reading(void) {
  const char* const calls = getenv("TIDEWAY_KILL_CALLS");
  const char* const at = getenv("TIDEWAY_KILL_AT");
  if (at == NULL || calls == NULL || strcmp(calls, "reads") != 0) return;
  if (atomic_fetch_add(&passed, 1) + 1 == strtol(at, NULL, 10)) die("reading", "");
}

#define REAL(name) ((__typeof__(name)*)dlsym(RTLD_NEXT, #name))

int fsync(int fd) { pass(kCrashSyncAll, fd, NULL); return REAL(fsync)(fd); }
int fdatasync(int fd) { pass(kCrashSync, fd, NULL); return REAL(fdatasync)(fd); }
int syncfs(int fd) { pass(kCrashSync, fd, NULL); return REAL(syncfs)(fd); }
int ftruncate(int fd, off_t size) { pass(kCrashResize, fd, NULL); return REAL(ftruncate)(fd, size); }
int fchmod(int fd, mode_t mode) { pass(kCrashAttribute, fd, NULL); return REAL(fchmod)(fd, mode); }
int futimens(int fd, const struct timespec times[2]) { pass(kCrashAttribute, fd, NULL); return REAL(futimens)(fd, times); }
int mkdirat(int dir, const char* name, mode_t mode) { pass(kCrashMake, dir, name); return REAL(mkdirat)(dir, name, mode); }
int unlinkat(int dir, const char* name, int flags) { pass(kCrashRemove, dir, name); return REAL(unlinkat)(dir, name, flags); }
int symlinkat(const char* to, int dir, const char* name) { pass(kCrashMake, dir, name); return REAL(symlinkat)(to, dir, name); }
int renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  pass(kCrashMove, from_dir, from);
  return REAL(renameat2)(from_dir, from, to_dir, to, flags);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) { pass(kCrashWrite, fd, NULL); return REAL(pwrite)(fd, bytes, size, at); }
ssize_t write(int fd, const void* bytes, size_t size) {
  struct stat status;
  if (fd > STDERR_FILENO && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && getenv("TIDEWAY_KILL_AT") != NULL) {
    char path[PATH_MAX + 1];
    path_of(fd, NULL, path);
    if (strstr(path, "/.tideway/") != NULL) pass(kCrashWrite, fd, NULL);  // what is appended to staging, and no log
  }
  return REAL(write)(fd, bytes, size);
}
ssize_t pread(int fd, void* bytes, size_t size, off_t at) { pass_reading(); return REAL(pread)(fd, bytes, size, at); }
