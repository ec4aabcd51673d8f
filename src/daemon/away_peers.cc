// SPDX-License-Identifier: Apache-2.0
#include "daemon/away_peers.h"

#include <algorithm>

namespace tideway::daemon {

void AwayPeers::on_away(const std::string& peer, const job::JobId& job, Time now) {
  on_left(job);
  jobs_[job] = peer;
  ++away_.try_emplace(peer, Away{now + kPauseFirst}).first->second.jobs;
}

void AwayPeers::on_left(const job::JobId& job) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  if (const auto away = away_.find(found->second); away != away_.end()) --away->second.jobs;
  jobs_.erase(found);
}

bool AwayPeers::wants_dial(const std::string& peer, Time now) const {
  const auto found = away_.find(peer);
  return found != away_.end() && now >= found->second.dials_at;
}

void AwayPeers::on_dial(const std::string& peer) {
  const auto found = away_.find(peer);
  if (found != away_.end()) found->second.dials_at = kNever;
}

// A random quarter less, so that the gateways of a site that comes back are not dialled by all others at once.
void AwayPeers::on_dial_failed(const std::string& peer, Time now) {
  const auto found = away_.find(peer);
  if (found == away_.end()) return;
  Away& away = found->second;
  away.dials_at = now + away.pause - Duration(static_cast<int64_t>(random_.below(static_cast<uint64_t>(away.pause.count() / 4) + 1)));
  away.pause = std::min(away.pause * 2, kPauseMax);
}

std::vector<job::JobId> AwayPeers::on_back(const std::string& peer) {
  std::vector<job::JobId> waited;
  std::erase_if(jobs_, [&](const auto& one) {
    if (one.second != peer) return false;
    waited.push_back(one.first);
    return true;
  });
  away_.erase(peer);
  return waited;
}

std::vector<std::string> AwayPeers::peers() const {
  std::vector<std::string> names;
  for (const auto& [peer, away] : away_) names.push_back(peer);
  return names;
}

Time AwayPeers::next_deadline() const {
  Time next = kNever;
  for (const auto& [peer, away] : away_) next = std::min(next, away.dials_at);
  return next;
}

void AwayPeers::tidy() {
  std::erase_if(away_, [](const auto& one) { return one.second.jobs == 0; });
}

}  // namespace tideway::daemon
