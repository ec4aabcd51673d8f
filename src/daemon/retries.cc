// SPDX-License-Identifier: Apache-2.0
#include "daemon/retries.h"

namespace tideway::daemon {

void Retries::put(const job::JobId& id, Time at) {
  erase(id);
  at_[id] = at;
  order_.emplace(at, id);
}

void Retries::erase(const job::JobId& id) {
  const auto found = at_.find(id);
  if (found == at_.end()) return;
  order_.erase({found->second, id});
  at_.erase(found);
}

void Retries::hurry(std::vector<job::JobId> ids) {
  for (job::JobId& id : ids) hurried_.push_back(std::move(id));
}

void Retries::clear() {
  at_.clear();
  order_.clear();
  hurried_.clear();
}

std::optional<job::JobId> Retries::take_due(Time now) {
  while (!hurried_.empty()) {
    const job::JobId id = std::move(hurried_.front());
    hurried_.pop_front();
    if (!at_.contains(id)) continue;
    erase(id);
    return id;
  }
  if (order_.empty() || order_.begin()->first > now) return std::nullopt;
  const job::JobId id = order_.begin()->second;
  erase(id);
  return id;
}

Time Retries::next_deadline() const { return !hurried_.empty() ? Time{} : order_.empty() ? kNever : order_.begin()->first; }

}  // namespace tideway::daemon
