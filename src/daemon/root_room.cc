// SPDX-License-Identifier: Apache-2.0
#include "daemon/root_room.h"

#include "storage/sweep.h"

#include <chrono>
#include <utility>

namespace tideway::daemon {

RootRoom::Work RootRoom::work_at(const std::string& name, const session::RootPtr& root, Duration staging_ttl) {
  const auto look = [root] {
    const auto free = root->free_space();
    return Seen{free.ok() ? free.value().count() : 0, storage::staged_bytes(*root).count()};
  };
  return {look, [name, root, staging_ttl] { session::sweep_root(name, *root, staging_ttl); }};
}

RootRoom::RootRoom(std::map<std::string, Work> roots, Duration tidy_every) {
  for (auto& [name, work] : roots) {
    auto root = std::make_shared<Root>();
    root->work = std::move(work);
    root->tidy_every = tidy_every;
    lookers_[name] = {root, std::thread([root] { run(*root); })};
  }
}

RootRoom::~RootRoom() {
  for (auto& [name, looker] : lookers_) {
    bool hangs = false;
    {
      std::unique_lock lock(looker.root->mutex);
      looker.root->must_end = true;
      looker.root->changed.wait_for(lock, kPatience, [&root = *looker.root] { return !root.is_asked && !root.is_tidying; });
      hangs = looker.root->is_asked || looker.root->is_tidying;
    }
    looker.root->changed.notify_all();
    if (hangs) looker.thread.detach();
    else looker.thread.join();
  }
}

void RootRoom::run(Root& root) {
  std::unique_lock lock(root.mutex);
  for (auto tidies_at = std::chrono::steady_clock::now() + root.tidy_every; !root.must_end;) {
    if (root.changed.wait_until(lock, tidies_at, [&] { return root.is_asked || root.must_end; })) {
      if (root.must_end) return;
      lock.unlock();
      const Seen seen = root.work.look();
      lock.lock();
      root.seen = seen;
      root.is_asked = false;
      root.changed.notify_all();
    }
    if (root.must_end || std::chrono::steady_clock::now() < tidies_at) continue;
    root.is_tidying = true;
    lock.unlock();
    if (root.work.tidy) root.work.tidy();
    lock.lock();
    root.is_tidying = false;
    root.changed.notify_all();
    tidies_at = std::chrono::steady_clock::now() + root.tidy_every;
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
