// SPDX-License-Identifier: Apache-2.0
//
// Jobs that are gathered from several sources before their own transfer begins.
#include "daemon/job_runner.h"

#include "base/log.h"

#include <algorithm>

namespace tideway::daemon {

bool JobRunner::begin_gather(const job::Job& job, Time now, job::WallTime wall) {
  const Gather::Parts parts{gateway_, peers_};
  auto sources = Gather::sources_of(job, parts);
  std::erase_if(sources, [&](const session::RemoteAddress& source) { return shares_.is_paused(source.peer, wall); });
  if (sources.size() < 2) return false;
  log::info("gather_started", "job=" + job.id + " sources=" + std::to_string(sources.size()));
  gathering_.push_back({job.id, job.peer, job::turn_of(job.spec), now, std::make_unique<Gather>(parts, job, std::move(sources), manners_of(job.spec.service))});
  return true;
}

void JobRunner::leave_closed_links(Time now, job::WallTime wall) {
  for (Gathering& gathering : gathering_)
    gathering.gather->leave_closed([&](const std::string& peer) { return shares_.is_paused(peer, wall); }, now);
}

// The source that was best goes on alone.
void JobRunner::turn_gathers(Time now, job::WallTime wall) {
  for (auto place = gathering_.begin(); place != gathering_.end();) {
    const auto here = place++;
    here->gather->turn(now);
    if (!here->gather->is_over()) continue;
    here->gather->leave(now);
    std::list<Gathering> ended;
    ended.splice(ended.begin(), gathering_, here);
    const Gathering& gathered = ended.front();
    for (const job::SourceShare& share : gathered.gather->shares())
      log::info("gathered", "job=" + gathered.id + " source=\"" + to_display(std::string_view(share.source)) + "\" bytes=" + std::to_string(share.bytes.count()));
    if (const auto best = gathered.gather->best())
      table_.change(gathered.id, wall, [&](job::Job& job) { return job::prefer_source(job, best->source, best->peer); });
    launch(gathered.id, now, wall, &gathered);
  }
}

bool JobRunner::leave_gather(const job::JobId& id, Time now) {
  const auto found = std::ranges::find(gathering_, id, &Gathering::id);
  if (found == gathering_.end()) return false;
  found->gather->leave(now);
  gathering_.erase(found);
  return true;
}

const Gather* JobRunner::gather_of(const job::JobId& id) const {
  const auto found = std::ranges::find(gathering_, id, &Gathering::id);
  return found == gathering_.end() ? nullptr : found->gather.get();
}

}  // namespace tideway::daemon
