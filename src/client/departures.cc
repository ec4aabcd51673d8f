// SPDX-License-Identifier: Apache-2.0
#include "client/departures.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace tideway::client {
namespace {

constexpr uint32_t kComesOrGoes = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;

// What writers remove themselves, when they are through with it.
bool is_for_now(std::string_view name) {
  constexpr std::array<std::string_view, 3> kForNow{".tmp", ".partial", ".incomplete"};
  return std::any_of(kForNow.begin(), kForNow.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

// A directory is there as long as something in it is.
bool is_among(const Listing& files, const std::string& name) {
  const auto next = files.lower_bound(name);
  if (next != files.end() && next->first == name) return true;
  const auto below = files.lower_bound(name + '/');
  return below != files.end() && below->first.starts_with(name + '/');
}

}  // namespace

Notices::Notices() : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

// The lookup goes without the mutex, since a file system that stands still may keep it for ever. What happened before is told to those who
// followed it then, and not to this one.
void Notices::follow(Departures& one, const std::string& dir, const std::string& name) {
  if (!inotify_.is_open()) return;
  {
    const std::lock_guard lock(mutex_);
    ++lookups_;
  }
  const int watch = ::inotify_add_watch(inotify_.get(), dir.c_str(), kComesOrGoes);
  const std::lock_guard lock(mutex_);
  --lookups_;
  drain();
  if (watch >= 0 && one.dirs_.emplace(watch, name).second) followed_.emplace(watch, &one);
  end_idle();
}

void Notices::leave(const Departures& one) {
  const std::lock_guard lock(mutex_);
  for (const auto& [watch, name] : one.dirs_) {
    const auto [begin, end] = followed_.equal_range(watch);
    followed_.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == &one; }));
    idle_.insert(watch);
  }
  end_idle();
}

// A lookup under way may be about to find one of them again.
void Notices::end_idle() {
  if (lookups_ > 0) return;
  for (const int watch : idle_)
    if (!followed_.contains(watch)) ::inotify_rm_watch(inotify_.get(), watch);
  idle_.clear();
}

void Notices::drain() {
  alignas(inotify_event) std::array<char, 16384> room;
  for (ssize_t count = 0; inotify_.is_open() && (count = ::read(inotify_.get(), room.data(), room.size())) > 0;) {
    for (const char* at = room.data(); at < room.data() + count;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      pass_on(*event);
      at += sizeof *event + event->len;
    }
  }
}

void Notices::pass_on(const inotify_event& event) {
  const auto [begin, end] = followed_.equal_range(event.wd);
  for (auto one = begin; one != end; ++one) one->second->on_event(event);
}

Departures::Departures(std::shared_ptr<Notices> notices, const std::string& path) : notices_(std::move(notices)) { notices_->follow(*this, path, ""); }
Departures::~Departures() { notices_->leave(*this); }

bool Departures::follow(const std::string& path, const Listing& files) {
  std::set<std::string> below;
  for (const auto& [name, look] : files)
    for (size_t slash = name.find('/'); slash != name.npos && below.size() < kDirsMax; slash = name.find('/', slash + 1)) below.insert(name.substr(0, slash + 1));
  const size_t before = dirs_.size();
  for (const std::string& name : below) {
    std::string dir = path;
    notices_->follow(*this, dir.append("/").append(name), name);
  }
  return dirs_.size() > before;
}

void Departures::on_event(const inotify_event& event) {
  const auto dir = dirs_.find(event.wd);
  if (dir == dirs_.end() || event.len == 0 || departed_.size() + came_.size() + renames_.size() >= kNamesMax) return;
  const std::string name = dir->second + event.name;
  if ((event.mask & IN_CREATE) != 0) {
    if (departed_.erase(name) == 0) came_.insert(name);
  } else if ((event.mask & IN_MOVED_TO) != 0) {
    const auto rename = renames_.extract(event.cookie);
    if (rename) departed_.erase(rename.mapped().from);
    if (!rename || !rename.mapped().was_there) came_.insert(name);
  } else {
    const bool was_there = came_.erase(name) == 0;
    if ((event.mask & IN_MOVED_FROM) != 0) renames_[event.cookie] = {name, was_there};
    if (was_there && !is_for_now(name)) departed_.insert(name);
  }
}

std::optional<std::string> Departures::missing_in(const Listing& files) {
  const std::lock_guard lock(notices_->mutex_);
  notices_->drain();
  const auto missing = std::find_if(departed_.begin(), departed_.end(), [&](const std::string& name) { return !is_among(files, name); });
  return missing == departed_.end() ? std::nullopt : std::optional(*missing);
}

}  // namespace tideway::client
