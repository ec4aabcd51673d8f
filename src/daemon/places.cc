// SPDX-License-Identifier: Apache-2.0
#include "daemon/places.h"

#include "engine/layout.h"
#include "transfer/sender.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

using Group = job::Turn::Group;

// Pulls of honest peers are never refused for what they name ahead, however many run: four of restores and of each other class, and those with deadlines,
// which have sessions of their own.
constexpr size_t kPullsMax = 4 * Places::kPerPeer + PeerSessions::kOwnMax;
static_assert(kPullsMax * transfer::kUnresolvedMax <= engine::kPeerEntriesMax);

bool is_same_rank(const job::Turn& a, const job::Turn& b) { return a.group == b.group && (a.group != Group::kOther || a.service == b.service); }

// The least turn of the ranks behind it.
job::Turn after(const job::Turn& turn) {
  if (turn.group == Group::kRestore) return {Group::kDeadline, job::WallTime::min(), job::Class::kRestore};
  if (turn.group == Group::kDeadline) return {Group::kOther, {}, job::Class::kRestore};
  return {Group::kOther, {}, static_cast<job::Class>(static_cast<uint8_t>(turn.service) + 1)};
}

}  // namespace

PeerSessions::Sharing sharing_of(const job::Spec& spec) {
  const bool has_own_deadline = spec.deadline && !spec.checkpoint;  // checkpoints come one after the other, and share
  return spec.rate_max.is_unlimited() && !spec.weight && !has_own_deadline ? PeerSessions::Sharing::kShared : PeerSessions::Sharing::kOwn;
}

bool Places::are_free_for(const job::Turn& turn) const {
  const auto is_before = [&](const job::Turn& one) { return one <= turn; };
  const auto is_like = [&](const job::Turn& one) { return is_same_rank(one, turn); };
  return static_cast<size_t>(std::ranges::count_if(taken, is_before)) < kPerPeer || std::ranges::none_of(taken, is_like);
}

// What has no place leaves none for what comes later in its rank, so whole ranks are passed over.
const job::Job* Places::next_of(const std::set<JobTable::Rank>& queued) const {
  size_t skipped = 0;
  for (auto rank = queued.begin(); rank != queued.end();) {
    const job::Turn turn = std::get<job::Turn>(*rank);
    const job::Job* const job = std::get<const job::Job*>(*rank);
    const bool is_free = are_free_for(turn);
    if (is_free && (own == Own::kFree || sharing_of(job->spec) == PeerSessions::Sharing::kShared)) return job;
    if (is_free && ++skipped < kSkippedMax) {
      ++rank;
      continue;
    }
    skipped = 0;
    rank = queued.lower_bound({after(turn), 0, nullptr});
  }
  return nullptr;
}

}  // namespace tideway::daemon
