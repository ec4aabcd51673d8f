// SPDX-License-Identifier: Apache-2.0
//
// What is taken away from a checkpoint between the call that hands it over and the moment it is held: a trainer may clean up before the
// queue's thread has looked, and what is left may look complete. The kernel takes it down (inotify), so the call costs the trainer a few
// microseconds, however many files there are. A file that gets another name in its directory, as writers do with what is for now, has not
// departed, and neither has one that came after the call.
//
// Of what lies deeper than the checkpoint's own directory, departures are known from the first look of the thread on; where inotify has no
// room, none are, and the gateway's rule is what remains.
// Thread: a Departures is made by any and then the queue's; the Notices they share any, under a mutex never held while waiting.
#pragma once
#include "base/descriptor.h"
#include "client/pin.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

struct inotify_event;

namespace tideway::client {

class Departures;

// What the kernel tells of all directories that a client follows.
class Notices {
 public:
  Notices();

 private:
  friend class Departures;
  void follow(Departures& one, const std::string& dir, const std::string& name);  // `name`: of the directory in the checkpoint, with a slash, or empty
  void leave(const Departures& one);
  void end_idle();
  void drain();
  void pass_on(const inotify_event& event);

  const Descriptor inotify_;
  std::mutex mutex_;
  std::multimap<int, Departures*> followed_;  // guarded by mutex_, as all below; by the numbers of inotify
  std::set<int> idle_;                        // nobody's any more
  size_t lookups_ = 0;                        // under way
};

class Departures {
 public:
  static constexpr size_t kDirsMax = 256;     // of one checkpoint
  static constexpr size_t kNamesMax = 10'000;  // that came or went

  // `path`: of the checkpoint; a file alone departs with its path.
  Departures(std::shared_ptr<Notices> notices, const std::string& path);
  Departures(const Departures&) = delete;
  Departures& operator=(const Departures&) = delete;
  ~Departures();

  // From now on the directories below, too. True: there are some that were not followed before.
  bool follow(const std::string& path, const Listing& files);
  // One that was there at the call and is not among these any more.
  std::optional<std::string> missing_in(const Listing& files);

 private:
  friend class Notices;
  void on_event(const inotify_event& event);

  const std::shared_ptr<Notices> notices_;
  // Guarded by the mutex of the notices, like all that follows.
  std::map<int, std::string> dirs_;               // what is followed, by its number
  std::set<std::string> departed_, came_;         // since the call
  struct Rename {
    std::string from;
    bool was_there = false;  // at the call
  };
  std::map<uint32_t, Rename> renames_;            // that left and did not arrive yet, by what inotify calls them
};

}  // namespace tideway::client
