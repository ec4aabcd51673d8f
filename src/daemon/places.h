// SPDX-License-Identifier: Apache-2.0
//
// Which of the jobs that wait for a peer starts next. Four run with it at a time, and those whose turn is better do not wait for lesser
// ones: each counts those before it alone. One of each rank (restores, deadlines, and each class of the rest) may run whoever
// else does, so that none waits for ever behind better ones that keep coming.
// Thread: control. Pure.
#pragma once
#include "daemon/job_table.h"
#include "daemon/peer_sessions.h"

#include <set>
#include <vector>

namespace tideway::daemon {

// What shares lanes shares their rate.
PeerSessions::Sharing sharing_of(const job::Spec& spec);

struct Places {
  static constexpr size_t kPerPeer = 4;
  static constexpr size_t kSkippedMax = 200;  // of a rank, that want a session of their own while none is free: a queue may be long

  std::vector<job::Turn> taken;                 // of those that run
  enum class Own : uint8_t { kFree, kTaken } own = Own::kFree;  // sessions for those that cannot share one

  bool are_free_for(const job::Turn& turn) const;
  // Null: none.
  const job::Job* next_of(const std::set<JobTable::Rank>& queued) const;
};

}  // namespace tideway::daemon
