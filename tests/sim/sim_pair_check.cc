// SPDX-License-Identifier: Apache-2.0
//
// What holds at every step of every run. A text here is what a failing seed prints.
#include "sim/sim_pair.h"

#include <algorithm>

namespace tideway::test {

void SimPair::check() {
  for (size_t e = 0; e < ends_.size(); ++e) {
    if (!ends_[e].lane) continue;
    if (ends_[e].lane->has_protocol_error()) fail("a flow saw a protocol error");
    const flow::LaneStats stats = ends_[e].lane->stats();
    check_buffers(e, stats);
    check_counts(e, stats.flows);
  }
  if (!keys_.problem().empty()) fail(keys_.problem());
}

// Every buffer that is out is in one known place, and the peer never fills more of them than it was given.
void SimPair::check_buffers(size_t e, const flow::LaneStats& stats) {
  size_t filled = stats.blocks_receiving, sending = stats.blocks_sending;
  for (const Storing& storing : storing_) filled += storing.end == e ? 1 : 0;
  for (const auto& [slot, transfer] : transfers_) {
    if (transfer.spec.from == e) sending += transfer.waiting.buffer.is_empty() ? 0 : 1;
    else filled += transfer.stuck.size();
  }
  if (stats.credit.blocks_promised > config_.credit_blocks) fail("more was promised than there is");
  if (filled > config_.credit_blocks) fail("more buffers are filled than credit was given for");
  if (ends_[e].pool->size() - ends_[e].pool->free() != filled + sending) fail("a buffer is out and nowhere");
  ends_[e].progress.on_offered(stats.unacked_bytes);
}

uint64_t SimPair::dropped(size_t e, const flow::FlowStats& stats) const {
  const flow::FlowTableStats& table = ends_[e].table->stats();
  return stats.dropped_auth + stats.dropped_replay + stats.dropped_refused + stats.dropped_malformed + table.packets_short +
         table.packets_unknown + table.packets_foreign;
}

// Each datagram is either accepted, which takes a tag that was right, or dropped and counted.
void SimPair::check_counts(size_t e, const flow::FlowStats& stats) {
  const auto& flows = ends_[e].lane->flows();
  const bool has_closed = std::any_of(flows.begin(), flows.end(), [](const auto& flow) { return flow->state() == flow::FlowState::kClosed; });
  const uint64_t received = stats.packets_received;
  if (!has_closed && received + dropped(e, stats) != ends_[e].arrived)
    fail("of " + std::to_string(ends_[e].arrived) + " datagrams " + std::to_string(received) + " were accepted and " +
         std::to_string(dropped(e, stats)) + " dropped");
  ends_[e].received = received;
  if (ends_[0].received + ends_[1].received > keys_.opened()) fail("a packet was accepted that was not authentic");
}

void SimPair::check_window(const flow::Flow& flow, const Sending& sending) {
  if (sending.data_packets == 0) return;
  const flow::FlowStats stats = flow.stats();
  const Bytes packet(stats.path_mtu.count() - 28);
  // What no window holds back: frames, and the packets of a probe timeout, even when the window has shrunk below what is
  // in flight.
  const bool may_be_probes = stats.probe_timeouts > 0;
  if (may_be_probes && sending.data_packets <= flow::ProbeTimeout::kPackets) return;
  const Bytes beside = Bytes(sending.others) + (may_be_probes ? packet * flow::ProbeTimeout::kPackets : Bytes());
  if (stats.in_flight > std::max(stats.window, packet * 2) + beside)
    fail(std::to_string(stats.in_flight.count()) + " bytes are in flight in a window of " +
         std::to_string(stats.window.count()) + ", of which " + std::to_string(sending.data) + " of data and " +
         std::to_string(sending.others) + " of frames left now in packets of " + std::to_string(packet.count()));
}

void SimPair::check_watches() {
  for (size_t e = 0; e < ends_.size(); ++e) {
    End& end = ends_[e];
    if (!end.lane) continue;
    const Duration timeout = probe_timeout_max(e);
    end.progress.on_step(now_, end.lane->unacked_bytes(), timeout);
    const bool may_send = std::any_of(end.addresses.begin(), end.addresses.end(),
                                      [](const AddressWatch& address) { return address.is_proven(); });
    end.progress.check_silence(now_, may_send, timeout);
    if (!end.progress.problem().empty()) fail(end.progress.problem());
    for (const AddressWatch& address : end.addresses)
      if (!address.problem().empty()) fail(address.problem());
  }
}

// An upper bound that needs no look inside: four variances are at most twice the smoothed RTT at first, and later follow
// it; the peer's ack delay is at most 25 ms.
Duration SimPair::probe_timeout_max(size_t e) const {
  return 4 * ends_[e].lane->rtt_longest() + std::chrono::milliseconds(25) + config_.receive_every + config_.rooms_wait + config_.run_every;
}

std::vector<uint64_t> SimPair::state_of(size_t e) const {
  const flow::Lane& lane = *ends_[e].lane;
  const flow::LaneStats all = lane.stats();
  std::vector<uint64_t> state = {all.credit.stalls, all.credit.peer_stalls, all.credit.recalls, all.credit.blocks_promised,
                                 all.blocks_sending, all.blocks_receiving, all.unacked_bytes, lane.has_protocol_error(),
                                 ends_[e].pool->free(), keys_.opened()};
  for (const auto& flow : lane.flows()) {
    const flow::FlowStats stats = flow->stats();
    for (const uint64_t value :
         {stats.packets_sent, stats.bytes_sent, stats.packets_received, stats.bytes_received, stats.packets_lost,
          stats.packets_spurious, stats.packets_duplicate, stats.probe_timeouts, stats.key_changes,
          stats.path_mtu.count(), stats.in_flight.count(), stats.window.count(), stats.delivery_rate.bytes_per_second(),
          stats.pacing_rate.bytes_per_second(), static_cast<uint64_t>(stats.rtt_smoothed.count()),
          static_cast<uint64_t>(stats.rtt_min.count()), static_cast<uint64_t>(stats.state),
          uint64_t{flow->next_receive_key().value()}, uint64_t{flow->next_send_key().value()}})
      state.push_back(value);
    const Endpoint peer = flow->peer();
    state.push_back(peer.port);
    for (const std::byte byte : peer.address) state.push_back(std::to_integer<uint64_t>(byte));
  }
  return state;
}

}  // namespace tideway::test
