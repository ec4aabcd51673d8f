// SPDX-License-Identifier: Apache-2.0
//
// How packets of a simulated pair travel: rooms as an engine gives them, links, NATs, and strangers beside them.
#include "sim/sim_pair.h"

#include "wire/packet_header.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tideway::test {
namespace {

constexpr size_t kConnectionAt = 4;
constexpr size_t kControlRooms = 2;  // as the engine: an ACK and a CTRL go beside data

// Header and tag stand for all of a sealed packet.
uint64_t trace_of(uint64_t hash, std::span<const std::byte> bytes) {
  const auto mix = [&hash](std::span<const std::byte> part) {
    uint64_t word = 0;
    std::memcpy(&word, part.data(), std::min<size_t>(part.size(), 8));
    hash = std::rotl((hash ^ word) * 0x9FB21C651E98DF25, 23);
  };
  for (size_t at = 0; at < 32 && at < bytes.size(); at += 8) mix(bytes.subspan(at));
  mix(bytes.last(8));
  return hash;
}

bool is_type(const SimDatagram& datagram, wire::PacketType type) { return datagram.type() == static_cast<uint8_t>(type); }

}  // namespace

// ---- arriving ------------------------------------------------------------------------------------------------------

void SimPair::deliver() {
  std::array<std::vector<SimDatagram>, 2> arrived;
  while (!wire_.empty() && wire_.top().at <= now_) {
    const SimDatagram& datagram = wire_.top().datagram;
    // A NAT that has moved on knows nobody at the old address.
    if (datagram.destination == endpoint(datagram.to, datagram.flow)) arrived[datagram.to].push_back(datagram);
    wire_.pop();
  }
  for (size_t e = 0; e < arrived.size(); ++e)
    for (size_t first = 0; first < arrived[e].size(); first += kBurstMax)
      hand_on(e, std::span(arrived[e]).subspan(first, std::min(kBurstMax, arrived[e].size() - first)));
}

// What a bystander learns from a packet that nobody has touched and that comes for the first time.
void SimPair::note_arrival(const SimDatagram& datagram) {
  if (!datagram.is_genuine || keys_.was_opened(datagram.way(), datagram.number())) return;
  End& here = ends_[datagram.to];
  here.addresses[datagram.flow].on_heard(datagram.from, Bytes(datagram.bytes.size()));
  if (is_type(datagram, wire::PacketType::kAck)) here.progress.on_ack_arrived(datagram.flow, now_, datagram.sent_at);
  else ends_[1 - datagram.to].progress.on_eliciting_arrived(datagram.flow, now_);
}

void SimPair::hand_on(size_t e, std::span<SimDatagram> datagrams) {
  if (!ends_[e].lane) return;
  std::vector<Packet> burst(datagrams.size());
  for (size_t i = 0; i < burst.size(); ++i) {
    note_arrival(datagrams[i]);
    burst[i].bytes = datagrams[i].bytes;
    burst[i].from = datagrams[i].from;
    burst[i].ecn = datagrams[i].ecn;
  }
  ends_[e].arrived += burst.size();
  ends_[e].table->dispatch(now_, burst);
}

// By itself, so that whatever changes is its doing. What time alone changes happens before.
void SimPair::arrive_alone(SimDatagram datagram) {
  const size_t e = datagram.to;
  if (!ends_[e].lane) return;
  for (const auto& flow : ends_[e].lane->flows()) ends_[e].lane->on_burst(now_, *flow, {});
  const auto before = state_of(e);
  const uint64_t dropped_before = dropped(e, ends_[e].lane->stats().flows);
  hand_on(e, std::span(&datagram, 1));
  if (state_of(e) != before) fail("a packet nobody authentic has sent was acted upon");
  if (dropped(e, ends_[e].lane->stats().flows) != dropped_before + 1) fail("a packet nobody authentic has sent was not counted once as dropped");
}

void SimPair::replay_old() {
  auto old = forger_.take_old();
  if (!old || !keys_.was_opened(old->way(), old->number())) return;
  if (random_.below(2) == 0) old->from = sim_endpoint(1 - old->to, old->flow, 77);
  ++replays_refused_;
  arrive_alone(std::move(*old));
}

void SimPair::forge(size_t count) {
  for (; count > 0; --count) {
    const auto like = forger_.take_old();
    if (!like) return;
    SimDatagram forged = forger_.make_up(*like);
    if (random_.below(2) == 0) forged.from = sim_endpoint(1 - forged.to, forged.flow, 66);
    ++forgeries_;
    arrive_alone(std::move(forged));
  }
}

// ---- leaving -------------------------------------------------------------------------------------------------------

void SimPair::poll(size_t e) {
  if (!ends_[e].lane || turn_at(now_, config_.run_every) != now_) return;
  ends_[e].lane->on_turn(now_);
  if (e == 0 && gate) gate_at_ = gate(now_);
  for (size_t f = 0; f < ends_[e].lane->flows().size(); ++f) poll_flow(e, f);
}

// As engine/lane_port.cc does it: the path is chosen, then rooms for it, then the flow writes.
void SimPair::poll_flow(size_t e, size_t f) {
  End& end = ends_[e];
  flow::Flow& flow = *end.lane->flows()[f];
  const Endpoint destination = flow.peer();
  const size_t wanted = flow.packets_wanted(now_);
  if (wanted == 0 && flow.next_deadline() > now_) return;
  const bool has_rooms = now_ >= end.rooms_at[f];
  const size_t rooms = has_rooms ? std::min(std::min(wanted, kBurstMax - kControlRooms) + kControlRooms, config_.rooms_max) : 0;
  if (rooms_.size() < rooms) rooms_.resize(rooms);
  std::vector<Packet> packets(rooms);
  for (size_t i = 0; i < rooms; ++i) {
    rooms_[i].resize(flow.room_size().count());
    packets[i].bytes = rooms_[i];
    packets[i].ecn = Ecn::kEct0;
  }
  end.addresses[f].on_destination(destination);
  const size_t written = flow.write_burst(now_, packets);
  Sending sending;
  for (size_t i = 0; i < written; ++i) {
    const bool is_data = wire::parse_header(packets[i].bytes)->type == wire::PacketType::kData;
    (is_data ? sending.data : sending.others) += packets[i].bytes.size();
    sending.data_packets += is_data;
    transmit(e, f, packets[i], destination);
  }
  check_window(flow, sending);
  // A port that is used up has rooms again when some have left it.
  if (has_rooms && written == rooms && rooms == config_.rooms_max) end.rooms_at[f] = now_ + config_.rooms_wait;
}

void SimPair::transmit(size_t e, size_t f, const Packet& packet, const Endpoint& destination) {
  End& end = ends_[e];
  const Bytes size(packet.bytes.size());
  trace_ = trace_of(trace_ ^ static_cast<uint64_t>(now_.time_since_epoch().count()) ^ e << 62 ^ f << 56, packet.bytes);
  end.addresses[f].on_sent(now_, size);
  end.progress.on_sent(now_);
  const wan::Fate fate = end.links[f]->offer(now_, size);
  SimDatagram datagram{.to = 1 - e, .flow = f, .from = endpoint(e, f), .destination = destination,
                       .bytes = {packet.bytes.begin(), packet.bytes.end()}, .sent_at = now_, .ecn = packet.ecn};
  forger_.see(datagram);  // he sits before the link, so some of what he knows never arrives
  if (fate.dropped) return;
  if (config_.marks == SimPairConfig::Marks::kBleached) datagram.ecn = Ecn::kNotEct;
  if (fate.is_ce_marked && datagram.ecn == Ecn::kEct0) datagram.ecn = Ecn::kCe;
  if (fate.flip) {
    wan::flip_bits(datagram.bytes, *fate.flip);
    datagram.is_genuine = std::equal(datagram.bytes.begin(), datagram.bytes.end(), packet.bytes.begin());
  }
  add_strangers(fate.deliver_at, datagram);
  for (int n = 1; n < fate.copies; ++n) put(fate.deliver_at, datagram);
  put(fate.deliver_at, std::move(datagram));
}

void SimPair::add_strangers(Time at, const SimDatagram& datagram) {
  if (random_.happens(config_.stray)) {
    SimDatagram stray = datagram;
    stray.bytes[kConnectionAt + random_.below(8)] ^= std::byte{1};
    stray.is_genuine = false;
    put(at, std::move(stray));
  }
  if (random_.happens(config_.forged)) put(at, forger_.make_up(datagram));
  if (random_.happens(config_.raced)) {
    SimDatagram raced = datagram;
    raced.from = sim_endpoint(datagram.way().from, datagram.flow, 55);
    put(at - std::min(at - now_, Duration(std::chrono::microseconds(100))), std::move(raced));
  }
}

void SimPair::put(Time at, SimDatagram datagram) { wire_.push({turn_at(at, config_.receive_every), turn_++, std::move(datagram)}); }

}  // namespace tideway::test
