// SPDX-License-Identifier: Apache-2.0
#include "engine/lane_port.h"

#include "base/stage_meter.h"
#include "engine/rate_shares.h"
#include "engine/sync_pace.h"
#include "wire/packet_header.h"
#include "wire/version.h"

#include <algorithm>
#include <utility>

namespace tideway::engine {
namespace {

constexpr Duration kOpenPatience = std::chrono::seconds(3);   // for the first answer to a probe
constexpr Duration kStreamPatience = std::chrono::seconds(10);  // which waits for a connection and its handshake, too
constexpr uint64_t kUnsentMax = 8 << 20;                      // two blocks: what a turn of the fastest link takes
constexpr Duration kDeadPatience = std::chrono::seconds(10);  // as long as the control channel's

uint64_t blocks_in_lane(Bytes credit, size_t lanes) { return credit.count() / kBufferSize / lanes; }

}  // namespace

LanePort::LanePort(Time now, const OpenLane& open, const Ground& ground)
    : lane_({.lane = open.id, .unit = open.credit_unit, .blocks_given_max = ground.credit.blocks_max, .pool = &ground.credit},
            ground.pool, ground.table),
      board_(open.board), delivery_(open.delivery), dscp_(open.dscp), opened_at_(now), dealt_at_(now) {}

void LanePort::add_flow(Time now, OpenFlow&& open, PathId path, std::unique_ptr<CongestionController> controller) {
  auto port = std::make_unique<Port>();
  port->id = open.config.id;
  port->local = open.local;
  port->remote = open.config.peer;
  port->path = path;
  port->flow = &lane_.add_flow(now, open.config, std::move(controller));
  for (uint64_t epoch = 0; epoch < 2; ++epoch) {
    port->flow->install_send_key(KeyEpoch(epoch), std::move(open.send_keys[epoch]));
    port->flow->install_receive_key(KeyEpoch(epoch), std::move(open.receive_keys[epoch]));
  }
  port->send_key_asked = port->receive_key_asked = 1;
  ports_.push_back(std::move(port));
  deal(now, ceiling_);
}

// ---- slots ---------------------------------------------------------------------------------------------------------

Status LanePort::open_slot(const OpenSlot& open) {
  if (open.role == OpenSlot::Role::kReceiving) {
    const size_t lanes = std::max<size_t>(open.lanes, 1);
    if (Status status = lane_.open_receiving(open.slot, blocks_in_lane(SyncPace().credit_max(), lanes)); !status.ok()) return status;
    receiving_[open.slot] = {open.transfer, lanes, open.hashes};
    return success();
  }
  if (sending_.contains(open.slot)) return Error{Fault::kProtocolError, "the peer gave a slot out twice", ""};
  sending_[open.slot].transfer = open.transfer;
  sending_[open.slot].account = open.account;
  lane_.open_sending(open.slot, Bytes(open.credit_bytes));
  return success();
}

void LanePort::close_slot(const CloseSlot& close) {
  if (close.role == OpenSlot::Role::kSending) {
    sending_.erase(close.slot);
    lane_.close_sending(close.slot);
    return;
  }
  receiving_.erase(close.slot);
  lane_.close_receiving(close.slot);
}

TransferHandle LanePort::transfer_of(SlotId slot, OpenSlot::Role role) const {
  if (role == OpenSlot::Role::kReceiving) {
    const auto found = receiving_.find(slot);
    return found == receiving_.end() ? TransferHandle() : found->second.transfer;
  }
  const auto found = sending_.find(slot);
  return found == sending_.end() ? TransferHandle() : found->second.transfer;
}

block::LeafHashes LanePort::hashes_of(SlotId receiving) const {
  const auto found = receiving_.find(receiving);
  return found == receiving_.end() ? block::LeafHashes::kCompared : found->second.hashes;
}

void LanePort::take_block(BlockToSend&& block) {
  const auto slot = sending_.find(block.block.key.slot);
  if (slot == sending_.end() || slot->second.transfer != block.transfer) return;  // closed meanwhile: the buffer goes home
  block.block.account = slot->second.account;
  slot->second.waiting.push_back(std::move(block.block));
}

void LanePort::on_buffer_free(const BufferFreed& freed) {
  if (const auto slot = receiving_.find(freed.slot); slot != receiving_.end())
    lane_.set_ceiling(freed.slot, blocks_in_lane(freed.credit_max, slot->second.lanes));
  lane_.on_buffer_free(freed.slot);
}

// One block of each transfer in turn; the next call goes on behind the last one served.
bool LanePort::start_blocks(LaneHandle handle, SpscRing<BlockNotice>& notices) {
  bool started = false;
  size_t idle = 0;
  auto slot = sending_.upper_bound(last_started_);
  while (idle < sending_.size() && lane_.unsent_bytes() < kUnsentMax) {
    if (slot == sending_.end()) slot = sending_.begin();
    std::deque<PackedBlock>& waiting = slot->second.waiting;
    const BlockId block = waiting.empty() ? BlockId() : waiting.front().key.block;
    if (!waiting.empty() && lane_.offer(std::move(waiting.front()))) {
      waiting.pop_front();
      const bool was_held = std::exchange(slot->second.is_held, false);
      TIDEWAY_CHECK(notices.push({handle, slot->second.transfer, block, was_held ? BlockNotice::Kind::kStartedLate : BlockNotice::Kind::kStarted}));
      last_started_ = slot->first;
      started = true;
      idle = 0;
    } else {
      if (!waiting.empty()) board_->held_by_credit.add(1), slot->second.is_held = true;
      ++idle;
    }
    ++slot;
  }
  return started;
}

// ---- packets -------------------------------------------------------------------------------------------------------

bool LanePort::transmit(Time now, PacketIo& io) {
  bool sent = false;
  lane_.on_turn(now);
  if (gate_) gate_->turn(now, lane_.flows());
  for (auto& port : ports_) {
    follow_peer(*port, io);
    if (flush(*port, io)) sent |= write(now, *port, io);
  }
  return sent;
}

bool LanePort::has_unsent() const {
  return std::ranges::any_of(ports_, [](const auto& port) { return port->count > 0; });
}

// True: nothing is left over.
bool LanePort::flush(Port& port, PacketIo& io) {
  if (port.count == 0) return true;
  const size_t sent = io.send(std::span(port.unsent).subspan(port.first, port.count));
  port.first += sent;
  port.count -= sent;
  end_stage(sent == 0 ? Stage::kIdle : Stage::kTransmit, sent);
  return port.count == 0;
}

bool LanePort::write(Time now, Port& port, PacketIo& io) {
  flow::Flow& flow = *port.flow;
  constexpr size_t kControlPackets = 2;  // an ACK and a CTRL go beside data
  const size_t wanted = flow.packets_wanted(now);
  if (wanted == 0 && flow.next_deadline() > now) return false;
  const Bytes size = flow.room_size();
  const size_t rooms = std::min(wanted, kBurstMax - kControlPackets) + kControlPackets;
  end_stage(Stage::kPull);
  const size_t got = io.allocate(port.path, size, std::span(port.unsent).first(rooms));
  end_stage(Stage::kTransmit);
  port.first = 0;
  port.count = flow.write_burst(now, std::span(port.unsent).first(got));
  for (size_t i = port.count; i < got; ++i) port.unsent[i].reset();
  const bool wrote = port.count > 0;
  if (gate_ && wrote) gate_->count(lane_.flows());
  flush(port, io);
  return wrote;
}

// A peer behind NAT may come to us from another port; the flow has challenged it before it changes its mind.
void LanePort::follow_peer(Port& port, PacketIo& io) {
  if (port.flow->peer() == port.remote) return;
  auto moved = io.open_path({.local = port.local, .remote = port.flow->peer(), .dscp = dscp_});
  port.remote = port.flow->peer();
  if (!moved.ok()) return;  // out of paths: the old one goes on
  io.close_path(port.path);
  port.path = moved.value().id;
}

// A lane with nothing to send or to be acked need not know when its gate opens.
Time LanePort::next_deadline(Time now) const {
  return gate_ && lane_.unacked_bytes() > 0 ? std::min(lane_.next_deadline(), gate_->next_deadline(now)) : lane_.next_deadline();
}

void LanePort::close(Time now, PacketIo& io) {
  for (auto& port : ports_) {
    port->flow->close(now);
    write(now, *port, io);
  }
  drop(io);
}

void LanePort::drop(PacketIo& io) {
  for (auto& port : ports_) {
    for (Packet& packet : port->unsent) packet.reset();
    io.close_path(port->path);
  }
}

// ---- rate ----------------------------------------------------------------------------------------------------------

namespace {

// Of a packet's 1,522 bytes on the wire 1,408 are payload; headers and Ethernet are the rest.
constexpr double kPayloadShare = 1408.0 / 1522.0;
constexpr Bytes kEthernet = Bytes(38);  // with preamble and gap
constexpr Bytes kTcpPacket = Bytes(1500);           // the kernel fills them
constexpr Bytes kMoreThanUdp = Bytes(20 + 12 - 8);  // TCP with timestamps
constexpr double kUsesItsShare = 0.8;    // and would send more
constexpr double kGrowth = 1.5;          // per deal, of one that used less

double part_of(Bytes part, Bytes whole) { return static_cast<double>(part.count()) / static_cast<double>(whole.count()); }
bool is_usable(flow::FlowState state) { return state == flow::FlowState::kOpen || state == flow::FlowState::kProbing; }

}  // namespace

void LanePort::set_ceiling(Rate ceiling, Rate in_bursts) {
  ceiling_ = ceiling;
  if (gate_) gate_->let_in_bursts(in_bursts * kPayloadShare);
}

Rate LanePort::wanted_rate(Time now, const Port& port) const {
  const flow::FlowStats stats = port.flow->stats();
  if (!is_usable(stats.state)) return Rate();
  if (!is_gate_open()) return Rate::unlimited();  // what it sends now is not what it could
  const Rate used = Rate::of(Bytes(stats.bytes_sent - port.bytes_at_deal), now - dealt_at_);
  if (port.share.is_unlimited() || used >= port.share * kUsesItsShare) return Rate::unlimited();
  // At a small share a packet takes longer to come together than from one deal to the next; who waits for his would send more.
  const bool has_window = stats.in_flight + stats.path_mtu <= std::max(stats.window, stats.path_mtu * 2);
  if (lane_.unsent_bytes() > 0 && has_window && stats.pacing_rate >= port.share) return Rate::unlimited();
  return used * kGrowth;
}

Rate LanePort::wanted_rate(Time now) const {
  Rate sum;
  for (const auto& port : ports_) sum = sum + wanted_rate(now, *port);
  return std::min(ceiling_, sum * (1 / kPayloadShare));
}

// What a flow counts, of what the link is charged for a full packet. Of the flow with the smallest packets, so that it is never more.
double LanePort::payload_share() const {
  double share = 1;
  for (const auto& port : ports_) {
    const flow::FlowStats stats = port->flow->stats();
    if (!is_usable(stats.state)) continue;
    const bool is_ipv4 = port->remote.is_ipv4();
    const Bytes headers = ip_and_udp_headers(is_ipv4);
    if (delivery_ == Delivery::kStream) {
      share = std::min(share, part_of(kTcpPacket - kMoreThanUdp - headers, kTcpPacket + kEthernet));
      continue;
    }
    const Bytes packet = Bytes(wire::data_payload_for_mtu(stats.path_mtu.count(), is_ipv4) + wire::kDataOverhead);
    share = std::min(share, part_of(packet, packet + headers + kEthernet));
  }
  return share;
}

void LanePort::deal(Time now, Rate share, Rate of_link) {
  const Rate payload = std::min(std::min(share, ceiling_) * kPayloadShare, of_link * payload_share());
  const auto is_free = [](const auto& port) { return port->share.is_unlimited(); };
  if (payload.is_unlimited() && std::ranges::all_of(ports_, is_free)) return;  // the usual case: nothing to measure
  std::vector<Rate> wanted;
  for (const auto& port : ports_) wanted.push_back(wanted_rate(now, *port));
  const std::vector<Rate> shares = share_out_with_standby(payload, std::move(wanted));
  for (size_t i = 0; i < ports_.size(); ++i) {
    ports_[i]->bytes_at_deal = ports_[i]->flow->stats().bytes_sent;
    if (std::exchange(ports_[i]->share, shares[i]) == shares[i]) continue;
    ports_[i]->flow->limit_rate(shares[i]);
    ports_[i]->flow->write_burst(now, {});  // else it would wait as the share before asked it to
  }
  dealt_at_ = now;
}

// ---- reports -------------------------------------------------------------------------------------------------------

void LanePort::install(InstallKey&& install) {
  for (auto& port : ports_) {
    if (port->id != install.flow) continue;
    if (install.direction == KeyDirection::kSend) port->flow->install_send_key(install.epoch, std::move(install.key));
    else port->flow->install_receive_key(install.epoch, std::move(install.key));
  }
}

std::vector<KeyWanted> LanePort::take_wanted_keys(LaneHandle handle) {
  std::vector<KeyWanted> wanted;
  for (auto& port : ports_) {
    const flow::Flow& flow = *port->flow;
    if (flow.needs_send_key() && flow.next_send_key().value() > port->send_key_asked) {
      port->send_key_asked = flow.next_send_key().value();
      wanted.push_back({handle, port->id, KeyDirection::kSend, flow.next_send_key()});
    }
    if (flow.needs_receive_key() && flow.next_receive_key().value() > port->receive_key_asked) {
      port->receive_key_asked = flow.next_receive_key().value();
      wanted.push_back({handle, port->id, KeyDirection::kReceive, flow.next_receive_key()});
    }
  }
  return wanted;
}

std::optional<Error> LanePort::take_death(Time now) {
  if (death_told_) return std::nullopt;
  for (const auto& port : ports_) has_been_open_ |= port->flow->state() == flow::FlowState::kOpen;
  const Duration patience = delivery_ == Delivery::kStream ? kStreamPatience : kOpenPatience;
  const bool is_blocked = has_been_open_ ? lane_.is_dead(now - kDeadPatience) : now - opened_at_ > patience;
  if (!is_blocked && !lane_.has_protocol_error()) return std::nullopt;
  death_told_ = true;
  if (lane_.has_protocol_error()) return Error{Fault::kProtocolError, "the peer broke the packet protocol", "upgrade both sides"};
  if (delivery_ == Delivery::kStream)
    return Error{Fault::kPeerLost, "no packet of the peer comes through over TLS, though the control channel works", "check the peer's gateway and the network"};
  if (has_been_open_)
    return Error{Fault::kUdpBlocked, "no UDP packet of the peer has come through for 10 s, though the control channel works",
                 "the path died under way: look for a route, firewall or NAT that changed, then run the same command again"};
  return Error{Fault::kUdpBlocked, "no UDP packet of the peer comes through, though the control channel works",
               "open the data ports (UDP, 64 from [data_plane] address on) between the two gateways"};
}

std::optional<PathId> LanePort::path_of(FlowId flow) const {
  for (const auto& port : ports_)
    if (port->id == flow) return port->path;
  return std::nullopt;
}

std::vector<PathId> LanePort::paths() const {
  std::vector<PathId> paths;
  for (const auto& port : ports_) paths.push_back(port->path);
  return paths;
}

void LanePort::tell_board() {
  board_->unsent.set(lane_.unsent_bytes());
  flow::BytesByAccount sent{};
  for (size_t i = 0; i < ports_.size(); ++i) {
    const flow::FlowStats stats = ports_[i]->flow->stats();
    FlowBoard& board = board_->flows[i];
    board.packets_sent.set(stats.packets_sent);
    board.packets_lost.set(stats.packets_lost - std::min(stats.packets_lost, stats.packets_spurious));
    board.bytes_sent.set(stats.bytes_sent);
    uint64_t no_data = stats.bytes_sent;
    for (size_t account = 0; account < kAccounts; ++account) {
      const uint64_t data = ports_[i]->flow->data_sent()[account];
      sent[account] += data;
      no_data -= data;
    }
    sent[static_cast<size_t>(Account::kOther)] += no_data;
    board.bytes_received.set(stats.bytes_received);
    board.rtt_ns.set(static_cast<uint64_t>(stats.rtt_smoothed.count()));
    board.rate_bytes_per_second.set(stats.delivery_rate.bytes_per_second());
    board.path_mtu.set(stats.path_mtu.count());
    board.is_open.set(stats.state == flow::FlowState::kOpen ? 1 : 0);
  }
  for (size_t account = 0; account < kAccounts; ++account) board_->bytes_sent[account].set(sent[account]);
}

}  // namespace tideway::engine
