// SPDX-License-Identifier: Apache-2.0
#include "engine/net_worker.h"

#include "base/log.h"
#include "base/stage_meter.h"
#include "congestion/carried.h"
#include "engine/link_rates.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr size_t kReceiveBursts = 8;                                  // of one turn, so that sending gets its share
constexpr Duration kWatchPeriod = std::chrono::milliseconds(100);     // boards, keys, dead lanes
// To be woken costs as much as 5 to 10 packets. With a longer beat than that of a pacer's quantum, each quantum would find us late, the pacer
// would hold that much more, and what leaves after a pause would be a longer burst than it promises.
constexpr Duration kBeatMin = NetWorker::kNapMin, kBeatMax = flow::Pacer::kQuantumTime;
constexpr int kBeatsPerRoundTrip = 8;
constexpr Duration kDealPeriod = std::chrono::milliseconds(20);       // of rate: a share nobody uses waits no longer

void add_drops(flow::FlowStats& sum, const flow::FlowStats& flows) {
  sum.dropped_auth += flows.dropped_auth;
  sum.dropped_replay += flows.dropped_replay;
  sum.dropped_refused += flows.dropped_refused;
  sum.dropped_malformed += flows.dropped_malformed;
}

}  // namespace

NetWorker::NetWorker(const NetWorkerConfig& config, std::unique_ptr<PacketIo> io, Rings& rings, BufferPool& pool)
    : config_(config), io_(std::move(io)), wait_fd_(io_->limits().wait_fd), rings_(rings), pool_(pool),
      table_(static_cast<uint8_t>(config.index)), credit_{.blocks_max = config.buffers_receiving} {
  config_.boards[config_.index].ceiling.set(config_.rate.bytes_per_second());
}

NetWorker::~NetWorker() { log_drops(); }

bool NetWorker::poll(Time now) {
  bool worked = obey(now);
  worked |= take_blocks();
  end_stage(Stage::kTurn);
  worked |= receive(now);
  const bool watches = now >= watched_at_ + kWatchPeriod;
  if (watches) watch_device(now);
  for (auto& [handle, lane] : lanes_) {
    worked |= hand_on(handle, *lane);
    if (lane->start_blocks(handle, rings_.io_net[config_.index]->notices)) {
      rings_.io_bell->ring();
      worked = true;
    }
    if (watches) watch(now, handle, *lane);
  }
  if (now >= dealt_at_ + kDealPeriod) deal_rate(now);
  end_stage(worked ? Stage::kTurn : Stage::kIdle);
  worked |= transmit(now);
  end_stage(worked ? Stage::kTurn : Stage::kIdle);
  if (worked) worked_at_ = now;
  return worked;
}

void NetWorker::stop() {
  for (auto& [handle, lane] : lanes_) {
    lane->drop(carrier(lane->delivery()));
    add_drops(closed_, lane->lane().stats().flows);
  }
  lanes_.clear();
}

bool NetWorker::has_commands() const {
  if (!rings_.net_control[config_.index]->commands.is_empty() || !rings_.io_net[config_.index]->freed.is_empty()) return true;
  for (const auto& of_cpu : rings_.net_cpu[config_.index])
    if (!of_cpu->to_send.is_empty()) return true;
  return false;
}

Time NetWorker::next_deadline(Time now) const {
  Time next = lanes_.empty() ? kNever : watched_at_ + kWatchPeriod;
  for (const auto& [handle, lane] : lanes_) next = std::min(next, lane->next_deadline(now));
  return next;
}

// A port that took no packet does not say when it takes more, so it is asked again; a stream does (StreamPacketIo).
Time NetWorker::next_look(Time now) const {
  if (worked_at_ == now && has_more(now)) return now;
  const auto is_refused = [](const auto& lane) { return lane.second->delivery() == Delivery::kDatagram && lane.second->has_unsent(); };
  const Time due = std::ranges::any_of(lanes_, is_refused) ? now : next_deadline(now);
  const Time next = std::max({due, worked_at_ + beat(), now + kNapMin}), rested = rests_until();
  return now < rested ? std::min(next, std::max(rested, now + kNapMin)) : next;
}

// A port that is polled wakes nobody; and where something of ours is on its way its acks are worth a look.
Time NetWorker::rests_until() const {
  if (is_polled()) return {};
  Duration rtt = ReceiveRest::kMax * ReceiveRest::kPerRoundTrip;
  for (const auto& [handle, lane] : lanes_) {
    if (lane->lane().unacked_bytes() > 0) return {};
    for (const auto& flow : lane->lane().flows()) rtt = std::min(rtt, flow->rtt());
  }
  return rest_.until(rtt);
}

// The next look would find something that nobody wakes us for.
bool NetWorker::has_more(Time now) const {
  const auto has_unsent = [](const auto& lane) { return lane.second->has_unsent(); };
  return is_polled() || stopped_at_bursts_ || next_deadline(now) <= now || std::ranges::any_of(lanes_, has_unsent);
}

// Short beside a round trip, and what leaves in one is a burst that the pacer may send at higher rates anyway. A lane that has nothing to
// send has a rate, too, but only that of a start.
Duration NetWorker::beat() const {
  Duration rtt = kBeatMax * kBeatsPerRoundTrip;
  Rate rate;
  for (const auto& [handle, lane] : lanes_) {
    for (const auto& flow : lane->lane().flows()) {
      rtt = std::min(rtt, flow->rtt());
      if (lane->lane().unacked_bytes() > 0) rate = rate + flow->pacing_rate();
    }
  }
  return std::max(std::min(rtt / kBeatsPerRoundTrip, rate.time_for(flow::Pacer::kQuantumMax)), kBeatMin);
}

LanePort* NetWorker::find(LaneHandle lane) {
  const auto found = lanes_.find(lane);
  return found == lanes_.end() ? nullptr : found->second.get();
}

PacketIo& NetWorker::carrier(Delivery delivery) {
  if (delivery == Delivery::kStream) return streams_;
  return *io_;
}

// ---- commands ------------------------------------------------------------------------------------------------------

bool NetWorker::obey(Time now) {
  bool worked = false;
  while (auto command = rings_.net_control[config_.index]->commands.pop()) {
    std::visit([&](auto&& c) { obey(now, std::move(c)); }, std::move(*command));
    worked = true;
  }
  return worked;
}

void NetWorker::obey(Time, BindPorts&& bind) {
  PortsBound answer{bind.request, std::vector<BoundPort>{}};
  std::vector<Bound>& bound = bound_[bind.request];
  for (const BindPorts::Port& port : bind.ports) {
    auto path = carrier(bind.delivery).open_path({.local = port.local, .remote = {}});
    const auto connection = path.ok() ? table_.reserve(port.random) : std::nullopt;
    if (!path.ok()) answer.ports = path.error();
    else if (!connection) answer.ports = Error{Fault::kOverloaded, "this gateway's flows are all in use", "try again later"};
    if (path.ok()) bound.push_back({bind.delivery, path.value().id, connection});
    if (!answer.ports.ok()) break;
    answer.ports.value().push_back({path.value().local, *connection});
  }
  if (!answer.ports.ok()) obey(Time{}, DropPorts{bind.net_worker, bind.request});
  tell(std::move(answer));
}

void NetWorker::obey(Time, DropPorts&& drop) {
  for (const Bound& bound : bound_[drop.request]) {
    carrier(bound.delivery).close_path(bound.path);
    if (bound.connection) table_.release(*bound.connection);
  }
  bound_.erase(drop.request);
}

void NetWorker::obey(Time now, OpenLane&& open) {
  const bool has_gate = open.link && config_.gates != nullptr;
  const LinkTraffic traffic = has_gate ? config_.gates->traffic(*open.link) : LinkTraffic{.controller = {}, .dscp = open.dscp};
  open.dscp = traffic.dscp;
  auto lane = std::make_unique<LanePort>(now, open, LanePort::Ground{pool_, table_, credit_});
  for (OpenFlow& flow : open.flows) {
    const auto path = carrier(open.delivery).open_path({.local = flow.local, .remote = flow.config.peer, .dscp = open.dscp});
    if (!path.ok()) {
      tell(LaneDied{open.lane, path.error()});
      break;
    }
    // What the peer can take counts, and what leaves here; the first probe is not larger than any room.
    flow.config.mtu_max = std::clamp(flow.config.mtu_max, flow::PathMtu::kBase, std::max(flow::PathMtu::kBase, path.value().mtu));
    congestion::ControllerConfig control;
    control.window_initial = flow.config.window_initial;
    control.rtt_initial = flow.config.rtt_initial;
    if (!config_.rate.is_unlimited()) control.rate_contracted = config_.rate;
    control.flows = static_cast<uint32_t>(open.flows_of_session);
    control.rate_remembered = open.rate_remembered * (1.0 / static_cast<double>(std::max<size_t>(open.flows_of_session, 1)));
    control.seed = flow.config.challenge_seed;
    flow.config.delivery = open.delivery;
    auto controller = open.delivery == Delivery::kStream ? std::make_unique<congestion::Carried>() : traffic.controller.value_or(config_.controller).make(control);
    lane->add_flow(now, std::move(flow), path.value().id, std::move(controller));
  }
  if (has_gate) lane->put_gate(now, *config_.gates, *open.link, config_.index);
  const auto is_taken = [&](ConnectionId id) {
    return std::ranges::any_of(std::span(open.flows).first(lane->flows()), [id](const OpenFlow& flow) { return flow.config.local == id; });
  };
  for (const Bound& bound : bound_[open.ports]) {
    carrier(bound.delivery).close_path(bound.path);  // the sockets live on with the lane's paths
    if (bound.connection && !is_taken(*bound.connection)) table_.release(*bound.connection);
  }
  bound_.erase(open.ports);
  has_streams_ |= open.delivery == Delivery::kStream;
  lanes_[open.lane] = std::move(lane);
  dealt_at_ = Time{};  // its share of the rate, before it sends
}

void NetWorker::obey(Time, OpenSlot&& open) {
  LanePort* lane = find(open.lane);
  if (lane == nullptr) return;
  if (Status status = lane->open_slot(open); !status.ok()) return tell(SlotRefused{open.transfer, status.error()});
  if (open.role == OpenSlot::Role::kReceiving) tell(SlotOpened{open.lane, open.transfer, lane->lane().credit_given(open.slot)});
}

void NetWorker::obey(Time, CloseSlot&& close) {
  if (LanePort* lane = find(close.lane)) lane->close_slot(close);
}

// A lane that has died meanwhile, or never had this flow, lets the connection go.
void NetWorker::obey(Time, AttachStream&& attach) {
  const LanePort* lane = find(attach.lane);
  if (lane == nullptr || lane->delivery() != Delivery::kStream) return;
  if (const auto path = lane->path_of(attach.flow)) static_cast<void>(streams_.attach(*path, std::move(attach.stream)));
}

void NetWorker::obey(Time, InstallKey&& install) {
  if (LanePort* lane = find(install.lane)) lane->install(std::move(install));
}

void NetWorker::obey(Time, SetRate&& set) {
  LanePort* lane = find(set.lane);
  if (lane == nullptr) return;
  lane->set_ceiling(set.rate, set.in_bursts);
  dealt_at_ = Time{};  // a small transfer is through before the next deal would be due
}

void NetWorker::obey(Time now, CloseLane&& close) {
  LanePort* lane = find(close.lane);
  if (lane == nullptr) return;
  lane->close(now, carrier(lane->delivery()));
  add_drops(closed_, lane->lane().stats().flows);
  lanes_.erase(close.lane);
}

// ---- blocks and packets --------------------------------------------------------------------------------------------

bool NetWorker::take_blocks() {
  bool worked = false;
  for (auto& of_cpu : rings_.net_cpu[config_.index]) {
    while (auto block = of_cpu->to_send.pop()) {
      if (LanePort* lane = find(block->lane)) lane->take_block(std::move(*block));
      worked = true;
    }
  }
  while (const auto freed = rings_.io_net[config_.index]->freed.pop()) {
    if (LanePort* lane = find(freed->lane)) lane->on_buffer_free(*freed);
    worked = true;
  }
  return worked;
}

bool NetWorker::receive(Time now) {
  stopped_at_bursts_ = false;
  uint64_t packets = 0, of_streams = 0;
  bool worked = receive(now, *io_, packets);
  rest_.on_received(now, packets);
  if (has_streams_) worked |= receive(now, streams_, of_streams);
  return worked;
}

bool NetWorker::receive(Time now, PacketIo& io, uint64_t& packets) {
  bool worked = false;
  for (size_t i = 0; i < kReceiveBursts; ++i) {
    const size_t count = io.receive(burst_);
    end_stage(count == 0 ? Stage::kIdle : Stage::kReceive, count);
    if (count == 0) return worked;
    packets += count;
    // Each worker has its own sockets, so a packet for another one is a stranger's.
    const size_t foreign = table_.dispatch(now, std::span(burst_).first(count));
    for (Packet& packet : std::span(burst_).first(foreign)) packet.reset();
    end_stage(Stage::kReceive);  // their rooms went home
    worked = true;
    if (count < burst_.size() && io.limits().wait_fd >= 0) return worked;  // that was all; what has come since wakes us
  }
  stopped_at_bursts_ = true;
  return worked;
}

bool NetWorker::hand_on(LaneHandle handle, LanePort& lane) {
  bool worked = false;
  while (auto block = lane.lane().take_complete()) {
    const TransferHandle transfer = lane.transfer_of(block->key.slot, OpenSlot::Role::kReceiving);
    const size_t cpu = next_cpu_++ % rings_.cpu_bells.size();
    const block::LeafHashes hashes = lane.hashes_of(block->key.slot);
    pass_on(rings_.net_cpu[config_.index][cpu]->received, BlockReceived{handle, transfer, std::move(*block), hashes}, *rings_.cpu_bells[cpu]);
    worked = true;
  }
  while (const auto done = lane.lane().take_done()) {
    const TransferHandle transfer = lane.transfer_of(done->slot, OpenSlot::Role::kSending);
    pass_on(rings_.io_net[config_.index]->notices, BlockNotice{handle, transfer, done->block, BlockNotice::Kind::kAcked}, *rings_.io_bell);
    worked = true;
  }
  return worked;
}

// The gateway's rate, and that of each link, among its workers; this one's part among its lanes; each divides its own among its flows.
void NetWorker::deal_rate(Time now) {
  dealt_at_ = now;
  const Rate ceiling = Rate::bytes_per_second(config_.boards[config_.index].ceiling.get());
  const WorkerOf worker{config_.index, config_.boards.size()};
  std::vector<LaneOfLink> lanes;
  for (const auto& [handle, lane] : lanes_) lanes.push_back({lane->link(), lane->wanted_rate(now)});
  std::vector<Rate> of_links(lanes.size(), Rate::unlimited()), shares = of_links;
  if (config_.gates != nullptr) of_links = share_out_links(*config_.gates, worker, lanes);
  Rate least = Rate::unlimited();
  if (!ceiling.is_unlimited()) {
    std::vector<Rate> wanted;
    for (const LaneOfLink& lane : lanes) wanted.push_back(lane.wanted);
    shares = share_out_among(ceiling, worker, std::move(wanted), [this](size_t one) -> Counter& { return config_.boards[one].rate_wanted; });
    least = ceiling * (1.0 / static_cast<double>(worker.all * std::max<size_t>(1, lanes.size())));
  }
  size_t i = 0;
  for (const auto& [handle, lane] : lanes_) {
    lane->deal(now, shares[i], of_links[i]);
    lane->tell_allowed(std::max(shares[i++], least));
  }
}

bool NetWorker::transmit(Time now) {
  bool sent = false;
  for (auto& [handle, lane] : lanes_) sent |= lane->transmit(now, carrier(lane->delivery()));
  return sent;
}

void NetWorker::watch_device(Time now) {
  watched_at_ = now;
  const PacketIoLosses losses = io_->losses();
  NetBoard& board = config_.boards[config_.index];
  board.packets_lost_received.set(losses.received);
  board.packets_lost_sent.set(losses.sent);
  tell_drops();
  if (is_device_gone_ || io_->limits().device == Device::kPresent) return;
  is_device_gone_ = true;
  tell(DeviceGone{});
}

void NetWorker::watch(Time now, LaneHandle handle, LanePort& lane) {
  lane.tell_board();
  for (KeyWanted& wanted : lane.take_wanted_keys(handle)) tell(std::move(wanted));
  if (auto death = lane.take_death(now)) tell(LaneDied{handle, std::move(*death)});
  if (lane.delivery() == Delivery::kStream) watch_streams(handle, lane);
}

void NetWorker::watch_streams(LaneHandle handle, const LanePort& lane) {
  const auto is_broken = [this](PathId path) { return streams_.is_broken(path); };
  if (std::ranges::any_of(lane.paths(), is_broken))
    tell(LaneDied{handle, {Fault::kPeerLost, "a TLS connection that carries data has ended", "check the peer's gateway and the network"}});
}

void NetWorker::tell_drops() {
  flow::FlowStats all = closed_;
  for (const auto& [handle, lane] : lanes_) add_drops(all, lane->lane().stats().flows);
  NetBoard& board = config_.boards[config_.index];
  board.dropped_short.set(table_.stats().packets_short);
  board.dropped_unknown.set(table_.stats().packets_unknown);
  board.dropped_foreign.set(table_.stats().packets_foreign);
  board.dropped_malformed.set(all.dropped_malformed);
  board.dropped_refused.set(all.dropped_refused);
  board.dropped_replay.set(all.dropped_replay);
  board.dropped_auth.set(all.dropped_auth);
}

// Nothing is said about a packet that is dropped while it is; the sums show afterwards what reached a gateway.
void NetWorker::log_drops() {
  tell_drops();
  const NetBoard& board = config_.boards[config_.index];
  std::string drops;
  log::add_count(drops, "dropped_short", board.dropped_short.get());
  log::add_count(drops, "dropped_unknown", board.dropped_unknown.get());
  log::add_count(drops, "dropped_foreign", board.dropped_foreign.get());
  log::add_count(drops, "dropped_malformed", board.dropped_malformed.get());
  log::add_count(drops, "dropped_refused", board.dropped_refused.get());
  log::add_count(drops, "dropped_replay", board.dropped_replay.get());
  log::add_count(drops, "dropped_auth", board.dropped_auth.get());
  if (!drops.empty()) log::info("net_drops", "worker=" + std::to_string(config_.index) + drops);
}

void NetWorker::tell(NetEvent event) {
  pass_on(rings_.net_control[config_.index]->events, std::move(event), *rings_.control_bell);
}

}  // namespace tideway::engine
