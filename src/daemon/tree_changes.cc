// SPDX-License-Identifier: Apache-2.0
#include "daemon/tree_changes.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace tideway::daemon {
namespace {

constexpr uint32_t kGrows = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE;

}  // namespace

TreeChanges::TreeChanges(Source source) : inotify_(source == Source::kInotify ? ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1) {}

// A directory that was made anew under its old name gets another number.
bool TreeChanges::add(const std::string& path) {
  const int watch = ::inotify_add_watch(inotify_.get(), path.c_str(), kGrows);
  if (watch < 0) return false;
  if (watched_.insert(watch).second) is_blind_ = true;  // until the next look
  return true;
}

void TreeChanges::follow(const std::string& top, const checkpoint::Listing& listing) {
  is_blind_ = false;
  std::set<std::string> dirs{top};
  for (const checkpoint::File& file : listing.files)
    for (size_t slash = file.path.find('/'); slash != file.path.npos; slash = file.path.find('/', slash + 1)) dirs.insert(top + '/' + file.path.substr(0, slash));
  bool sees_all = inotify_.is_open() && dirs.size() <= kDirsMax;
  if (sees_all)
    for (const std::string& dir : dirs) sees_all &= add(dir);
  is_blind_ |= !sees_all;
}

bool TreeChanges::take() {
  std::array<char, 4096> room;
  bool has_changed = is_blind_;
  while (inotify_.is_open() && ::read(inotify_.get(), room.data(), room.size()) > 0) has_changed = true;
  return has_changed;
}

}  // namespace tideway::daemon
