// SPDX-License-Identifier: Apache-2.0
#include "gate/burst_table.h"

#include <algorithm>

namespace tideway::gate {

size_t BurstTable::index_of(uint64_t training) const {
  const auto found = std::ranges::find(config_.trainings, training, &TrainingConfig::id);
  return static_cast<size_t>(found - config_.trainings.begin());
}

LinkSet BurstTable::links_of(size_t training, uint32_t destination) const {
  LinkSet links = 0;
  for (const size_t link : config_.trainings[training].links)
    if (destination == 0 || config_.link_sites[link] == destination) links |= LinkSet{1} << link;
  return links;
}

// The announced one, else when the burst should be over and three sigma more, else kTtlDefault.
Duration BurstTable::ttl(const PhaseDetails& details) const {
  Duration ttl = kTtlDefault;
  if (details.ttl > Duration::zero()) ttl = details.ttl;
  else if (details.duration > Duration::zero()) ttl = details.duration + 3 * details.jitter;
  return std::min(ttl, config_.ttl_max);
}

EventFate BurstTable::on_event(Time now, const PhaseEvent& event) {
  const size_t training = index_of(event.training);
  if (training == config_.trainings.size()) return EventFate::kUnknownTraining;
  const LinkSet links = links_of(training, event.destination);
  if (links == 0) return EventFate::kUnknownDestination;
  on_time(now);
  const auto found = std::ranges::find_if(bursts_, [&](const Burst& burst) {
    return burst.training == training && burst.member == event.member;
  });
  switch (event.kind) {
    case PhaseKind::kBegin:
      if (found != bursts_.end()) {
        found->links |= links;
        found->until = now + ttl(event.details);
        return EventFate::kTaken;
      }
      if (bursts_.size() == kBurstsMax) return EventFate::kFull;
      bursts_.push_back({static_cast<uint16_t>(training), event.member, links, now + ttl(event.details)});
      return EventFate::kTaken;
    case PhaseKind::kAlive:
      if (found == bursts_.end()) return EventFate::kNotBegun;
      found->until = now + ttl(event.details);
      return EventFate::kTaken;
    case PhaseKind::kEnd:
      if (found == bursts_.end()) return EventFate::kNotBegun;
      found->links &= ~links;
      if (found->links == 0) bursts_.erase(found);
      return EventFate::kTaken;
    case PhaseKind::kPredict:
    case PhaseKind::kIteration: return EventFate::kTaken;  // the predictor's
  }
  return EventFate::kTaken;
}

void BurstTable::on_time(Time now) {
  expired_ += std::erase_if(bursts_, [now](const Burst& burst) { return burst.until <= now; });
}

Time BurstTable::next_deadline() const {
  Time next = kNever;
  for (const Burst& burst : bursts_) next = std::min(next, burst.until);
  return next;
}

GateSignal BurstTable::signal(Time now, size_t link) const {
  GateSignal signal;
  for (const Burst& burst : bursts_) {
    if ((burst.links >> link & 1) == 0 || burst.until <= now || burst.until <= signal.closed_until) continue;
    signal.closed_until = burst.until;
    signal.reason = GateReason::kTraining;
    signal.training = burst.training;
  }
  return signal;
}

bool BurstTable::is_bursting(size_t training) const {
  return std::ranges::any_of(bursts_, [training](const Burst& burst) { return burst.training == training; });
}

}  // namespace tideway::gate
