// SPDX-License-Identifier: Apache-2.0
#include "daemon/retention.h"

#include "base/log.h"
#include "crypto/random_bytes.h"
#include "daemon/supersede.h"
#include "session/address.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

// One that was there before we came has kept everything, and is not ours.
bool is_ours(const job::Job& job) {
  return job.state == job::State::kPublished && job.spec.checkpoint && !is_pointer(job) && job.spec.step && job.outcome && job.outcome->kept == 0 && job.removed == job::WallTime{};
}

}  // namespace

std::vector<job::JobId> superfluous(const CheckpointSeries::Jobs& jobs, const job::Job& newest) {
  std::vector<const job::Job*> there;
  for (const auto& [number, job] : jobs)
    if (is_ours(*job) && job->owner == newest.owner && place_above(job->spec.destination) == place_above(newest.spec.destination)) there.push_back(job);
  std::ranges::sort(there, [](const job::Job* a, const job::Job* b) { return *a->spec.step > *b->spec.step; });
  const uint32_t keep = there.empty() ? 0 : there.front()->spec.checkpoint->keep;  // as whoever spoke last wants it
  std::vector<job::JobId> gone;
  if (keep == 0) return gone;
  for (size_t i = there.size(); i > keep; --i) gone.push_back(there[i - 1]->id);
  return gone;
}

void Retention::on_published(const job::Job& job, session::Manners manners) {
  manners_ = manners;
  for (job::JobId& id : superfluous(table_.checkpoints().of(job.spec.series), job)) {
    const bool is_known = std::ranges::count(queue_, id) > 0 || (asked_ && asked_->job == id);
    if (!is_known && queue_.size() < kQueuedMax) queue_.push_back(std::move(id));
  }
}

void Retention::ask(const job::JobId& id, Time now) {
  const job::Job* job = table_.find(id);
  if (job == nullptr || !is_ours(*job)) return;
  const auto place = session::parse_address(job->spec.destination);
  const auto* remote = place.ok() ? std::get_if<session::RemoteAddress>(&place.value()) : nullptr;
  if (remote == nullptr || remote->name.is_root()) return;
  auto session = peers_.take(job->peer, {PeerSessions::Sharing::kShared, job::Class::kCheckpoint, manners_}, now);
  if (!session.ok()) return;  // the next publish asks again
  messages::RemoveTree order;
  crypto::random_bytes(order.transfer);
  order.root = remote->root;
  order.name = remote->name;
  order.tree_root = job->outcome->root;
  asked_ = Asked{id, session.value(), session.value()->remove(std::move(order)), now + kAnswerMax};
}

void Retention::end(job::WallTime wall, Time now) {
  const Asked ended = *std::exchange(asked_, {});
  const auto& outcome = ended.transfer->outcome;
  const std::string about = "job=" + ended.job;
  // What is not there any more, or is another one by now, is not to be asked for again either.
  const bool is_over = outcome && (outcome->ok() || outcome->error().fault == Fault::kSourceMissing || outcome->error().fault == Fault::kManifestMismatch);
  if (is_over) {
    table_.change(ended.job, wall, [&](job::Job& job) {
      job.removed = wall;
      return true;
    });
    log::info("checkpoint_removed", about);
  } else {
    const std::string why = outcome ? outcome->error().what : ended.session->is_over() ? ended.session->error().what : "the peer did not answer";
    log::warning("checkpoint_not_removed", about + " why=\"" + why + '"');
  }
  if (!outcome && !ended.session->is_over()) ended.session->cancel(*ended.transfer, {Fault::kCancelled, "no answer", ""});
  peers_.give_back(ended.session, now);
}

void Retention::turn(Time now, job::WallTime wall) {
  if (asked_ && (asked_->transfer->outcome || asked_->session->is_over() || now >= asked_->ends_at)) end(wall, now);
  while (!asked_ && !queue_.empty()) {
    const job::JobId next = std::move(queue_.front());
    queue_.pop_front();
    ask(next, now);
  }
}

}  // namespace tideway::daemon
