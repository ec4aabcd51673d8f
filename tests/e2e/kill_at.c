// SPDX-License-Identifier: Apache-2.0
//
// Loaded in front of the C library, it kills its process (SIGKILL) before the call of number TIDEWAY_KILL_AT of those that change
// what lies on a disk, or with TIDEWAY_KILL_CALLS=reads of those that read it. So each call is a point at which a real process on
// a real file system can die. Counted over all threads.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long passed;

static void pass(int reads) {
  const char* const calls = getenv("TIDEWAY_KILL_CALLS");
  const char* const at = getenv("TIDEWAY_KILL_AT");
  if (at == NULL || reads != (calls != NULL && strcmp(calls, "reads") == 0)) return;
  if (atomic_fetch_add(&passed, 1) + 1 == strtol(at, NULL, 10)) kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(name)*)dlsym(RTLD_NEXT, #name))

int fsync(int fd) { pass(0); return REAL(fsync)(fd); }
int fdatasync(int fd) { pass(0); return REAL(fdatasync)(fd); }
int syncfs(int fd) { pass(0); return REAL(syncfs)(fd); }
int ftruncate(int fd, off_t size) { pass(0); return REAL(ftruncate)(fd, size); }
int fchmod(int fd, mode_t mode) { pass(0); return REAL(fchmod)(fd, mode); }
int futimens(int fd, const struct timespec times[2]) { pass(0); return REAL(futimens)(fd, times); }
int mkdirat(int dir, const char* name, mode_t mode) { pass(0); return REAL(mkdirat)(dir, name, mode); }
int unlinkat(int dir, const char* name, int flags) { pass(0); return REAL(unlinkat)(dir, name, flags); }
int symlinkat(const char* to, int dir, const char* name) { pass(0); return REAL(symlinkat)(to, dir, name); }
int renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  pass(0);
  return REAL(renameat2)(from_dir, from, to_dir, to, flags);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) { pass(0); return REAL(pwrite)(fd, bytes, size, at); }
ssize_t pread(int fd, void* bytes, size_t size, off_t at) { pass(1); return REAL(pread)(fd, bytes, size, at); }
