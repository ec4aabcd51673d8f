// SPDX-License-Identifier: Apache-2.0
#include "base/operator_file.h"

#include "base/descriptor.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace tideway {
namespace {

constexpr int kLinksMax = 40;  // as the kernel has it

// The next component is the last one here. Empty ones and "." are left out.
void put_before(std::vector<std::string>& ahead, std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.rfind('/');
    const std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
    if (!name.empty() && name != ".") ahead.emplace_back(name);
    path = slash == path.npos ? std::string_view() : path.substr(0, slash);
  }
}

Descriptor start_of(std::string_view path) { return Descriptor(::open(path.starts_with('/') ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC)); }

// Its links lead to what has no name, such as a pipe.
bool is_procfs(int dir) {
  struct statfs about {};
  return ::fstatfs(dir, &about) == 0 && about.f_type == PROC_SUPER_MAGIC;
}

// Where a link of root or ourselves leads. Nothing: `name` is none; errno says what it is instead, or that the link is another's.
std::string target_of(int dir, const std::string& name) {
  const Descriptor link(::openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat facts {};
  if (!link.is_open() || ::fstat(link.get(), &facts) != 0) return {};
  const bool is_ours = facts.st_uid == 0 || facts.st_uid == ::geteuid();
  errno = S_ISLNK(facts.st_mode) ? ELOOP : ENOTDIR;
  if (!S_ISLNK(facts.st_mode) || !is_ours) return {};
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(link.get(), "", target.data(), target.size());
  if (size > 0) return {target.data(), static_cast<size_t>(size)};
  errno = ENOENT;
  return {};
}

}  // namespace

int open_operator_file(const std::string& path, int flags, unsigned mode) {
  if (path.empty()) return -ENOENT;
  std::vector<std::string> ahead;
  put_before(ahead, path);
  if (ahead.empty()) ahead.emplace_back(".");
  Descriptor dir = start_of(path);
  for (int links = 0; dir.is_open() && links <= kLinksMax;) {
    const std::string name = std::move(ahead.back());
    ahead.pop_back();
    const bool is_last = ahead.empty();
    Descriptor next(::openat(dir.get(), name.c_str(), (is_last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC, mode));
    if (next.is_open() && is_last) return next.release();
    if (next.is_open()) {
      dir = std::move(next);
      continue;
    }
    const bool may_be_link = errno == ELOOP || errno == ENOTDIR;
    if (!may_be_link || (is_last && (flags & O_NOFOLLOW) != 0)) return -errno;
    if (is_last && is_procfs(dir.get())) {
      const int fd = ::openat(dir.get(), name.c_str(), flags | O_CLOEXEC, mode);
      return fd >= 0 ? fd : -errno;
    }
    const std::string target = target_of(dir.get(), name);
    if (target.empty()) return -errno;
    if (target.starts_with('/')) dir = start_of(target);
    put_before(ahead, target);
    if (ahead.empty()) ahead.emplace_back(".");
    ++links;
  }
  return dir.is_open() ? -ELOOP : -errno;
}

std::string text_of_open_error(int error) {
  return error == ELOOP ? "a link on the way to it belongs neither to root nor to the user that runs tideway" : std::strerror(error);
}

}  // namespace tideway
