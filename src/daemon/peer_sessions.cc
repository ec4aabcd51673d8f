// SPDX-License-Identifier: Apache-2.0
#include "daemon/peer_sessions.h"

#include "base/log.h"

#include <algorithm>

namespace tideway::daemon {

PeerSessions::~PeerSessions() {
  for (const Entry& entry : entries_) gateway_.close(entry.session);
  for (const auto& [peer, probe] : probes_) gateway_.close(probe.session);
}

const session::PeerConfig* PeerSessions::named(std::string_view peer) const {
  const auto found = std::ranges::find(peers_, peer, &session::PeerConfig::name);
  return found == peers_.end() ? nullptr : &*found;
}

session::CarrierChoice& PeerSessions::carrier(const std::string& peer) {
  return carriers_.try_emplace(peer, gateway_.new_carrier()).first->second;
}

bool PeerSessions::changes_carrier(const std::string& peer, const session::Session& session, const Error& why, Time now) {
  session::CarrierChoice& choice = carrier(peer);
  if (why.fault == Fault::kUdpBlocked && session.delivery() != choice.delivery()) return true;  // another job of it was told first
  if (!choice.on_ended(now, why.fault, session.policing().rate_policed())) return false;
  const std::string next = choice.delivery() == Delivery::kDatagram ? "going on over UDP" : choice.is_trial() ? "trying TLS connections" : "going on over TLS connections";
  log::warning("udp_blocked", "peer=" + peer + ' ' + next + " why=\"" + why.what + '"');
  return true;
}

void PeerSessions::judge(const std::string& peer, session::Session& session) {
  session::CarrierChoice& choice = carrier(peer);
  if (!choice.is_trial() || session.delivery() != choice.delivery() || session.policing().watched() < session::CarrierChoice::kTrial) return;
  if (!choice.judge(session.policing().rate_best())) session.on_connection_failed({Fault::kUdpBlocked, "TLS connections carry no more than UDP does", ""});
}

PeerSessions::Entries::const_iterator PeerSessions::used_over_tls(std::string_view peer) const {
  return std::ranges::find_if(entries_, [&](const Entry& entry) {
    return entry.peer == peer && entry.users > 0 && entry.session->is_up() && !entry.session->is_over() && entry.session->delivery() == Delivery::kStream;
  });
}

void PeerSessions::look_for_udp(Time now) {
  for (auto& [peer, choice] : carriers_) {
    const auto probe = probes_.find(peer);
    if (probe == probes_.end()) begin_probe(peer, choice, now);
    else if (end_probe(peer, probe->second, now)) probes_.erase(probe);
  }
}

// A trial has to end first: it says by itself what comes next. Without room for a session more, those that are there ask.
void PeerSessions::begin_probe(const std::string& peer, session::CarrierChoice& choice, Time now) {
  if (now < choice.asks_at() || choice.is_trial()) return;
  const auto used = used_over_tls(peer);
  const session::PeerConfig* known = named(peer);
  if (used == entries_.end() || known == nullptr) return;
  if (count(peer) >= kPerPeerMax) return choice.ask_again();
  using Policing = session::SessionOptions::Policing;
  const auto dialled = gateway_.dial(*known, {Delivery::kDatagram, used->use.manners, Policing::kReported});
  choice.on_probe();
  if (!dialled.ok()) return choice.on_probe_failed(now);
  probes_[peer] = {dialled.value(), {Sharing::kShared, used->use.service, used->use.manners}, now + kProbeTime};
}

bool PeerSessions::end_probe(const std::string& peer, const Probe& probe, Time now) {
  session::CarrierChoice& choice = carrier(peer);
  const bool is_over = probe.session->is_over() || now >= probe.ends_at;
  if (!is_over && !probe.session->is_path_open()) return false;
  if (is_over) {
    choice.on_probe_failed(now);
    log::info("udp_still_blocked", "peer=" + peer + " why=\"" + (probe.session->is_over() ? probe.session->error().what : "no answer in time") + '"');
    gateway_.close(probe.session);
    return true;
  }
  choice.ask_again();
  log::info("udp_is_back", "peer=" + peer + " jobs go on over it");
  entries_.push_back({peer, probe.use, probe.session, 0, now + kWarmTime, false, now});
  return true;
}

bool PeerSessions::has_better_carrier(const std::string& peer, const session::Session& session) {
  return session.is_up() && session.delivery() == Delivery::kStream && carrier(peer).delivery() == Delivery::kDatagram;
}

PeerSessions::Entry* PeerSessions::find_shared(const std::string& peer, const Use& use, Time begun_after) {
  if (use.sharing == Sharing::kOwn) return nullptr;
  const Delivery delivery = carrier(peer).delivery();
  const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
    const bool is_usable = !entry.has_parted && !entry.session->is_over() && (entry.session->delivery() == delivery || !entry.session->is_up());
    const bool is_alike = entry.use.sharing == use.sharing && entry.use.service == use.service && entry.use.manners == use.manners;
    return entry.peer == peer && is_usable && is_alike && entry.begun > begun_after;
  });
  return found == entries_.end() ? nullptr : &*found;
}

// Where nothing runs over TLS, UDP is asked for again by the first session that is wanted when it is time to.
Result<session::Session*> PeerSessions::take(const std::string& peer, const Use& use, Time now) {
  session::CarrierChoice& choice = carrier(peer);
  if (now >= choice.asks_at() && used_over_tls(peer) == entries_.end()) choice.ask_again();
  Entry* shared = find_shared(peer, use, now - kAgeMax);
  const bool is_full = !has_room(peer, use.sharing) || count(peer) >= kPerPeerMax;
  if (shared == nullptr && is_full) shared = find_shared(peer, use, Time::min());
  if (shared != nullptr) {
    ++shared->users;
    shared->ends_at = kNever;
    return shared->session;
  }
  const session::PeerConfig* known = named(peer);
  if (known == nullptr) return Error{Fault::kUsage, "the configuration names no peer \"" + peer + "\" any more", "add the [[peer]] again and reload"};
  if (!has_room(peer, use.sharing))
    return Error{Fault::kOverloaded, "all sessions with " + peer + " are in use", "jobs with a rate or weight of their own run " + std::to_string(kOwnMax) + " at a time"};
  using Policing = session::SessionOptions::Policing;
  auto dialled = gateway_.dial(*known, {choice.delivery(), use.manners, choice.wants_trial(now) ? Policing::kReported : Policing::kBorne});
  if (!dialled.ok()) return dialled;
  entries_.push_back({peer, use, dialled.value(), 1, kNever, false, now});
  return dialled;
}

// What only waits for its last words to leave does not count.
bool PeerSessions::has_room(const std::string& peer, Sharing sharing) const {
  const auto counts = [&](const Entry& entry) { return entry.peer == peer && entry.use.sharing == sharing && !entry.has_parted; };
  const auto used = static_cast<size_t>(std::ranges::count_if(entries_, counts));
  return used < (sharing == Sharing::kOwn ? kOwnMax : kPerPeerMax);
}

void PeerSessions::give_back(session::Session* session, Time now) {
  const auto found = std::ranges::find(entries_, session, &Entry::session);
  if (found == entries_.end() || --found->users > 0) return;
  found->ends_at = found->use.sharing == Sharing::kOwn ? now : now + kWarmTime;
}

bool PeerSessions::is_stale(const session::Session& session, Time now) {
  const auto found = std::ranges::find(entries_, &session, &Entry::session);
  return found != entries_.end() && is_stale(*found, now);
}

void PeerSessions::tidy(Time now) {
  std::erase_if(entries_, [&](Entry& entry) {
    if (entry.users > 0) return false;
    if (is_stale(entry, now) && !entry.has_parted) entry.ends_at = std::min(entry.ends_at, now);
    const bool is_through = entry.session->is_over() || (entry.has_parted && now >= entry.ends_at);
    if (!is_through && now >= entry.ends_at) {
      entry.session->say_goodbye({});
      entry.has_parted = true;
      entry.ends_at = now + kFarewellTime;
    }
    if (is_through) gateway_.close(entry.session);
    return is_through;
  });
}

Time PeerSessions::next_deadline() const {
  Time next = kNever;
  for (const Entry& entry : entries_)
    if (entry.users == 0) next = std::min(next, entry.ends_at);
  return next;
}

bool PeerSessions::is_up(std::string_view peer) const {
  return std::ranges::any_of(entries_, [&](const Entry& entry) { return entry.peer == peer && entry.session->is_up() && !entry.session->is_over(); });
}

size_t PeerSessions::count(std::string_view peer) const { return static_cast<size_t>(std::ranges::count(entries_, peer, &Entry::peer)); }

}  // namespace tideway::daemon
