// SPDX-License-Identifier: Apache-2.0
#include "client/pin.h"

#include "base/descriptor.h"
#include "client/places.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace tideway::client {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCopiedMax = 1 << 20;  // bytes; markers, JSON and trackers are below it
constexpr mode_t kFolderMode = 02770;     // at least; setgid, so that what is below belongs to the gateway's group, too
constexpr size_t kEntriesMax = 1'000'000; // of one checkpoint
constexpr size_t kCopyPart = 64 << 10;

FileLook look_of(const struct stat& status) {
  return {static_cast<uint64_t>(status.st_size), int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec, {}};
}

std::string target_of(const std::string& link) {
  std::array<char, PATH_MAX> text;
  const ssize_t size = ::readlink(link.c_str(), text.data(), text.size());
  return {text.data(), size < 0 ? 0 : static_cast<size_t>(size)};
}

Descriptor open_file(const std::string& path, int flags) { return Descriptor(::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, 0600)); }

bool copy_bytes(int from, int to) {
  std::array<char, kCopyPart> part;
  ssize_t count = 0;
  while ((count = ::read(from, part.data(), part.size())) > 0) {
    for (ssize_t done = 0; done < count;) {
      const ssize_t wrote = ::write(to, part.data() + done, static_cast<size_t>(count - done));
      if (wrote < 0) return false;
      done += wrote;
    }
  }
  return count == 0;
}

// Rules of completeness compare times. `mode`: what it has besides.
bool keep_attributes(int from, int to, mode_t mode) {
  struct stat status {};
  if (::fstat(from, &status) != 0 || ::fchmod(to, (status.st_mode & 0777U) | mode) != 0) return false;
  const timespec times[2] = {status.st_atim, status.st_mtim};
  return ::futimens(to, times) == 0;
}

bool hold_file(const std::string& source, const std::string& target, uint64_t size) {
  const Descriptor from = open_file(source, O_RDONLY);
  if (!from.is_open()) return false;
  {
    const Descriptor to = open_file(target, O_WRONLY | O_CREAT | O_EXCL);
    if (!to.is_open()) return false;
    if (::ioctl(to.get(), FICLONE, from.get()) == 0 || (size <= kCopiedMax && copy_bytes(from.get(), to.get()))) return keep_attributes(from.get(), to.get(), 0);
  }
  return size > kCopiedMax && ::unlink(target.c_str()) == 0 && ::link(source.c_str(), target.c_str()) == 0;
}

bool hold(const std::string& source, const std::string& target, const FileLook& look) {
  return look.target.empty() ? hold_file(source, target, look.size) : ::symlink(look.target.c_str(), target.c_str()) == 0;
}

// When nothing more is put into it.
bool finish_folder(const std::string& source, const std::string& target) {
  const Descriptor from(::open(source.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), to = open_file(target, O_RDONLY | O_DIRECTORY);
  return from.is_open() && to.is_open() && keep_attributes(from.get(), to.get(), kFolderMode);
}

// Those in a name: all that is before its last slash.
bool make_folders(const std::string& top, const std::string& name) {
  for (size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    const std::string folder = top + '/' + name.substr(0, slash);
    if (::mkdir(folder.c_str(), 0700) != 0) {
      if (errno != EEXIST) return false;
    } else if (::chmod(folder.c_str(), kFolderMode) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

Listing list_files(const std::string& path, std::optional<std::string>& trouble) {
  Listing found;
  struct stat status {};
  trouble.reset();
  if (::lstat(path.c_str(), &status) != 0) {
    trouble = path + ": " + std::strerror(errno);
  } else if (!S_ISDIR(status.st_mode)) {
    found[""] = look_of(status);
  } else {
    std::error_code error;
    const auto end = fs::recursive_directory_iterator();
    for (auto at = fs::recursive_directory_iterator(path, error); !error && at != end && found.size() < kEntriesMax; at.increment(error)) {
      const std::string& one = at->path().native();
      if (::lstat(one.c_str(), &status) != 0) continue;
      const std::string name = one.substr(path.size() + 1);
      if (S_ISDIR(status.st_mode)) found[name + '/'] = {};
      else if (S_ISREG(status.st_mode)) found[name] = look_of(status);
      else if (S_ISLNK(status.st_mode)) (found[name] = look_of(status)).target = target_of(one);
    }
    if (error) trouble = path + ": " + error.message();
  }
  return found;
}

std::string pins_of(const std::string& root) { return root + "/.tideway/pins"; }

std::optional<std::string> make_pin(const std::string& path, const Listing& listing, const std::string& into) {
  const std::string draft = into + ".part";
  bool is_held = ::mkdir(draft.c_str(), 0700) == 0 && ::chmod(draft.c_str(), kFolderMode) == 0;
  for (auto at = listing.begin(); is_held && at != listing.end(); ++at) {
    const auto& [name, look] = *at;
    std::string source = path, target = draft;
    if (!name.empty()) source.append("/").append(name);
    target.append("/").append(name.empty() ? name_of(path) : name);
    is_held = make_folders(draft, name) && (name.ends_with('/') || hold(source, target, look));
  }
  for (auto at = listing.rbegin(); is_held && at != listing.rend(); ++at)  // what is in one stands behind it
    if (at->first.ends_with('/')) is_held = finish_folder(path + '/' + at->first, draft + '/' + at->first);
  is_held = is_held && (listing.contains("") || finish_folder(path, draft));
  if (is_held && ::rename(draft.c_str(), into.c_str()) == 0) return std::nullopt;
  std::string trouble = into + ": " + std::strerror(errno);
  drop_pin(draft);
  return trouble;
}

void drop_pin(const std::string& pin) {
  std::error_code ignored;
  fs::remove_all(pin, ignored);
}

}  // namespace tideway::client
