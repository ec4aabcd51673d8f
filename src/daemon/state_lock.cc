// SPDX-License-Identifier: Apache-2.0
#include "daemon/state_lock.h"

#include "base/log.h"
#include "base/operator_file.h"

#include <tideway/object_name.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace tideway::daemon {
namespace {

std::string own_words() {
  utsname host{};
  const bool is_known = ::uname(&host) == 0;
  return "process " + std::to_string(::getpid()) + " of host " + (is_known ? host.nodename : "?");
}

std::string words_in(int file) {
  std::array<char, 256> room{};
  const ssize_t size = ::pread(file, room.data(), room.size(), 0);
  return size > 0 ? to_display(std::string_view(room.data(), static_cast<size_t>(size))) : std::string();
}

}  // namespace

Result<StateLock> StateLock::take(const std::string& folder) {
  const std::string path = folder + '/' + std::string(kFile);
  Descriptor file(open_operator_file(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600));
  if (const int error = -file.get(); error == ENOSPC || error == EDQUOT)
    return Error{Fault::kStoreUnavailable, "the state folder's lock " + to_display(path) + ": " + std::strerror(error), "make room on the disk that has state_dir"};
  if (!file.is_open())
    return Error{Fault::kConfigInvalid, "the state folder's lock " + to_display(path) + ": " + text_of_open_error(-file.get()),
                 "make the directory named by state_dir in [site], owned by who runs tidewayd"};
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return Error{Fault::kConfigInvalid, "the state folder's lock " + to_display(path) + ": " + std::strerror(errno), "put state_dir on a local disk"};
    const std::string holder = words_in(file.get());
    return Error{Fault::kStateLocked, "the state folder " + to_display(folder) + " belongs to another gateway that runs" + (holder.empty() ? "" : ": " + holder),
                 "end that one, or give this one a state_dir of its own"};
  }
  if (const std::string former = words_in(file.get()); !former.empty()) log::info("state_taken_over", "from=\"" + former + "\" why=\"it did not end in order\"");
  const std::string words = own_words();  // for people alone: where the disk takes none, the lock is held all the same
  const bool is_told = ::ftruncate(file.get(), 0) == 0 && ::pwrite(file.get(), words.data(), words.size(), 0) == static_cast<ssize_t>(words.size());
  if (!is_told) log::warning("state_lock_unnamed", "why=\"" + std::string(std::strerror(errno)) + '"');
  return StateLock(std::move(file));
}

// What an orderly end leaves is empty.
StateLock::~StateLock() {
  if (file_.is_open() && ::ftruncate(file_.get(), 0) != 0) log::debug("state_lock_kept_its_words", std::strerror(errno));
}

}  // namespace tideway::daemon
