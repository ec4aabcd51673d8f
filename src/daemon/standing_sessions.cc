// SPDX-License-Identifier: Apache-2.0
#include "daemon/standing_sessions.h"

#include <algorithm>
#include <utility>

namespace tideway::daemon {

void StandingSessions::turn(Time now, const std::set<Line>& wanted) {
  std::erase_if(held_, [&](const auto& one) {
    if (wanted.contains(one.first)) return false;
    if (one.second.session != nullptr) peers_.give_back(one.second.session, now);
    return true;
  });
  for (const Line& line : wanted) look(line, held_[line], now);
}

// One that takes no more jobs is left to those that it has. One that is up ends all the same after some seconds where no packet comes through, so only
// an open path is a success.
void StandingSessions::look(const Line& line, Held& held, Time now) {
  if (held.session != nullptr && held.session->is_over()) on_lost(line, held, now);
  if (held.session != nullptr) {
    if (held.session->is_path_open()) held.pause = kPauseFirst;
    if (!peers_.is_stale(*held.session, now)) return;
    peers_.give_back(std::exchange(held.session, nullptr), now);
    held.dials_at = now;
  }
  if (now < held.dials_at) return;
  const auto taken = peers_.take(line.peer, {PeerSessions::Sharing::kShared, line.service, line.manners}, now);
  if (taken.ok()) held.session = taken.value();
  else put_off(held, now);
}

void StandingSessions::on_lost(const Line& line, Held& held, Time now) {
  session::Session& lost = *std::exchange(held.session, nullptr);
  const bool goes_on = peers_.changes_carrier(line.peer, lost, lost.error(), now);
  peers_.give_back(&lost, now);
  if (goes_on) held.dials_at = now;
  else put_off(held, now);
}

// A random quarter less, so that the gateways of a site that comes back are not dialled by all others at once.
void StandingSessions::put_off(Held& held, Time now) {
  held.dials_at = now + held.pause - Duration(static_cast<int64_t>(random_.below(static_cast<uint64_t>(held.pause.count() / 4) + 1)));
  held.pause = std::min(held.pause * 2, kPauseMax);
}

Time StandingSessions::next_deadline() const {
  Time next = kNever;
  for (const auto& [line, held] : held_)
    if (held.session == nullptr) next = std::min(next, held.dials_at);
  return next;
}

}  // namespace tideway::daemon
