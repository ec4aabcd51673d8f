// SPDX-License-Identifier: Apache-2.0
#include "daemon/root_room.h"

#include "storage/sweep.h"

#include <chrono>
#include <utility>

namespace tideway::daemon {

RootRoom::Look RootRoom::look_at(const session::RootPtr& root) {
  return [root] {
    const auto free = root->free_space();
    return Seen{free.ok() ? free.value().count() : 0, storage::staged_bytes(*root).count()};
  };
}

RootRoom::RootRoom(std::map<std::string, Look> roots) {
  for (auto& [name, look] : roots) {
    auto root = std::make_shared<Root>();
    root->look = std::move(look);
    lookers_[name] = {root, std::thread([root] { run(*root); })};
  }
}

RootRoom::~RootRoom() {
  for (auto& [name, looker] : lookers_) {
    bool hangs = false;
    {
      const std::scoped_lock lock(looker.root->mutex);
      looker.root->must_end = true;
      hangs = looker.root->is_asked;
    }
    looker.root->changed.notify_all();
    if (hangs) looker.thread.detach();
    else looker.thread.join();
  }
}

void RootRoom::run(Root& root) {
  std::unique_lock lock(root.mutex);
  while (true) {
    root.changed.wait(lock, [&] { return root.is_asked || root.must_end; });
    if (root.must_end) return;
    lock.unlock();
    const Seen seen = root.look();
    lock.lock();
    root.seen = seen;
    root.is_asked = false;
    root.changed.notify_all();
  }
}

// Who did not answer the time before is not waited for.
std::map<std::string, RootRoom::Seen> RootRoom::look() {
  std::vector<Root*> asked;
  for (auto& [name, looker] : lookers_) {
    const std::scoped_lock lock(looker.root->mutex);
    if (std::exchange(looker.root->is_asked, true)) continue;
    asked.push_back(looker.root.get());
    looker.root->changed.notify_all();
  }
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (Root* root : asked) {
    std::unique_lock lock(root->mutex);
    root->changed.wait_until(lock, until, [&] { return !root->is_asked; });
  }
  std::map<std::string, Seen> seen;
  for (const auto& [name, looker] : lookers_) {
    const std::scoped_lock lock(looker.root->mutex);
    if (looker.root->seen) seen[name] = *looker.root->seen;
  }
  return seen;
}

}  // namespace tideway::daemon
