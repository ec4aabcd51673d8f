// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_watch.h"

#include "flow/path_probe.h"
#include "flow/probe_timeout.h"

#include <utility>

namespace tideway::test {

// ---- addresses -----------------------------------------------------------------------------------------------------

void AddressWatch::start(const Endpoint& peer, bool is_proven) {
  destination_ = peer;
  addresses_[peer].is_proven = is_proven;
}

void AddressWatch::on_destination(const Endpoint& to) {
  if (to == destination_) return;
  destination_ = to;
  addresses_[to].packets = 0;  // a new trial
}

// A packet from elsewhere may have begun a new trial, even if the next one ended it.
void AddressWatch::on_heard(const Endpoint& from, Bytes size) {
  addresses_[from].heard += size.count();
  if (from != destination_) addresses_[destination_].packets = 0;
}

void AddressWatch::on_sent(Time now, Bytes size) {
  Address& to = addresses_[destination_];
  const Duration apart = now - std::exchange(to.sent_at, now);
  if (!to.is_proven && to.heard == 0) {
    if (++to.packets_unheard > flow::PathProbe::kPacketsUnheard || size > flow::PathProbe::kLeast)
      problem_ = "an address that was only named got more than a few small packets";
    return;
  }
  to.sent += size.count();
  ++to.packets;
  if (to.is_proven) return;
  if (to.packets > flow::PathProbe::kPacketsUnproven && (apart < flow::PathProbe::kAskedAgainMin || size > flow::PathProbe::kLeast))
    problem_ = "an unproven address got more than 16 packets, and then one a second";
  if (to.sent > to.heard * flow::PathProbe::kAmplification)
    problem_ = "an unproven address got " + std::to_string(to.sent) + " bytes for " + std::to_string(to.heard);
}

void AddressWatch::on_sealed(std::span<const std::byte> plain) {
  wire::FrameReader frames(plain);
  while (const auto frame = frames.next())
    if (frame->type == wire::FrameType::kPathChallenge) challenged_[*wire::parse_path(frame->body)] = destination_;
}

void AddressWatch::on_opened(std::span<const std::byte> plain) {
  wire::FrameReader frames(plain);
  while (const auto frame = frames.next()) {
    if (frame->type != wire::FrameType::kPathResponse) continue;
    const auto found = challenged_.find(*wire::parse_path(frame->body));
    if (found != challenged_.end()) addresses_[found->second].is_proven = true;
  }
}

bool AddressWatch::is_proven() const { return was_proven(destination_); }

bool AddressWatch::was_proven(const Endpoint& address) const {
  const auto found = addresses_.find(address);
  return found != addresses_.end() && found->second.is_proven;
}

// ---- progress ------------------------------------------------------------------------------------------------------

void ProgressWatch::on_eliciting_arrived(size_t flow, Time now) { eliciting_.try_emplace(flow, now); }

void ProgressWatch::on_ack_arrived(size_t flow, Time now, Time sent_at) {
  const auto found = eliciting_.find(flow);
  if (found == eliciting_.end() || sent_at < found->second || now < found->second) return;
  eliciting_.erase(found);
  is_round_trip_ = true;
}

void ProgressWatch::on_step(Time now, uint64_t unacked, Duration probe_timeout) {
  if (unacked < unacked_ || unacked == 0) {
    round_trips_ = 0;
    counted_at_ = now;
  } else if (is_round_trip_ && now - counted_at_ >= probe_timeout) {
    ++round_trips_;
    counted_at_ = now;
  }
  is_round_trip_ = false;
  unacked_ = unacked;
  if (round_trips_ > kRoundTrips)
    problem_ = "no byte was acked during " + std::to_string(round_trips_) + " round trips of a path that lives";
}

void ProgressWatch::check_silence(Time now, bool may_send, Duration probe_timeout) {
  if (unacked_ == 0 || !may_send) sent_at_ = now;
  if (now - sent_at_ > flow::ProbeTimeout::kRevivalMax + 4 * probe_timeout)
    problem_ = "nothing was sent for " + std::to_string((now - sent_at_) / std::chrono::milliseconds(1)) +
               " ms, though blocks are under way";
}

}  // namespace tideway::test
