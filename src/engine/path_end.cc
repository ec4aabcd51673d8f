// SPDX-License-Identifier: Apache-2.0
#include "engine/path_end.h"

#include "base/random.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace tideway::engine {
namespace {

constexpr uint64_t kSeed = 6;          // of what flows take by chance
constexpr crypto::Secret kExporter{};  // nothing that is secret is sealed with these keys
constexpr uint32_t kRequest = 1;
constexpr LaneHandle kLane = lane_handle(0, 1);
constexpr TransferHandle kTransfer(1);
constexpr SlotId kSlot(1);
constexpr uint64_t kBlocksPerHeld = 8;                   // that arrive before a sink holds one more
constexpr uint64_t kStartBlocks = 2;                     // of credit, as a transfer starts with
constexpr Duration kRtt = std::chrono::milliseconds(1);  // before it is measured
constexpr Bytes kWindowInitial = 256_KiB;
constexpr Duration kRestMax =
    std::chrono::milliseconds(10);  // whoever runs the bench looks at its clock so often

}  // namespace

// ---- the pattern --------------------------------------------------------------------------------

PathPattern::PathPattern(uint64_t seed) : bytes_(kHeadUnit + kLeafSize.count()) {
  Random random(seed);
  for (size_t at = 0; at + sizeof(uint64_t) <= bytes_.size(); at += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(bytes_.data() + at, &word, sizeof word);
  }
}

void PathPattern::fill(PackedBlock& block) const {
  block.head_units = 1;
  block.length = length();
  std::ranges::copy(bytes_, block.bytes().begin());
}

void PathPattern::number(PackedBlock& block) {
  const uint32_t number = block.key.block.value();
  std::memcpy(block.bytes().data(), &number, sizeof number);
}

bool PathPattern::matches(const PackedBlock& block) const {
  uint32_t number = 0;
  if (block.length != length()) return false;
  std::memcpy(&number, block.bytes().data(), sizeof number);
  return number == block.key.block.value() &&
         std::ranges::equal(block.bytes().subspan(sizeof number),
                            std::span(bytes_).subspan(sizeof number));
}

// ---- start --------------------------------------------------------------------------------------

Result<std::unique_ptr<PathEnd>> PathEnd::create(const PathEndConfig& config,
                                                 std::unique_ptr<PacketIo> io) {
  auto pool = BufferPool::create(config.role == PathEndConfig::Role::kSource ? kPathSourceBlocks
                                                                             : kPathSinkBuffers);
  if (!pool.ok()) return std::move(pool).error();
  auto bell = Doorbell::create();
  if (!bell.ok()) return std::move(bell).error();
  std::unique_ptr<PathEnd> end(
      new PathEnd(config, std::move(pool).value(), std::move(bell).value()));
  end->start(std::move(io));
  return end;
}

PathEnd::PathEnd(const PathEndConfig& config, std::unique_ptr<BufferPool> pool,
                 std::unique_ptr<Doorbell> bell)
    : config_(config),
      pool_(std::move(pool)),
      bell_(std::move(bell)),
      rings_(1, 1, pool_->size()),
      board_(std::make_shared<LaneBoard>(config.flows)),
      schedule_(kExporter) {}

void PathEnd::start(std::unique_ptr<PacketIo> io) {
  rings_.net_bells = rings_.cpu_bells = {bell_.get()};
  rings_.io_bell = rings_.control_bell = bell_.get();
  const NetWorkerConfig net{0, config_.controller, config_.rate, std::span(&net_board_, 1),
                            pool_->size() - static_cast<uint32_t>(kPathBlocksHeld), config_.gates};
  worker_ = std::make_unique<NetWorker>(net, std::move(io), rings_, *pool_);
  if (!is_source()) return;
  std::vector<PackedBlock> all(
      pool_->size());  // each at once: the pool gives out again first what came home last
  for (PackedBlock& block : all) {
    block.buffer = pool_->take();
    config_.pattern->fill(block);
  }
}

void PathEnd::command(NetCommand command) {
  TIDEWAY_CHECK(rings_.net_control[0]->commands.push(std::move(command)));
}

Result<std::vector<BoundPort>> PathEnd::bind(Time now) {
  BindPorts bind{0, kRequest, {}};
  Random random(kSeed);
  for (uint32_t i = 0; i < config_.flows; ++i) bind.ports.push_back({config_.local, random.next()});
  command(std::move(bind));
  worker_->poll(now);
  auto event = rings_.net_control[0]->events.pop();
  TIDEWAY_CHECK(event && std::holds_alternative<PortsBound>(*event));
  auto ports = std::move(std::get<PortsBound>(*event).ports);
  if (ports.ok()) ours_ = ports.value();
  return ports;
}

OpenFlow PathEnd::flow(uint16_t number, const BoundPort& theirs) {
  Random random(kSeed + number);
  OpenFlow flow;
  flow.local = ours_[number].local;
  flow.config.id = FlowId(number);
  flow.config.local = ours_[number].connection;
  flow.config.remote = theirs.connection;
  flow.config.first_packet_number = random.next() & 0xFFFF'FFFF;
  flow.config.challenge_seed = random.next();
  flow.config.mtu_max = config_.mtu;
  flow.config.rtt_initial = kRtt;
  flow.config.window_initial = kWindowInitial / config_.flows;
  flow.config.peer = theirs.local;
  for (auto& key : flow.send_keys) key = next_key(flow.config.id, KeyDirection::kSend);
  for (auto& key : flow.receive_keys) key = next_key(flow.config.id, KeyDirection::kReceive);
  return flow;
}

Status PathEnd::open(Time now, const std::vector<BoundPort>& theirs) {
  TIDEWAY_CHECK(theirs.size() == ours_.size());
  OpenLane open;
  open.lane = kLane;
  open.ports = kRequest;
  open.id = LaneId(0);
  open.credit_unit = kBufferSize;
  open.flows_of_session = theirs.size();
  open.board = board_;
  if (config_.gates != nullptr) open.link = 0;
  for (uint16_t i = 0; i < theirs.size(); ++i) open.flows.push_back(flow(i, theirs[i]));
  command(std::move(open));
  const auto role = is_source() ? OpenSlot::Role::kSending : OpenSlot::Role::kReceiving;
  command(OpenSlot{role, kLane, kSlot, kTransfer, kStartBlocks * kBufferSize});
  worker_->poll(now);
  obey_events();
  if (failure_) return *failure_;
  return success();
}

std::unique_ptr<Aead> PathEnd::next_key(FlowId flow, KeyDirection direction) {
  const auto key = std::pair(flow, direction);
  const bool is_ours = is_source() == (direction == KeyDirection::kSend);
  const auto found = secrets_.find(key);
  auto secret = found == secrets_.end()
                    ? schedule_.first_secret(is_ours ? crypto::FlowDirection::kFromDialling
                                                     : crypto::FlowDirection::kFromAccepting,
                                             flow)
                    : found->second.next();
  auto made = secret.make_aead();
  if (found == secrets_.end())
    secrets_.emplace(key, std::move(secret));
  else
    found->second = std::move(secret);
  return made;
}

// ---- turns --------------------------------------------------------------------------------------

bool PathEnd::poll(Time now) {
  bool worked = worker_->poll(now);
  obey_events();
  worked |= is_source() ? offer_blocks() : take_blocks();
  return worked;
}

void PathEnd::obey_events() {
  while (auto event = rings_.net_control[0]->events.pop()) {
    if (auto* wanted = std::get_if<KeyWanted>(&*event))
      command(InstallKey{kLane, wanted->flow, wanted->direction, wanted->epoch,
                         next_key(wanted->flow, wanted->direction)});
    if (auto* died = std::get_if<LaneDied>(&*event)) failure_ = died->why;
    if (auto* refused = std::get_if<SlotRefused>(&*event)) failure_ = refused->why;
  }
}

// Each buffer that is home goes out again behind the others.
bool PathEnd::offer_blocks() {
  bool worked = false;
  while (const auto notice = rings_.io_net[0]->notices.pop()) {
    if (notice->kind != BlockNotice::Kind::kAcked) continue;
    counts_.blocks += 1;
    counts_.payload += kLeafSize;
  }
  for (Buffer buffer = pool_->take(); !buffer.is_empty(); buffer = pool_->take()) {
    PackedBlock block{
        {kSlot, BlockId(next_block_++)}, 1, config_.pattern->length(), std::move(buffer)};
    PathPattern::number(block);
    pass_on(rings_.net_cpu[0][0]->to_send, BlockToSend{kLane, kTransfer, std::move(block)}, *bell_);
    worked = true;
  }
  return worked;
}

bool PathEnd::take_blocks() {
  bool worked = false;
  while (auto received = rings_.net_cpu[0][0]->received.pop()) {
    take(std::move(received->block));
    worked = true;
  }
  return worked;
}

void PathEnd::take(PackedBlock&& block) {
  counts_.blocks += 1;
  counts_.payload += Bytes(block.packed().size());
  held_.push_back(std::move(block));
  if (config_.check == PathEndConfig::Check::kEvery) check_last();
  // Credit grows as buffers come home, so the first ones do at once.
  if (held_.size() <= std::min<uint64_t>(kPathBlocksHeld, counts_.blocks / kBlocksPerHeld)) return;
  held_.pop_front();  // its buffer goes home
  pass_on(rings_.io_net[0]->freed, BufferFreed{kLane, kSlot}, *bell_);
}

void PathEnd::check_last() {
  if (!held_.empty() && !config_.pattern->matches(held_.back())) counts_.damaged += 1;
}

void PathEnd::rest(Time now) {
  const Time next = next_look(now);
  if (next == now) return;
  if (!is_woken()) return std::this_thread::yield();
  const Duration until = next == kNever ? kRestMax : next - now;
  bell_->arm();
  if (!worker_->has_commands())
    bell_->sleep(std::min(until, kRestMax), worker_->wait_fds(now));
  bell_->disarm();
}

void PathEnd::close(Time now) {
  check_last();
  command(CloseLane{kLane});
  worker_->poll(now);
}

}  // namespace tideway::engine
