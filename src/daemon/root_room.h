// SPDX-License-Identifier: Apache-2.0
//
// How much room there is below each root, and how much of it staging takes; and what is tidied there from time to time. A call to a disk that hangs
// does not come back, so each root is looked at by a thread of its own, for whom nobody waits longer than a moment.
// Thread: control; the looks on theirs.
#pragma once
#include "session/roots.h"
#include <tideway/time.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tideway::daemon {

class RootRoom {
 public:
  static constexpr Duration kPatience = std::chrono::milliseconds(200);
  static constexpr Duration kTidyEvery = std::chrono::hours(1);  // what is to go has lain there for days

  struct Seen {
    uint64_t free = 0;    // bytes that an ordinary user may still write
    uint64_t staged = 0;  // bytes that are durable in staging
  };
  struct Work {
    std::function<Seen()> look;
    std::function<void()> tidy = {};  // empty: nothing is to be done
  };
  // `name`: for the log. What nobody came back to for `staging_ttl` is tidied away.
  static Work work_at(const std::string& name, const session::RootPtr& root, Duration staging_ttl);

  explicit RootRoom(std::map<std::string, Work> roots, Duration tidy_every = kTidyEvery);  // by name
  ~RootRoom();  // a look that hangs is left to itself
  RootRoom(const RootRoom&) = delete;
  RootRoom& operator=(const RootRoom&) = delete;

  // As of now; of a disk that does not answer at once, as it was when it last did, and nothing of one that never has.
  std::map<std::string, Seen> look();

 private:
  struct Root {
    Work work;
    Duration tidy_every{};
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Seen> seen;
    bool is_asked = false, is_tidying = false, must_end = false;
  };
  struct Looker {
    std::shared_ptr<Root> root;  // the thread's, too, which may outlive us
    std::thread thread;
  };
  static void run(Root& root);

  std::map<std::string, Looker> lookers_;
};

}  // namespace tideway::daemon
