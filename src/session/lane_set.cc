// SPDX-License-Identifier: Apache-2.0
#include "session/lane_set.h"

#include "crypto/random_bytes.h"
#include "session/tcp_socket.h"

#include <algorithm>

namespace tideway::session {
namespace {

constexpr uint32_t kPayloadInitial = 1152;  // of an IP packet of 1,280 bytes, the smallest path
constexpr Bytes kWindowInitial = 256_KiB;   // of a session, shared by its flows

uint64_t random_number() {
  uint64_t value = 0;
  crypto::random_bytes(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

uint32_t next_request() {
  static uint32_t last = 0;  // control thread only
  return ++last;
}

messages::FlowOffer our_flow(FlowId id) {
  messages::FlowOffer flow;
  flow.id = id;
  flow.initial_payload = kPayloadInitial;
  return flow;
}

}  // namespace

void limit_lanes(messages::Lanes& lanes, const LaneLimits& most) {
  if (const size_t lanes_max = std::min(most.lanes, most.flows); lanes.lanes.size() > lanes_max) lanes.lanes.resize(lanes_max);
  const auto flows_of = [](const messages::LaneOffer& lane) { return lane.flows.size(); };
  size_t flows = 0;
  for (const messages::LaneOffer& lane : lanes.lanes) flows += flows_of(lane);
  for (; flows > most.flows; --flows) std::ranges::max_element(lanes.lanes, {}, flows_of)->flows.pop_back();
}

LaneSet::~LaneSet() { close(); }

void LaneSet::close() {
  for (const engine::LaneHandle handle : handles_) engine_.post(engine::CloseLane{handle});
  if (handles_.empty())
    for (const Lane& lane : lanes_) engine_.post(engine::DropPorts{lane.net_worker, lane.port_request});
  handles_.clear();
  lanes_.clear();
}

// ---- planning ------------------------------------------------------------------------------------------------------

void LaneSet::offer(const Endpoint& control, const Offer& offer) {
  control_ = control;
  delivery_ = offer.delivery;
  const uint32_t workers = engine_.layout().net_workers;
  const size_t lanes = std::min<size_t>(workers, offer.flows);
  lanes_.resize(lanes);
  for (size_t i = 0; i < lanes; ++i) {
    lanes_[i].id = LaneId(static_cast<uint16_t>(i));
    lanes_[i].net_worker = static_cast<uint32_t>(i);
  }
  for (size_t i = 0; i < offer.flows; ++i)
    lanes_[i % lanes].flows.push_back(our_flow(FlowId(static_cast<uint16_t>(i))));
  for (Lane& lane : lanes_) bind(lane);
}

void LaneSet::answer(const Endpoint& control, const messages::Lanes& theirs) {
  control_ = control;
  delivery_ = theirs.delivery;
  if (ports_.first_of(0).port != 0) kind_ = Ports::kConfigured;
  for (const messages::LaneOffer& offered : theirs.lanes) {
    Lane& lane = lanes_.emplace_back();
    lane.id = offered.id;
    lane.net_worker = ports_.next_net_worker++ % engine_.layout().net_workers;
    for (const messages::FlowOffer& flow : offered.flows) lane.flows.push_back(our_flow(flow.id));
  }
  for (Lane& lane : lanes_) bind(lane);
}

Endpoint LaneSet::next_port(uint32_t net_worker) {
  const Endpoint& first = ports_.first_of(net_worker);
  Endpoint local = has_address(first) ? first : control_;
  local.port = 0;
  if (kind_ == Ports::kAny) return local;
  const uint32_t workers = engine_.layout().net_workers;
  const uint32_t offset = net_worker + workers * (ports_.next++ % (kDataPorts / workers));
  local.port = static_cast<uint16_t>(first.port + offset);
  return local;
}

void LaneSet::bind(Lane& lane) {
  lane.port_request = next_request();
  engine::BindPorts bind{lane.net_worker, lane.port_request, {}, delivery_};
  for (size_t i = 0; i < lane.flows.size(); ++i) {
    const Endpoint local = delivery_ == Delivery::kStream ? control_ : next_port(lane.net_worker);
    bind.ports.push_back({local, random_number()});
  }
  engine_.post(std::move(bind));
}

// ---- ports ---------------------------------------------------------------------------------------------------------

bool LaneSet::owns_port_request(uint32_t request) const {
  return std::ranges::any_of(lanes_, [request](const Lane& lane) { return lane.port_request == request; });
}

Status LaneSet::on_ports(const engine::PortsBound& bound) {
  const auto lane = std::ranges::find(lanes_, bound.request, &Lane::port_request);
  if (lane == lanes_.end()) return success();
  if (!bound.ports.ok()) return bound.ports.error();
  for (size_t i = 0; i < lane->flows.size(); ++i) {
    const engine::BoundPort& port = bound.ports.value()[i];
    lane->local.push_back(port.local);
    messages::FlowOffer& flow = lane->flows[i];
    flow.connection = port.connection;
    flow.address.port = port.local.port;
    // Behind NAT our own address would mislead the peer: it takes the one that it dials, or sees, unless the data ports
    // are elsewhere, on a DPDK port or by configuration.
    if (port.local.address != control_.address) flow.address.address = port.local.address;
  }
  return success();
}

bool LaneSet::are_bound() const {
  return !lanes_.empty() && std::ranges::none_of(lanes_, [](const Lane& lane) { return lane.local.empty(); });
}

messages::Lanes LaneSet::message() const {
  messages::Lanes lanes;
  lanes.delivery = delivery_;
  for (const Lane& lane : lanes_) lanes.lanes.push_back({lane.id, lane.flows});
  return lanes;
}

size_t LaneSet::flows() const {
  size_t count = 0;
  for (const Lane& lane : lanes_) count += lane.flows.size();
  return count;
}

// ---- opening -------------------------------------------------------------------------------------------------------

Result<engine::OpenLane> LaneSet::prepare(const Lane& ours, const messages::LaneOffer& theirs, const PeerPath& peer, FlowKeys& keys) const {
  engine::OpenLane open;
  open.ports = ours.port_request;
  open.id = ours.id;
  open.credit_unit = kCreditUnit;
  open.delivery = delivery_;
  for (const messages::FlowOffer& their_flow : theirs.flows) {
    const auto our_flow = std::ranges::find(ours.flows, their_flow.id, &messages::FlowOffer::id);
    if (our_flow == ours.flows.end()) return Error{Fault::kProtocolError, "the peer answered a flow that was not offered", ""};
    engine::OpenFlow flow;
    flow.local = ours.local[static_cast<size_t>(our_flow - ours.flows.begin())];
    flow.config.id = their_flow.id;
    flow.config.local = our_flow->connection;
    flow.config.remote = their_flow.connection;
    flow.config.first_packet_number = random_number() & 0xFFFF'FFFF;
    flow.config.challenge_seed = random_number();
    flow.config.mtu_max = peer.mtu_max;
    flow.config.rtt_initial = peer.rtt;
    flow.config.peer = their_flow.address;
    if (!has_address(their_flow.address)) flow.config.peer.address = peer.control.address;
    if (flow.config.peer.address != peer.control.address) flow.config.address = flow::FlowConfig::Address::kUnproven;
    for (auto& key : flow.send_keys) key = keys.next_key(their_flow.id, FlowKeys::Use::kSend);
    for (auto& key : flow.receive_keys) key = keys.next_key(their_flow.id, FlowKeys::Use::kReceive);
    open.flows.push_back(std::move(flow));
  }
  return open;
}

Status LaneSet::open(const messages::Lanes& theirs, const PeerPath& peer, FlowKeys& keys) {
  std::vector<std::pair<Lane*, engine::OpenLane>> ready;
  size_t flows = 0;
  for (const messages::LaneOffer& their_lane : theirs.lanes) {
    const auto ours = std::ranges::find(lanes_, their_lane.id, &Lane::id);
    if (ours == lanes_.end()) return Error{Fault::kProtocolError, "the peer answered a lane that was not offered", ""};
    auto open = prepare(*ours, their_lane, peer, keys);
    if (!open.ok()) return std::move(open).error();
    flows += open.value().flows.size();
    ready.emplace_back(&*ours, std::move(open).value());
  }
  for (auto& [ours, lane] : ready) {
    ours->handle = lane.lane = engine_.new_lane(ours->net_worker, lane.flows.size());
    lane.flows_of_session = flows;
    lane.rate_remembered = peer.rate_remembered;
    lane.link = peer.link;
    lane.dscp = peer.dscp;
    for (engine::OpenFlow& flow : lane.flows) flow.config.window_initial = kWindowInitial / flows;
    handles_.push_back(lane.lane);
    engine_.post(std::move(lane));
  }
  std::erase_if(lanes_, [&](const Lane& lane) {
    const bool is_answered = std::ranges::find(theirs.lanes, lane.id, &messages::LaneOffer::id) != theirs.lanes.end();
    if (!is_answered) engine_.post(engine::DropPorts{lane.net_worker, lane.port_request});
    return !is_answered;
  });
  return success();
}

void LaneSet::attach(FlowId flow, std::unique_ptr<packet_io::ByteStream> stream) {
  for (const Lane& lane : lanes_)
    if (std::ranges::find(lane.flows, flow, &messages::FlowOffer::id) != lane.flows.end())
      return engine_.post(engine::AttachStream{lane.handle, flow, std::move(stream)});
}

bool LaneSet::owns(engine::LaneHandle lane) const { return std::ranges::find(handles_, lane) != handles_.end(); }

// ---- transfers -----------------------------------------------------------------------------------------------------

void LaneSet::open_slot(const engine::OpenSlot& slot) {
  for (const engine::LaneHandle handle : handles_) {
    engine::OpenSlot one = slot;
    one.lane = handle;
    one.lanes = handles_.size();
    engine_.post(std::move(one));
  }
}

void LaneSet::close_slot(const engine::CloseSlot& slot) {
  for (const engine::LaneHandle handle : handles_) {
    engine::CloseSlot one = slot;
    one.lane = handle;
    engine_.post(std::move(one));
  }
}

// Blocks go to the lane that has least to do, so lanes of equal ceilings use them all.
void LaneSet::set_ceiling(Rate rate, Rate in_bursts) {
  const double part = 1.0 / static_cast<double>(handles_.size());
  const Rate each = rate.is_unlimited() ? rate : rate * part;
  for (const engine::LaneHandle handle : handles_) engine_.post(engine::SetRate{handle, each, in_bursts * part});
}

}  // namespace tideway::session
