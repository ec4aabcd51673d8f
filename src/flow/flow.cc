// SPDX-License-Identifier: Apache-2.0
#include "flow/flow.h"

#include "flow/incoming.h"

#include <algorithm>

namespace tideway::flow {

Flow::Flow(Time start, const FlowConfig& config, std::unique_ptr<CongestionController> controller, LaneParts lane)
    : config_(config), is_ipv4_(config.peer.is_ipv4()), lane_(lane), sealer_(config.key_limits),
      recovery_(start,
                {.first_number = config.first_packet_number, .rtt_initial = config.rtt_initial, .mtu_max = config.mtu_max,
                 .is_ipv4 = is_ipv4_, .delivery = config.delivery},
                std::move(controller), lane.window, lane.credit, lane.trains),
      pacer_(start), builder_(config.id, config.remote), last_sent_(start), tail_at_(start), new_data_at_(start), forget_at_(start),
      forgotten_(config.first_packet_number), opener_(config.key_limits), received_(config.replay_bits), incoming_(std::make_unique<Incoming>()),
      largest_received_at_(start),
      path_(start, {.peer = config.peer,
                    .proof = config.address == FlowConfig::Address::kProven ? Proof::kProven : Proof::kNone,
                    .seed = config.challenge_seed}) {
  if (path_.is_proven()) recovery_.mtu().allow();
}

Flow::~Flow() = default;

void Flow::install_send_key(KeyEpoch epoch, std::unique_ptr<Aead> key) { sealer_.install(epoch, std::move(key)); }

void Flow::install_receive_key(KeyEpoch epoch, std::unique_ptr<Aead> key) { opener_.install(epoch, std::move(key)); }

Bytes Flow::room_size() const {
  const size_t full = packet_size();
  const auto probe = may_probe_mtu() ? recovery_.mtu().largest_probe() : std::nullopt;
  return Bytes(probe ? std::max(full, probe->count() - wire::ip_overhead(is_ipv4_)) : full);
}

void Flow::fire_deadlines(Time now) {
  recovery_.on_deadline(now);
  opener_.on_deadline(now, recovery_.probe_timeout());
  path_.on_deadline(now);
}

// Where a ceiling of ours holds it back, a train says nothing of the path; and at a small share it would take seconds to come
// together, in which nothing leaves.
void Flow::pace(Time now) {
  const bool is_held = pacing_rate() < recovery_.pacing_rate();
  pacer_.on_rate(now, pacing_rate(), Bytes(packet_size()), is_held ? Bytes() : recovery_.train());
}

void Flow::set_pass(Time now, const Pass& pass) {
  if (pass == pass_) return;
  pass_ = pass;
  pacer_.on_hold();
  if (pass.model == Pass::Model::kLearns) recovery_.thaw(now);
  else recovery_.freeze(now);
  if (pass.model == Pass::Model::kAsks) recovery_.ask();
  pace(now);  // so that next_deadline() is that of the new rate
}

Time Flow::next_deadline() const {
  if (!sealer_.can_seal()) return kNever;
  if (is_closed_) return closes_left_ > 0 ? close_at_ : kNever;
  if (!can_send() || path_.is_for_challenges()) return std::min(recovery_.next_deadline(), path_.next_deadline());
  Time at = std::min({recovery_.next_deadline(), ack_schedule_.next_deadline(), path_.next_deadline(), next_keepalive()});
  if (may_probe_mtu()) at = std::min(at, recovery_.mtu().has_probe() ? last_sent_ : recovery_.mtu().next_deadline());
  if (recovery_.probes_due() > 0 || (may_send_data() && lane_.credit.has_frames())) at = std::min(at, last_sent_);  // credit that did not fit goes on at once
  if (may_send_data() && has_window()) {
    if (lane_.window.has_work()) at = std::min(at, next_data());
    else if (config_.delivery == Delivery::kDatagram && lane_.window.unacked_bytes() > 0) at = std::min(at, std::max(tail_at_, next_data()));
  }
  return at;
}

Time Flow::next_data() const {
  return is_for_trains() ? std::max(pacer_.next_send(), lane_.trains.free_at(config_.id)) : pacer_.next_send();
}

void Flow::close(Time now) {
  if (is_closed_) return;
  enter_closed(now);
  closes_left_ = kCloseTries;
  close_at_ = now;
}

void Flow::enter_closed(Time now) {
  recovery_.give_up(now);
  is_closed_ = true;
  closes_left_ = 0;
}

FlowState Flow::state() const {
  if (is_closed_) return FlowState::kClosed;
  if (recovery_.timeouts_in_row() >= ProbeTimeout::kDeadAfter) return FlowState::kDead;
  if (recovery_.is_resting()) return FlowState::kResting;
  return path_.is_reachable() ? FlowState::kOpen : FlowState::kProbing;
}

FlowStats Flow::stats() const {
  FlowStats stats = stats_;
  stats.packets_lost = recovery_.stats().packets_lost;
  stats.packets_spurious = recovery_.stats().packets_spurious;
  stats.probe_timeouts = recovery_.stats().probe_timeouts;
  stats.rtt_smoothed = recovery_.rtt().smoothed();
  stats.rtt_min = recovery_.rtt().min();
  stats.rtt_latest = recovery_.rtt().latest();
  stats.path_mtu = recovery_.mtu().current();
  stats.in_flight = recovery_.in_flight();
  stats.window = recovery_.window();
  stats.delivery_rate = recovery_.rate().latest();
  stats.pacing_rate = recovery_.pacing_rate();
  stats.state = state();
  return stats;
}

}  // namespace tideway::flow
