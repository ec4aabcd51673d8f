// SPDX-License-Identifier: Apache-2.0
#include "daemon/send_queue.h"

namespace tideway::daemon {
namespace {

// Of what we send we know when it will be there.
bool is_to_be_sent(const job::Job& job) {
  const std::string &place = job.spec.destination, &peer = job.peer;
  const bool is_sent = place.size() > peer.size() && place.starts_with(peer) && place[peer.size()] == ':';
  return is_sent && !job::is_over(job.state) && job.state != job::State::kPaused && !job.is_recurring();
}

}  // namespace

SendQueue::Key SendQueue::key_of(const job::Job& job) {
  const job::Turn turn = job::turn_of(job.spec);
  Key key{.group = turn.group, .deadline = turn.deadline, .number = job.number};
  if (turn.group == job::Turn::Group::kOther) key.service = turn.service;
  if (job.state == job::State::kRunning) key.pace = Key::Pace::kRuns;
  return key;
}

SendQueue::Item SendQueue::item_of(const job::Job& job) {
  return {&job, job.spec.bytes, job.spec.deadline, job.spec.hurt_max.value_or(0), job.spec.rate_max, job.spec.service, job.is_at_risk};
}

void SendQueue::put(const job::Job& job) {
  if (!is_to_be_sent(job)) return;
  const Key key = key_of(job);
  items_[key] = item_of(job);
  Sum& sum = sums_[sum_index(key.group, key.service)];
  sum.bytes += job.spec.bytes;
  if (job.spec.bytes == Bytes()) ++sum.unknown;
}

void SendQueue::take(const job::Job& job) {
  const Key key = key_of(job);
  if (!is_to_be_sent(job) || items_.erase(key) == 0) return;
  Sum& sum = sums_[sum_index(key.group, key.service)];
  sum.bytes = Bytes(sum.bytes.count() - job.spec.bytes.count());
  if (job.spec.bytes == Bytes()) --sum.unknown;
}

}  // namespace tideway::daemon
