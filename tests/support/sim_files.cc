// SPDX-License-Identifier: Apache-2.0
#include "support/sim_files.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

namespace tideway::test {
namespace {

thread_local FileFault file_fault;
thread_local uint64_t file_calls = 0;

enum class Room : uint8_t { kNone, kTaken };  // a call that takes room may meet a full disk

// True: the call is not made, and answers with an error.
bool is_refused(Room room) {
  if (file_fault.at == 0 || ++file_calls != file_fault.at) return false;
  errno = room == Room::kTaken ? file_fault.error : EIO;
  return true;
}

long make_call(long number, auto... arguments) { return ::syscall(number, arguments...); }

}  // namespace

SimFiles::SimFiles(const FileFault& fault) {
  file_fault = fault;
  file_calls = 0;
}
SimFiles::~SimFiles() { file_fault = {}; }
bool SimFiles::was_hit() const { return file_calls >= file_fault.at; }

}  // namespace tideway::test

using namespace tideway::test;  // NOLINT(google-build-using-namespace): of this file alone

extern "C" {

int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
  va_end(more);
  return is_refused(Room::kTaken) ? -1 : static_cast<int>(make_call(SYS_openat, AT_FDCWD, path, flags, mode));
}
ssize_t pread64(int fd, void* bytes, size_t size, off64_t at) { return is_refused(Room::kNone) ? -1 : make_call(SYS_pread64, fd, bytes, size, at); }
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) { return is_refused(Room::kTaken) ? -1 : make_call(SYS_pwrite64, fd, bytes, size, at); }
int fdatasync(int fd) { return is_refused(Room::kTaken) ? -1 : static_cast<int>(make_call(SYS_fdatasync, fd)); }
int ftruncate64(int fd, off64_t size) noexcept { return is_refused(Room::kTaken) ? -1 : static_cast<int>(make_call(SYS_ftruncate, fd, size)); }
int unlink(const char* path) noexcept { return is_refused(Room::kNone) ? -1 : static_cast<int>(make_call(SYS_unlink, path)); }

}  // extern "C"
